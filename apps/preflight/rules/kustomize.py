"""Kustomize: edits without effect."""
