"""Answers."""

import msgspec

print(msgspec.json.encode({"open": True}))
