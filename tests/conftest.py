"""Fixtures that several folders of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

import tools
from tools import binaries


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the chosen tests need before the first one's clock starts, and say so."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    names = [name for name in tools.missing() if name in wanted]
    if names and not session.config.option.collectonly:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter.write_line(
            f"building {' and '.join(names)} into {binaries.cache()}: once, about two minutes"
        )
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
