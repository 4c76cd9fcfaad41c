"""Joins rendered manifests to what they talk about, and names each drift at its source line."""
