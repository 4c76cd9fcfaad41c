"""One running system, and a gateway before it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from gateway.serving import ANNS_KEY, KEY, SAMS_KEY, Served
from vhm import Memory
from vhm.local import System


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    """The workers in this process."""
    with System(environment={"EMBEDDING_MODEL": "deterministic"}) as system:
        yield system


@pytest.fixture(scope="package")
def served(system: System) -> Iterator[Served]:
    """A gateway with keys for everybody, for sam and for ann."""
    with Served(system) as served:
        yield served


def client(served: Served, key: str | None) -> httpx.Client:
    """Whoever holds that key."""
    bearer = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=served.url, headers=bearer, timeout=30)


@pytest.fixture(scope="package")
def everybody(served: Served) -> Iterator[httpx.Client]:
    with client(served, KEY) as everybody:
        yield everybody


@pytest.fixture(scope="package")
def sam(served: Served) -> Iterator[httpx.Client]:
    with client(served, SAMS_KEY) as sam:
        yield sam


@pytest.fixture(scope="package")
def ann(served: Served) -> Iterator[httpx.Client]:
    with client(served, ANNS_KEY) as ann:
        yield ann


@pytest.fixture
def memory_of_sam(served: Served) -> Iterator[Memory]:
    """What sam remembers, by his own key."""
    with Memory.connect(served.url, key=SAMS_KEY) as memory:
        yield memory.of("sam")
