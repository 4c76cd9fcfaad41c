"""The whole system in this process, on the embedded broker and a store in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vhm.local import System


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    """Three running workers that embed with `deterministic`."""
    with System(environment={"EMBEDDING_MODEL": "deterministic"}) as system:
        yield system
