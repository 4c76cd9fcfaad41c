"""The programs the tests judge manifests with, built from the Go modules that go.mod beside this pins."""

from tools.binaries import binary, missing
from tools.schemas import schemas

__all__ = ["binary", "missing", "schemas"]
