"""The programs the tests judge manifests with, built from the Go modules that go.mod beside this pins."""

from tools.binaries import binary, cache, missing
from tools.crds import crds
from tools.schemas import schemas

__all__ = ["binary", "cache", "crds", "missing", "schemas"]
