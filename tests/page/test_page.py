"""The page as a person uses it, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from confluent_kafka import Producer
from playwright.sync_api import Browser, Page, expect

from gateway.serving import ANNS_KEY, KEY, READING_KEY, SAMS_KEY, Served
from page import memories
from vhm import Anchor, Memory, Receipt

WHEN = "2026-11-01T09:00"


@pytest.fixture
def signed_in(site: Served, page: Page) -> Page:
    """Whoever has the key to every memory."""
    sign_in(page, site, KEY)
    return page


@pytest.fixture
def sam(site: Served, page: Page) -> Page:
    """Whoever has sam's key."""
    sign_in(page, site, SAMS_KEY)
    return page


def sign_in(page: Page, site: Served, key: str, at: str = "/") -> None:
    page.goto(site.url + at)
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def test_a_key_opens_its_memory_and_leads_to_where_one_wanted_to_be(
    site: Served, page: Page, remembered: list[Anchor]
) -> None:
    sign_in(page, site, "no such key", "/owners/sam/ask")
    expect(page.get_by_role("alert")).to_have_text("the key is not known")
    page.get_by_label("Key").fill(SAMS_KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{site.url}/owners/sam/ask")
    page.get_by_role("link", name="vhm", exact=True).click()
    expect(page).to_have_url(f"{site.url}/owners/sam")
    expect(page.get_by_role("article")).to_have_count(len(remembered))
    expect(page.get_by_role("link", name="Owners")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{site.url}/owners/sam")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, site, ANNS_KEY, "/owners/sam")
    expect(page.get_by_role("alert")).to_have_text("the key does not open this memory")


def test_looking_and_filtering(sam: Page, remembered: list[Anchor]) -> None:
    newest_first = [anchor.text.split("\n")[0] for anchor in remembered]
    shown = sam.locator("article .words").all_inner_texts()
    assert [text.split("\n")[0] for text in shown] == newest_first
    sam.get_by_label("Text").fill("quince")
    sam.get_by_role("button", name="Show").click()
    expect(sam.get_by_role("article")).to_have_count(1)
    sam.get_by_role("link", name="All of them").click()
    sam.locator("article", has_text="oven").get_by_role("link", name="session kitchen").click()
    expect(sam.get_by_role("article")).to_have_count(3)
    sam.get_by_label("Speaker").fill("Ann")
    sam.get_by_role("button", name="Show").click()
    expect(sam.get_by_role("article")).to_have_count(1)
    sam.get_by_label("Text").fill("nothing of that kind")
    sam.get_by_role("button", name="Show").click()
    expect(sam.get_by_text("No memory fits this.")).to_be_visible()


def test_asking_and_why(sam: Page, remembered: list[Anchor]) -> None:
    sam.get_by_role("link", name="Ask").click()
    sam.get_by_label("Question").fill("Which platform does the train to Vienna leave from?")
    sam.get_by_role("button", name="Ask").click()
    expect(sam.locator(".story")).to_contain_text("platform 7")
    first = sam.locator(".beats li").first
    expect(first).to_contain_text("The night train to Vienna")
    rows = sam.locator(".why tbody tr")
    expect(rows.first).to_contain_text("recalled")
    for part in ("meaning", "words"):
        assert rows.first.locator(f"rect.{part}").bounding_box() is not None
    expect(rows.last).to_contain_text("weaker")
    expect(sam.locator(".plot .beat")).to_have_count(sam.locator(".beats li").count())
    sam.get_by_label("Question").fill("What is the capital of Mongolia?")
    sam.get_by_role("button", name="Ask").click()
    expect(sam.get_by_text("Below stands why.")).to_be_visible()
    expect(sam.get_by_text("no memory matches well enough").first).to_be_visible()


def test_adding_superseding_and_forgetting(signed_in: Page, site: Served) -> None:
    page = signed_in
    page.goto(f"{site.url}/owners/changes")
    expect(page.get_by_text("Nothing is remembered here yet.")).to_be_visible()
    page.get_by_role("link", name="Add the first memory").click()
    page.get_by_label("What was said").fill("The key is under the pot.\nThe red one.")
    page.get_by_label("Speaker").fill("Ann")
    page.get_by_label("Session").fill("home")
    page.get_by_label("When, if not now").fill(WHEN)
    page.get_by_role("button", name="Remember").click()
    expect(page.get_by_role("status")).to_have_text("It is stored, and recalled from now on.")
    expect(page.locator(".words")).to_have_text("The key is under the pot.\nThe red one.")
    page.get_by_role("link", name="Replace by a newer one").click()
    expect(page.get_by_label("Speaker")).to_have_value("Ann")
    page.get_by_label("What was said").fill("The key is with the neighbour.")
    page.get_by_label("Expires, if ever").fill("2020-01-01T00:00")
    page.get_by_role("button", name="Replace").click()
    expect(page.get_by_role("alert")).to_contain_text("expires_at: not after stored_at")
    expect(page.get_by_label("What was said")).to_have_value("The key is with the neighbour.")
    page.get_by_label("Expires, if ever").fill("")
    page.get_by_role("button", name="Replace").click()
    page.get_by_role("link", name="an older one").click()
    expect(page.get_by_text("superseded by")).to_be_visible()
    page.get_by_role("link", name="Forget").click()
    expect(page.get_by_text("1 memory goes")).to_be_visible()
    expect(page.get_by_text("The key is under the pot.")).to_be_visible()
    expect(page.get_by_text("7 days old")).to_be_visible()
    page.get_by_role("link", name="Keep it").click()
    expect(page.get_by_role("article")).to_have_count(2)
    page.get_by_role("link", name="session home").first.click()
    page.get_by_text("Forget several").click()
    page.get_by_role("link", name="The session home").click()
    expect(page.get_by_text("2 memories go")).to_be_visible()
    page.get_by_role("button", name="Forget them").click()
    expect(page.get_by_role("status")).to_have_text("2 memories are forgotten.")
    expect(page.get_by_text("Nothing is remembered here yet.")).to_be_visible()


def test_dead_letters_and_workers(signed_in: Page, site: Served) -> None:
    producer = Producer({"bootstrap.servers": site.bootstrap})
    producer.produce("anchors-write", b'{"text": 3, "note": "<script>"}', b"k")
    producer.flush()
    page = signed_in
    letter = page.get_by_text("validation_failed")
    for _ in range(20):
        page.get_by_role("link", name="Health").click()
        if letter.count():
            break
        page.wait_for_timeout(250)
    expect(page.get_by_role("row", name="indexer")).to_contain_text("works")
    expect(page.get_by_role("row", name="anchors-write validation_failed")).to_be_visible()
    page.locator("summary").first.click()
    expect(page.get_by_text("text: expected `str`, got `int`").first).to_be_visible()
    expect(page.get_by_text('{"text": 3, "note": "<script>"}').first).to_be_visible()


def test_a_key_for_reading_changes_nothing(site: Served, page: Page, remembered: list[Anchor]) -> None:
    sign_in(page, site, READING_KEY)
    expect(page.get_by_role("article")).to_have_count(len(remembered))
    expect(page.get_by_role("link", name="Add")).to_have_count(0)
    page.goto(f"{site.url}/owners/sam/add")
    expect(page.get_by_role("alert")).to_have_text("the key is for reading only")
    page.goto(f"{site.url}/workers")
    expect(page.get_by_role("alert")).to_have_text("the key does not open every memory")


def test_what_is_remembered_is_text(signed_in: Page, site: Served, memory: Memory) -> None:
    odd = memories.hostile("odd")
    assert all(isinstance(receipt, Receipt) for receipt in memory.of("odd").remember_many(odd))
    page = signed_in
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    for address in ["/owners/odd", *(f"/owners/odd/memories/{anchor.anchor_id}" for anchor in odd),
                    "/owners/odd/ask?question=" + quote(memories.HOSTILE["script"])]:  # fmt: skip
        page.goto(site.url + address)
        assert page.title().endswith(" · vhm")
        assert page.locator("main script, main img, main b").count() == 0
        shown = page.content()
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    page.goto(f"{site.url}/owners/odd")
    text = page.locator("main").inner_text()
    assert memories.HOSTILE["script"] in text
    assert "before U+001B[31mred" in text
    assert "the total is U+202E00.1$U+202C" in text
    assert "{{ 7 * 7 }}" in text
    assert said == []


@pytest.fixture(params=[(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")], ids=str)
def view(request: pytest.FixtureRequest, browser: Browser, site: Served) -> Iterator[Page]:
    """A signed-in tab of that width and scheme, which runs no script and records what it asks for."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    sign_in(page, site, KEY)
    yield page
    context.close()


PAGES = ("/owners", "/owners/sam", "/owners/odd", "/owners/nobody", "/owners/sam/ask",
         "/owners/sam/ask?question=who+planted+the+quince+tree%3F", "/owners/sam/add",
         "/owners/sam/forget?everything=true", "/workers", "/owners/sam/memories/none")  # fmt: skip


def test_every_page_fits_is_accessible_and_asks_nobody_else(
    view: Page, site: Served, memory: Memory, remembered: list[Anchor]
) -> None:
    list(memory.of("odd").remember_many(memories.hostile("odd")))
    hosts: set[str] = set()
    view.on("request", lambda request: hosts.add("/".join(request.url.split("/")[:3])))
    complaints: list[str] = []
    view.on("console", lambda message: complaints.append(message.text))
    width = view.viewport_size["width"] if view.viewport_size else 0
    one = f"/owners/sam/memories/{remembered[0].anchor_id}"
    for path in (*PAGES, one):
        view.goto(site.url + path)
        assert view.evaluate("document.documentElement.scrollWidth") <= width, path
        found = Axe().run(view)
        grave = [
            f"{path}: {violation['id']} {[node['target'] for node in violation['nodes']][:3]}"
            for violation in found.response["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
        assert grave == []
    assert hosts == {site.url}
    assert [line for line in complaints if "Content Security Policy" in line] == []


def test_by_keyboard_alone(page: Page, site: Served, remembered: list[Anchor]) -> None:
    page.goto(site.url)
    expect(page.get_by_label("Key")).to_be_focused()
    page.keyboard.type(SAMS_KEY)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/owners/sam")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Ask":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/ask")
    while page.evaluate("document.activeElement.name") != "question":
        page.keyboard.press("Tab")
    page.keyboard.type("who planted the quince tree?")
    page.keyboard.press("Enter")
    expect(page.locator(".beats li").first).to_contain_text("quince")


def test_without_script(browser: Browser, site: Served, remembered: list[Anchor]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, site, SAMS_KEY)
    expect(page.locator("article")).to_have_count(len(remembered))
    page.goto(f"{site.url}/owners/sam/ask?question=who+planted+the+quince+tree%3F")
    expect(page.locator(".beats li").first).to_contain_text("quince")
    context.close()
