"""Takes README's pictures of the page anew: `uv run python tests/page/screenshots.py`."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

from playwright.sync_api import Page, sync_playwright  # noqa: E402  path above

from gateway.serving import KEY, Served  # noqa: E402
from page import memories  # noqa: E402
from vhm import Memory  # noqa: E402
from vhm.local import System  # noqa: E402

FOLDER = Path(__file__).with_name("screenshots")
QUESTION = "What does the oven need?"


def sign_in(page: Page, url: str) -> None:
    """Signed in, as whoever has the key to every memory."""
    page.goto(url)
    page.get_by_label("Key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()


def main() -> None:
    """Take them."""
    FOLDER.mkdir(exist_ok=True)
    with (
        System() as system,
        Served(system) as served,
        Memory.connect(served.url, key=KEY) as memory,
        sync_playwright() as playwright,
    ):
        sam, anchors = memory.of("sam"), memories.anchors()
        assert sum(1 for _ in sam.remember_many(anchors)) == len(anchors)
        sam.remember(
            "The oven is repaired, and true to the degree.",
            speaker="Ann",
            session="kitchen",
            at=datetime.now(UTC) - timedelta(minutes=1),  # from five seconds on it takes the other's place
            supersedes=[anchors[2].anchor_id],
        ).wait()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        wide = browser.new_page(viewport={"width": 1000, "height": 760})
        sign_in(wide, served.url)
        wide.goto(f"{served.url}/owners/sam")
        wide.screenshot(path=FOLDER / "memories.png")
        wide.goto(f"{served.url}/owners/sam/ask?question={QUESTION.replace(' ', '+')}")
        wide.set_viewport_size({"width": 1000, "height": 1300})
        wide.screenshot(path=FOLDER / "ask.png")
        narrow = browser.new_page(viewport={"width": 360, "height": 760}, color_scheme="dark")
        sign_in(narrow, served.url)
        narrow.goto(f"{served.url}/owners/sam/forget?session=garden")
        narrow.screenshot(path=FOLDER / "forget.png")
        browser.close()


if __name__ == "__main__":
    main()
