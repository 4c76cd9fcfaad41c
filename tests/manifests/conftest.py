"""Every test that asks for `overlay` runs for each overlay, one that asks for `worker` for each worker."""

from __future__ import annotations

import pytest

from manifests.overlays import OVERLAYS, WORKERS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, choices in (("overlay", OVERLAYS), ("worker", WORKERS)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, choices)
