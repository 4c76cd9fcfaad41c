"""What the routes answer, right and wrong, over a socket."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from gateway.conftest import client
from gateway.serving import KEY, READING_KEY, SAMS_KEY, Served
from vhm import Anchor, Unavailable
from vhm.client.exchange import PendingAnchor
from vhm.client.kafka import KafkaTransport
from vhm.contract.env_loader import load
from vhm.contract.settings import Settings
from vhm.gateway.app import MOST_BODY_BYTES, create_app
from vhm.local import System

MEMORIES = "/v1/owners/sam/memories"
RECALL = "/v1/owners/sam/recall"
WAIT = {"Prefer": "wait"}
JSON = {"Content-Type": "application/json"}


def word() -> str:
    """A word that no other test has remembered."""
    return f"w{uuid.uuid4().hex[:12]}"


def problem(response: httpx.Response) -> dict[str, Any]:
    """The problem that an answer is, its form checked."""
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["status"] == response.status_code
    assert found["title"]
    return found


def operations() -> list[tuple[str, str]]:
    """Method and path of all that the schema offers below an owner."""
    paths = create_app().openapi_schema.to_schema()["paths"]
    return [(method, path) for path, item in paths.items() if "{owner}" in path for method in item]


@pytest.fixture(scope="module")
def reader(served: Served) -> Iterator[httpx.Client]:
    with client(served, READING_KEY) as reader:
        yield reader


def test_a_memory_is_taken_stored_recalled_listed_and_shown(sam: httpx.Client) -> None:
    about = word()
    body = {"text": f"{about} on the roof", "session": "s1", "speaker": "Sam"}
    (taken,) = sam.post(MEMORIES, json=body).raise_for_status().json()["receipts"]
    assert taken.keys() == {"anchor_id"}
    again = {**body, "anchor_id": taken["anchor_id"], "stored_at": "2026-05-01T09:00:00Z"}
    other = {**again, "anchor_id": str(uuid.uuid4()), "text": f"{about} in the garden"}
    answer = sam.post(MEMORIES, json=[other, other], headers=WAIT)
    assert answer.status_code == 200
    assert answer.json()["receipts"] == [{"anchor_id": other["anchor_id"], "ok": True}] * 2
    found = sam.post(RECALL, json={"query": about, "explain": 2}).raise_for_status().json()
    assert f"{about} on the roof" in {beat["text"] for beat in found["beats"]}
    assert about in found["story"]
    assert len(found["explanation"]["candidates"]) == 2
    assert "story" not in sam.post(RECALL, json={"query": about, "tell": False}).json()
    shown = sam.get(f"{MEMORIES}/{other['anchor_id']}").raise_for_status().json()
    assert (shown["text"], shown["meta"]) == (other["text"], {"session": "s1", "speaker": "Sam"})
    listed = sam.get(MEMORIES, params={"text": about}).json()["memories"]
    assert [anchor["text"] for anchor in listed] == [f"{about} on the roof", f"{about} in the garden"]


def test_an_id_that_holds_something_else_has_a_receipt_that_says_so(sam: httpx.Client) -> None:
    first = {"text": "this", "anchor_id": str(uuid.uuid4()), "stored_at": "2026-05-01T09:00:00Z"}
    sam.post(MEMORIES, json=first, headers=WAIT)
    answer = sam.post(MEMORIES, json={**first, "text": "that"}, headers=WAIT)
    (receipt,) = answer.json()["receipts"]
    assert (answer.status_code, receipt["ok"]) == (200, False)
    assert "anchor_immutable_violation" in receipt["faults"][0]


def test_pages_follow_each_other(sam: httpx.Client) -> None:
    about = word()
    same = [{"text": f"{about} {number}", "stored_at": "2026-05-01T09:00:00Z"} for number in range(5)]
    sam.post(MEMORIES, json=same, headers=WAIT)
    texts: list[str] = []
    query: dict[str, Any] = {"text": about, "limit": 2}
    while True:
        page = sam.get(MEMORIES, params=query).raise_for_status().json()
        assert len(page["memories"]) <= 2
        texts += [anchor["text"] for anchor in page["memories"]]
        if "next" not in page:
            break
        query["cursor"] = page["next"]
    assert sorted(texts) == [memory["text"] for memory in same]


def test_every_fault_is_listed(sam: httpx.Client) -> None:
    body = {"text": "", "salience": 9, "stored_at": "yesterday", "spekaer": "Sam"}
    faults = problem(sam.post(MEMORIES, json=body))["faults"]
    assert [fault.partition(":")[0] for fault in faults] == ["text", "stored_at", "salience", "spekaer"]
    assert "did you mean speaker?" in faults[-1]
    faults = problem(sam.post(MEMORIES, json=[{"text": "a"}, {"text": ""}, {}]))["faults"]
    assert [fault.partition(":")[0] for fault in faults] == ["[1].text", "[2].text"]
    early = {"text": "a", "stored_at": "2026-05-01T09:00:00Z", "expires_at": "2026-04-01T09:00:00Z"}
    faults = problem(sam.post(MEMORIES, json=[early, {"text": "a"}, early]))["faults"]
    assert faults == ["[0].expires_at: not after stored_at", "[2].expires_at: not after stored_at"]
    answer = sam.post(RECALL, json={"top_k": 0, "since": 3, "until": "2026-05-01T09:00:00Z", "at_least": 7})
    assert [fault.partition(":")[0] for fault in problem(answer)["faults"]] == [
        "query",
        "top_k",
        "at_least",
        "since",
    ]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "message: empty"),
        (b"{", "message: "),
        (b"[]", "message: expected 1 to 1000 memories, got 0"),
        (b"[" + b",".join([b'{"text":"a"}'] * 1001) + b"]", "message: expected 1 to 1000 memories, got 1001"),
        (b'{"text":"\xff"}', "message: not UTF-8"),
        (b'"text"', "message: expected a JSON object, got a string"),
        (b'{"text":"a","meta":' + b'{"a":' * 80 + b"1" + b"}" * 81, "meta: nested deeper"),
        (b"[" * 5000, "message: "),
    ],
)
def test_a_body_that_is_none_is_one_clear_fault(sam: httpx.Client, body: bytes, fault: str) -> None:
    answer = sam.post(MEMORIES, content=body, headers=JSON)
    assert answer.status_code == 400
    assert problem(answer)["faults"][0].startswith(fault)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("sicne=2026-05-01T09:00:00Z", ["sicne"]),
        ("owner=ann", ["owner"]),
        ("request=1&a=2", ["a", "request"]),
        ("limit=0", ["limit"]),
        ("limit=many", ["limit"]),
        ("since=yesterday", ["since"]),
        ("where=[1]", ["where"]),
        (f'where={{"n":{2**63}}}', ["where"]),
        ("cursor=nonsense", ["cursor"]),
    ],
)
def test_a_query_parameter_that_is_wrong_or_unknown_is_named(
    sam: httpx.Client, query: str, names: list[str]
) -> None:
    answer = sam.get(f"{MEMORIES}?{query}")
    assert answer.status_code == 400
    assert [fault.partition(":")[0] for fault in problem(answer)["faults"]] == names


def test_a_number_that_no_store_can_compare_is_a_fault_of_the_question(sam: httpx.Client) -> None:
    for number in (2**63, -(2**63) - 1, 10**40):
        answer = sam.post(RECALL, json={"query": "a", "where": {"n": number}})
        assert problem(answer)["faults"][0].startswith("where: ")
    answer = sam.post(RECALL, json={"query": "a", "min_age_seconds": 1e300})
    assert problem(answer)["faults"][0].startswith("min_age_seconds: ")


def test_without_keys_it_says_which_secret_to_make(system: System) -> None:
    with Served(system, keys="") as keyless, client(keyless, KEY) as somebody:
        for path in ("/v1/owners", MEMORIES, "/mcp"):
            answer = somebody.get(path)
            assert answer.status_code == 401
            assert "GATEWAY_KEYS" in problem(answer)["detail"]
            assert "Secret gateway-keys" in problem(answer)["detail"]
        assert somebody.get("/schema/openapi.json").status_code == 200


def test_a_key_is_needed_and_must_be_known(served: Served) -> None:
    with client(served, None) as nobody:
        answer = nobody.get(MEMORIES)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "Authorization: Bearer KEY" in problem(answer)["detail"]
        wrong = nobody.get(MEMORIES, headers={"Authorization": f"Bearer {SAMS_KEY}x"})
        assert (wrong.status_code, problem(wrong)["detail"]) == (401, "the key is not known")
        assert SAMS_KEY not in wrong.text


def test_wrong_keys_by_the_hundred_are_slowed_down(system: System) -> None:
    with Served(system) as served, client(served, "w" * 40) as guesser:
        codes = [guesser.get(MEMORIES).status_code for _ in range(100)]
        assert codes[:20] == [401] * 20
        assert codes.count(429) >= 70
        refused = guesser.get(MEMORIES)
        assert int(refused.headers["retry-after"]) >= 1
        # a right key from there has to wait as well, or guesses would tell themselves apart
        assert guesser.get(MEMORIES, headers={"Authorization": f"Bearer {KEY}"}).status_code == 429


@pytest.mark.parametrize(("method", "path"), operations())
def test_another_owner_s_key_opens_nothing(ann: httpx.Client, method: str, path: str) -> None:
    full = path.format(owner="sam", anchor_id=uuid.uuid4(), session="s")
    body = {"query": "a"} if path.endswith("recall") else {"text": "a"}
    parameters: dict[str, str] = {}
    if method == "delete" and path.endswith("/memories"):
        parameters = {"before": "2026-05-01T09:00:00Z"}
    elif method == "delete" and path.rstrip("/").endswith("{owner}"):
        parameters = {"everything": "true"}
    content = json.dumps(body) if method == "post" else None
    answer = ann.request(method, full, params=parameters, content=content, headers=JSON)
    assert answer.status_code == 403
    assert problem(answer)["detail"] == "the key does not open this memory"


def test_the_owners_are_for_keys_to_every_memory(everybody: httpx.Client, sam: httpx.Client) -> None:
    sam.post(MEMORIES, json={"text": "a"}, headers=WAIT)
    assert "sam" in everybody.get("/v1/owners").json()["owners"]
    assert sam.get("/v1/owners").status_code == 403


def test_a_key_for_reading_changes_nothing(reader: httpx.Client) -> None:
    assert reader.get(MEMORIES).status_code == 200
    assert reader.post(RECALL, json={"query": "tea"}).status_code == 200
    for answer in (
        reader.post(MEMORIES, json={"text": "a"}),
        reader.delete(f"{MEMORIES}/{uuid.uuid4()}"),
        reader.delete("/v1/owners/sam/", params={"everything": "true"}),
    ):
        assert answer.status_code == 403
        assert problem(answer)["detail"] == "the key is for reading only"


def test_a_foreign_id_answers_as_a_missing_one_byte_for_byte(sam: httpx.Client, ann: httpx.Client) -> None:
    anchor_id = str(uuid.uuid4())
    sam.post(MEMORIES, json={"text": "of Sam", "anchor_id": anchor_id}, headers=WAIT).raise_for_status()
    foreign = ann.get(f"/v1/owners/ann/memories/{anchor_id}")
    missing = ann.get(f"/v1/owners/ann/memories/{uuid.uuid4()}")
    assert foreign.status_code == 404
    assert (foreign.status_code, foreign.content) == (missing.status_code, missing.content)
    ignored = {"date", "content-length"}
    assert [pair for pair in foreign.headers.multi_items() if pair[0] not in ignored] == [
        pair for pair in missing.headers.multi_items() if pair[0] not in ignored
    ]
    # and whoever takes it for a memory of one's own does not touch the other
    ann.post("/v1/owners/ann/memories", json={"text": "of Ann", "anchor_id": anchor_id}, headers=WAIT)
    assert sam.get(f"{MEMORIES}/{anchor_id}").json()["text"] == "of Sam"


def test_a_form_of_another_site_is_refused(sam: httpx.Client) -> None:
    body = json.dumps({"text": "a"})
    for media in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = sam.post(MEMORIES, content=body, headers={"Content-Type": media})
        assert answer.status_code == 415
        assert "application/json" in problem(answer)["detail"]
    answer = sam.post(MEMORIES, json={"text": "a"}, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, "evil.example" in problem(answer)["detail"]) == (403, True)
    assert sam.post(MEMORIES, json={"text": "a"}, headers={"Origin": "null"}).status_code == 403
    own = f"http://{sam.base_url.host}:{sam.base_url.port}"
    assert sam.post(MEMORIES, json={"text": "a"}, headers={"Origin": own}).status_code == 202
    assert sam.post("/mcp", json={}, headers={"Origin": "https://evil.example"}).status_code == 403


def test_a_name_that_was_rebound_to_it_is_not_answered(system: System) -> None:
    hosts = ("localhost", "127.0.0.1", "*.svc")
    with Served(system, hosts=hosts) as served, client(served, KEY) as somebody:
        assert somebody.get("/v1/owners").status_code == 200
        assert somebody.get("/v1/owners", headers={"Host": "gateway.vhm.svc:8000"}).status_code == 200
        for host in ("evil.example", "svc", "localhost.evil.example", "127.0.0.1.evil.example:80", ""):
            for path in ("/v1/owners", "/mcp", "/schema/openapi.json"):
                answer = somebody.get(path, headers={"Host": host})
                assert answer.status_code == 421, host
                assert "GATEWAY_ALLOWED_HOSTS" in problem(answer)["detail"]


def test_what_is_too_large_is_413_before_any_202(sam: httpx.Client) -> None:
    whole = sam.post(MEMORIES, content=b" " * (MOST_BODY_BYTES + 1), headers=JSON)
    assert problem(whole)["status"] == 413
    about = word()
    meta = {"a": "x" * 1_010_000}
    one = sam.post(MEMORIES, json=[{"text": about}, {"text": about, "meta": meta}])
    assert problem(one)["status"] == 413
    assert "more than the broker takes" in problem(one)["faults"][0]
    assert sam.get(MEMORIES, params={"text": about}).json()["memories"] == []


def test_who_asks_too_much_is_told_when_to_ask_again(system: System) -> None:
    with Served(system, per_minute=10) as served, client(served, SAMS_KEY) as hasty:
        assert hasty.post(MEMORIES, json=[{"text": "a"}] * 8).status_code == 202
        assert hasty.get(MEMORIES).status_code == 200
        hasty.get(MEMORIES)
        refused = hasty.get(MEMORIES)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 6
        assert "GATEWAY_REQUESTS_PER_MINUTE" in problem(refused)["detail"]
        with client(served, KEY) as other:
            assert other.get(MEMORIES).status_code == 200


def test_an_indexer_far_behind_takes_no_more_and_is_still_asked(system: System) -> None:
    with Served(system, lag=10_001) as served, client(served, SAMS_KEY) as sam:
        refused = sam.post(MEMORIES, json={"text": "a"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert "GATEWAY_MAX_LAG" in problem(refused)["detail"]
        assert sam.post(RECALL, json={"query": "a"}).status_code == 200


class HalfBroker(KafkaTransport):
    """A connection that is lost after the first memory."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.lost = False

    async def remember(self, anchor: Anchor, *, filled: bool) -> PendingAnchor:
        pending = await super().remember(anchor, filled=filled)
        if self.lost:
            pending._exchange.fail(Unavailable("no broker answers"))
        self.lost = True
        return pending


