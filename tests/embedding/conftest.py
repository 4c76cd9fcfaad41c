"""Clients of providers that speak plain HTTP."""

import pytest


@pytest.fixture(scope="package", autouse=True)
def _one_trust_store(one_trust_store: None) -> None:
    """No test here speaks TLS."""
