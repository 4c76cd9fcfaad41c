"""Prices."""

LOWEST = 1
