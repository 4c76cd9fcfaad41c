"""Answers."""

from prices import LOWEST

print(LOWEST)