def test_a_broker_that_goes_away_is_503_with_the_ids_it_took(system: System) -> None:
    settings = load(Settings, {"KAFKA_BOOTSTRAP_SERVERS": system.bootstrap})
    ids = [str(uuid.uuid4()) for _ in range(3)]
    with Served(system, transport=HalfBroker(settings)) as served, client(served, KEY) as somebody:
        answer = somebody.post(MEMORIES, json=[{"text": "a", "anchor_id": anchor_id} for anchor_id in ids])
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert problem(answer)["detail"] == "no broker answers"
        assert problem(answer)["ids"] == ids[:1]


def test_paths_and_methods_that_are_none_are_problems(sam: httpx.Client) -> None:
    for answer, status in (
        (sam.get("/v2"), 404),
        (sam.put(MEMORIES, json={}), 405),
        (sam.get(f"{MEMORIES}/not-an-id"), 404),
        (sam.get("/v1/owners/%20/memories"), 400),
        (sam.get("/v1/owners/a,b/memories"), 400),
    ):
        assert problem(answer)["status"] == status


def test_the_owner_without_a_name_is_a_dash(everybody: httpx.Client, sam: httpx.Client) -> None:
    about = word()
    everybody.post("/v1/owners/-/memories", json={"text": about}, headers=WAIT).raise_for_status()
    (anchor,) = everybody.get("/v1/owners/-/memories", params={"text": about}).json()["memories"]
    assert anchor.get("owner", "") == ""
    assert sam.get("/v1/owners/-/memories").status_code == 403


