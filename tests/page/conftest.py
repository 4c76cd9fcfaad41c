"""A gateway with keys, what is remembered behind it, and a real browser before it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from gateway.serving import KEY, Served
from page import memories
from vhm import Anchor, Memory, Receipt
from vhm.local import System

NO_BROWSER = "no browser: install Debian's package chromium, or run `uv run playwright install chromium`"

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
"""What a container allows, and no calls home."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("VHM_TEST_CHROMIUM") or shutil.which("chromium"), args=FLAGS
            )
        except Error:
            pytest.skip(NO_BROWSER)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site() -> Iterator[Served]:
    """The gateway."""
    with System() as system, Served(system) as served:
        yield served


@pytest.fixture(scope="package")
def memory(site: Served) -> Iterator[Memory]:
    """The way to put something there."""
    with Memory.connect(site.url, key=KEY) as memory:
        yield memory


@pytest.fixture(scope="package")
def remembered(memory: Memory) -> list[Anchor]:
    """What sam remembers."""
    anchors = memories.anchors()
    assert all(isinstance(receipt, Receipt) for receipt in memory.of("sam").remember_many(anchors))
    return anchors


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab without cookies."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()
