"""Fixtures of the unit tests."""

from __future__ import annotations

import pytest
import structlog


@pytest.fixture(autouse=True)
def _logging_as_it_comes() -> None:
    """A worker started in this process by another test has set logging up for the whole of it."""
    structlog.reset_defaults()
