"""Answers."""

from shop_utils import NAME

print(NAME)
