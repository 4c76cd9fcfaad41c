"""Who the page lets in, and whose forms it takes."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator

import httpx
import pytest

from gateway.serving import ANNS_KEY, KEY, READING_KEY, SAMS_KEY, Served
from vhm import Memory
from vhm.gateway.app import create_app
from vhm.gateway.keys import Keyring
from vhm.gateway.sessions import Sessions
from vhm.local import System

FOREIGN = str(uuid.uuid4())


def token_of(page: httpx.Response) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


@contextlib.contextmanager
def signed_in(served: Served, key: str) -> Iterator[httpx.Client]:
    """A browser, as far as cookies go."""
    with httpx.Client(base_url=served.url, timeout=30) as client:
        token = token_of(client.get("/sign-in"))
        answer = client.post("/sign-in", data={"token": token, "key": key, "target": "/"})
        assert answer.status_code == 303
        yield client


@pytest.fixture
def ann(served: Served) -> Iterator[httpx.Client]:
    with signed_in(served, ANNS_KEY) as client:
        yield client


@pytest.fixture
def everybody(served: Served) -> Iterator[httpx.Client]:
    with signed_in(served, KEY) as client:
        yield client


def test_a_cookie_is_out_of_reach_of_scripts_and_other_sites(served: Served) -> None:
    with httpx.Client(base_url=served.url) as client:
        token = token_of(client.get("/sign-in"))
        plain = client.post("/sign-in", data={"token": token, "key": SAMS_KEY})
        client.cookies.clear()
        secure = client.post(
            "/sign-in",
            data={"token": token, "key": SAMS_KEY},
            headers={"origin": served.url.replace("http://", "https://")},
        )
    words = plain.headers["set-cookie"].lower()
    assert "httponly" in words
    assert "samesite=strict" in words
    assert "secure" not in words
    assert "secure" in secure.headers["set-cookie"].lower()
    assert SAMS_KEY not in plain.headers["set-cookie"]


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "x"])
def test_signing_in_leads_nowhere_else(served: Served, target: str) -> None:
    with httpx.Client(base_url=served.url) as client:
        token = token_of(client.get("/sign-in"))
        answer = client.post("/sign-in", data={"token": token, "key": SAMS_KEY, "target": target})
    assert answer.headers["location"] == "/"


def test_a_form_without_its_token_or_of_another_site_does_nothing(
    served: Served, memory_of_sam: Memory
) -> None:
    kept = memory_of_sam.remember("this stays").wait().anchor_id
    with signed_in(served, SAMS_KEY) as client:
        bound = {"id": str(kept)}
        token = token_of(client.get("/owners/sam/forget", params=bound))
        with httpx.Client(base_url=served.url) as other:
            others = token_of(other.get("/sign-in"))
        for form, headers, status in (
            (bound, {}, 403),
            (bound | {"token": "wrong"}, {}, 403),
            (bound | {"token": others}, {}, 403),
            (bound | {"token": token}, {"origin": "https://evil.example"}, 403),
            (bound | {"token": token}, {"origin": "null"}, 403),
        ):
            assert client.post("/owners/sam/forget", data=form, headers=headers).status_code == status
        typed = {"content-type": "text/plain"}
        content = f"id={kept}&token={token}"
        assert client.post("/owners/sam/forget", content=content, headers=typed).status_code == 415
        wide = bound | {"token": token, "everything": "true"}
        assert client.post("/owners/sam/forget", data=wide).status_code == 400
        assert client.post("/owners/sam/forget", data={"token": token}).status_code == 400
        assert (
            client.post("/owners/sam/forget", data={"token": token, "befor": "2030-01-01"}).status_code == 400
        )
        assert memory_of_sam.get(kept) is not None
        done = client.post("/owners/sam/forget", data=bound | {"token": token})
        assert done.headers["location"] == "/owners/sam?forgot=1"
    assert memory_of_sam.get(kept) is None


def paths() -> list[tuple[str, str]]:
    """Every route of the page below an owner."""
    found: list[tuple[str, str]] = []
    for route in create_app().routes:
        if route.path.startswith("/owners/{"):
            path = route.path.replace("{owner:str}", "sam").replace("{anchor_id:str}", FOREIGN)
            found += [(str(method), path) for method in sorted(route.methods - {"OPTIONS", "HEAD"})]
    return found


def test_no_route_shows_or_changes_anothers_memory(served: Served, ann: httpx.Client) -> None:
    assert len(paths()) >= 7
    token = token_of(ann.get("/owners/ann"))
    for method, path in paths():
        form = {"token": token, "text": "x", "id": FOREIGN} if method == "POST" else None
        answer = ann.request(method, path, data=form)
        assert answer.status_code == 403, (method, path)
        assert "does not open this memory" in answer.text
    for path in ("/owners", "/workers"):
        assert ann.get(path).status_code == 403
    with httpx.Client(base_url=served.url) as stranger:
        for method, path in [*paths(), ("GET", "/"), ("GET", "/owners"), ("GET", "/workers")]:
            answer = stranger.request(method, path, data={"token": token} if method == "POST" else None)
            assert answer.status_code == 401, (method, path)


def test_a_foreign_id_looks_like_a_missing_one(ann: httpx.Client, memory_of_sam: Memory) -> None:
    of_sam = memory_of_sam.remember("sam's own").wait().anchor_id
    for path in ("/owners/ann/memories/{}", "/owners/ann/forget?id={}", "/owners/ann/add?supersedes={}"):
        foreign, missing = ann.get(path.format(of_sam)), ann.get(path.format(uuid.uuid4()))
        assert foreign.status_code == missing.status_code == 404
        assert foreign.text == missing.text


def test_a_reading_key_changes_nothing(served: Served) -> None:
    with signed_in(served, READING_KEY) as client:
        token = token_of(client.get("/owners/sam"))
        for path in ("/owners/sam/add", "/owners/sam/forget"):
            answer = client.post(path, data={"token": token, "text": "x", "everything": "true"})
            assert answer.status_code == 403


def test_wrong_keys_by_the_hundred_are_refused(system: System) -> None:
    with Served(system) as served, httpx.Client(base_url=served.url) as client:
        token = token_of(client.get("/sign-in"))
        statuses = [
            client.post("/sign-in", data={"token": token, "key": f"wrong {number}"}).status_code
            for number in range(100)
        ]
        assert set(statuses) == {401, 429}
        assert statuses.count(401) <= 25  # 20, and one more every three seconds
        right = client.post("/sign-in", data={"token": token, "key": SAMS_KEY})
        assert right.status_code == 429
        assert "retry-after" in right.headers


def test_without_keys_the_page_says_which_secret_to_make(system: System) -> None:
    with Served(system, keys="") as served, httpx.Client(base_url=served.url) as client:
        for path in ("/", "/owners/sam", "/workers", "/sign-in"):
            answer = client.get(path)
            assert answer.status_code == 401
            assert "Secret gateway-keys" in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/sign-in", "/owners/sam/memories/none", "/static/page.css", "/static/no"]
)
def test_every_answer_forbids_scripts_and_frames(served: Served, path: str) -> None:
    policy = httpx.get(served.url + path).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    ("query", "word"),
    [("since=yesterday", "from: expected a day"), ("cursor=x", "cursor: not one"), ("forgot=-1", "forgot")],
)
def test_a_bad_address_is_explained(everybody: httpx.Client, query: str, word: str) -> None:
    answer = everybody.get(f"/owners/sam?{query}")
    assert answer.status_code == 400
    assert word in answer.text


def test_a_bad_memory_is_explained_and_kept_in_the_form(everybody: httpx.Client) -> None:
    token = token_of(everybody.get("/owners/sam/add"))
    form = {"token": token, "text": "kept words", "salience": "9", "at": WHEN, "expires": "tomorrow"}
    answer = everybody.post("/owners/sam/add", data=form)
    assert answer.status_code == 400
    assert "expires_at: expected a date" in answer.text
    assert "kept words" in answer.text
    answer = everybody.post("/owners/sam/add", data=form | {"expires": ""})
    assert "salience" in answer.text


WHEN = "2026-01-01T10:00"


def test_a_session_ends_with_its_key_its_secret_and_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ring, secret = Keyring(f"sam={SAMS_KEY}"), "a secret that replicas share"
    cookie = Sessions(ring, secret).begin(SAMS_KEY)
    assert cookie is not None
    principal = Sessions(ring, secret).principal(cookie)
    assert principal is not None
    assert principal.owner == "sam"
    assert Sessions(ring, secret).begin(ANNS_KEY) is None
    assert Sessions(Keyring(f"sam={ANNS_KEY}"), secret).principal(cookie) is None
    assert Sessions(ring).principal(cookie) is None
    for wrong in (cookie[:-1], cookie + "x", "", None, "a.b.c"):
        assert Sessions(ring, secret).principal(wrong) is None
    monkeypatch.setattr("vhm.gateway.sessions.SESSION_SECONDS", -1)
    assert Sessions(ring, secret).principal(cookie) is None


def test_on_ones_own_machine_nobody_signs_in() -> None:
    environment = {"EMBEDDING_MODEL": "deterministic"}
    with System(environment=environment, gateway=True) as system, httpx.Client(base_url=system.url) as client:
        start = client.get("/", follow_redirects=True)
        assert start.url.path == "/owners/-"
        assert "Sign out" not in start.text
        assert "Add the first memory" in start.text
        token = token_of(client.get("/owners/-/add"))
        added = client.post("/owners/-/add", data={"token": token, "text": "the page is open here"})
        assert added.headers["location"].endswith("?stored=true")
        assert "the page is open here" in client.get(added.headers["location"]).text
        assert client.post("/owners/-/add", data={"text": "without a token"}).status_code == 403
        rebound = client.get("/owners/-", headers={"host": "evil.example"})
        assert rebound.status_code == 421
        workers = client.get("/workers").text
        assert workers.count('<span class="good">works</span>') == 3
