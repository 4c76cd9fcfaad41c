"""One running system, reached in every way there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.serving import KEY, Served
from vhm import Memory
from vhm.local import System

ENVIRONMENT = {"EMBEDDING_MODEL": "deterministic"}


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    """The workers in this process."""
    with System(environment=ENVIRONMENT) as system:
        yield system


@pytest.fixture(scope="package")
def served(system: System) -> Iterator[Served]:
    """A gateway before them, with keys for everybody and for sam."""
    with Served(system) as served:
        yield served


@pytest.fixture(scope="package", params=["kafka", "http", "local"])
def memory(
    request: pytest.FixtureRequest, system: System, served: Served, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Memory]:
    """A memory over each transport."""
    folder: Path = tmp_path_factory.mktemp("memory")
    made = {
        "kafka": lambda: Memory.connect(environment={"KAFKA_BOOTSTRAP_SERVERS": system.bootstrap}),
        "http": lambda: Memory.connect(served.url, key=KEY),
        "local": lambda: Memory.local(folder, environment=ENVIRONMENT),
    }
    with made[request.param]() as memory:
        yield memory
