"""Both kinds of store. A real server is used where QDRANT_URL names one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from anchors.places import Place, fresh_name, own_server
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
    if "QDRANT_URL" not in os.environ:
        yield request.getfixturevalue("shared_standin").url
        return
    with own_server() as url:
        yield url


@pytest.fixture(params=["embedded", "server"])
def place(request: pytest.FixtureRequest) -> Place:
    """An empty store of either kind."""
    if request.param == "embedded":
        return Place(f"local::memory:{uuid.uuid4()}")
    return Place(request.getfixturevalue("server_url"), fresh_name())
