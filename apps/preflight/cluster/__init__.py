"""Kubernetes objects as the API server gets them; nothing here knows of any application."""
