"""Anchors in a Qdrant collection on a server."""
