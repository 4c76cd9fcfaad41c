"""Upgrades: changes to installed objects that the API server refuses or that lose data."""
