"""Fixtures that several folders of tests share."""

from __future__ import annotations

import functools
import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

import tools
from tools import binaries

# the tests start some hundred processes: each that compiled all it imports anew would take twice as long
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# what a property costs depends on what else the machine does
hypothesis.settings.register_profile("any-machine", deadline=None)
hypothesis.settings.load_profile("any-machine")


def pytest_configure(config: pytest.Config) -> None:
    """Build the tools before the first test's clock starts, once, and say so."""
    names = tools.missing()
    if not names or config.option.collectonly or hasattr(config, "workerinput"):
        return
    print(f"building {' and '.join(names)} into {binaries.cache()}: once, about two minutes", flush=True)
    for name in names:
        tools.binary(name)


@pytest.fixture(scope="session")
def kustomize() -> Path:
    """kustomize as tests/tools pins it."""
    return tools.binary("kustomize")


@pytest.fixture(scope="session")
def kubeconform() -> Path:
    """kubeconform as tests/tools pins it."""
    return tools.binary("kubeconform")


@pytest.fixture(scope="session")
def one_trust_store() -> Iterator[None]:
    """For clients by the hundred that speak plain HTTP: reading the authorities takes 20 ms a client."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


@pytest.fixture(autouse=True)
def _default_logging() -> None:
    """Undo what a worker started in this process by another test set up for the whole process."""
    structlog.reset_defaults()
