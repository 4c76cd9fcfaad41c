"""Both kinds of store. A real server is used where QDRANT_URL names one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
from qdrant_client import QdrantClient

from anchors.places import Place, fresh_name, made
from anchors.standin import StandIn
from vhm.anchors.qdrant import client as qdrant


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in is slow on a busy machine."""
    monkeypatch.setattr(qdrant, "TIMEOUT_SECONDS", 60)


@pytest.fixture(scope="session")
def shared_standin() -> Iterator[StandIn]:
    """Qdrant's interface on loopback, for tests that only use it."""
    server = StandIn()
    yield server
    server.close()


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """One of its own for a test that breaks it."""
    server = StandIn()
    yield server
    server.close()


@pytest.fixture
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server to use; what a test made on a real one is deleted."""
    url = os.environ.get("QDRANT_URL")
    if url is None:
        yield request.getfixturevalue("shared_standin").url
        return
    yield url
    client = QdrantClient(url=url, check_compatibility=False)
    for collection in client.get_collections().collections:
        if collection.name.startswith(tuple(made)):
            client.delete_collection(collection.name)
    client.close()


@pytest.fixture(params=["embedded", "server"])
def place(request: pytest.FixtureRequest) -> Place:
    """An empty store of either kind."""
    if request.param == "embedded":
        return Place(f"local::memory:{uuid.uuid4()}")
    return Place(request.getfixturevalue("server_url"), fresh_name())