def ask_together(served: Served, count: int) -> None:
    """Remember `count` memories, ask about all of them at once, and see who gets whose answer."""
    words = [word() for _ in range(count)]
    with client(served, KEY) as one:
        for start in range(0, count, 100):
            batch = [{"text": f"{about} said"} for about in words[start : start + 100]]
            one.post("/v1/owners/crowd/memories", json=batch, headers=WAIT).raise_for_status()
        limits = httpx.Limits(max_connections=count)
        # httpx may close an idle connection of its pool just when another thread is given it
        bearer = {"Authorization": f"Bearer {KEY}", "Connection": "close"}
        with (
            httpx.Client(base_url=served.url, headers=bearer, timeout=100, limits=limits) as crowd,
            ThreadPoolExecutor(count) as threads,
        ):

            def ask(about: str) -> list[str]:
                body = {"query": about, "top_k": 1, "tell": False}
                found = crowd.post("/v1/owners/crowd/recall", json=body).raise_for_status().json()
                return [beat["text"] for beat in found["beats"]]

            assert list(threads.map(ask, words)) == [[f"{about} said"] for about in words]


def test_sixty_askers_at_once_get_their_own_answers(served: Served) -> None:
    ask_together(served, 60)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_thousand_askers_at_once_get_their_own_answers(served: Served) -> None:
    ask_together(served, 1_000)
