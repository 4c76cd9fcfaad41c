"""Anchors in a folder of this machine."""
