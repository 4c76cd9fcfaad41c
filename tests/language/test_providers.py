"""Each provider through its real client library over a real socket, well and badly behaved.

Whatever a provider does, a person gets a story within its time, one line says why it was passed over,
and no line holds a key.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import pytest
import structlog

from language.provider_server import STORY, Answer, ProviderServer, error, raw, slowly, told
from vhm import language
from vhm.contract.env_loader import Secret
from vhm.contract.messages import Beat
from vhm.contract.settings import LanguageSettings
from vhm.memory import builtin_teller, prompt

KEY = "sk-very-secret-0123456789"
PROVIDERS = ("openai", "portkey", "ollama")
TIMEOUT = 0.4
"""For a provider that will not answer in time."""

PATIENCE = 30.0
"""For one that answers, however busy the machine is."""
BEATS = [
    Beat(
        anchor_id=uuid.UUID(int=1),
        text="I took the train to Breda.",
        perceived_age="2 weeks ago",
        activation=0.9,
    ),
    Beat(anchor_id=uuid.UUID(int=2), text="I lost my keys.", perceived_age="1 month ago", activation=0.4),
]


def settings(url, *providers):
    given: dict[str, Any] = {}
    if "openai" in providers:
        given |= {
            "openai_api_key": Secret(KEY),
            "openai_base_url": f"{url}/v1",
            "openai_model": "gpt-4o-mini",
        }
    if "portkey" in providers:
        given |= {
            "portkey_api_key": Secret(KEY),
            "portkey_base_url": f"{url}/v1",
            "portkey_model": "@a/llama",
        }
    if "ollama" in providers:
        given |= {"ollama_base_url": url, "ollama_model": "llama3"}
    return LanguageSettings(kafka_bootstrap_servers="127.0.0.1:9092", **given)


async def retold(behave, provider, beats=BEATS, seconds=PATIENCE):
    """What a provider that behaves so leads to: the retelling, the log, what it was asked, seconds."""
    async with ProviderServer.running(behave) as server:
        chain = language.create(settings(server.url, provider), seconds)
        with structlog.testing.capture_logs() as log:
            began = time.monotonic()
            retelling = await chain.retell(beats)
            took = time.monotonic() - began
        await chain.close()
    return retelling, log, server.requests, took


@pytest.mark.parametrize(
    "invented", ["On Friday I took the Paris train.", "I took 3 trains.", "Near Gouda, no."]
)
def test_an_answer_that_invents_is_not_told(invented):
    text, log, _, _ = asyncio.run(retold(told(invented), "ollama"))
    assert text == language.Retelling(builtin_teller.tell(BEATS), "built-in")
    refused = [line for line in log if line["event"] == "provider passed over"]
    assert "no memory has" in refused[0]["why"]
    assert not {"Paris", "Friday", "Gouda"} & set(str(log).split())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_good_answer_is_the_retelling(provider):
    retelling, log, asked, _ = asyncio.run(retold(told(f"  Recap: “{STORY}”\n"), provider))
    assert retelling.text == STORY
    assert retelling.teller.startswith(provider)
    assert log == []
    assert len(asked) == 1


@pytest.mark.parametrize("provider", ["openai", "portkey"])
def test_what_a_chat_provider_is_asked(provider):
    _, _, [asked], _ = asyncio.run(retold(told(STORY), provider))
    request = prompt.prompt(BEATS)
    assert asked.path == "/v1/chat/completions"
    assert asked.body["model"] == {"openai": "gpt-4o-mini", "portkey": "@a/llama"}[provider]
    assert [(m["role"], m["content"]) for m in asked.body["messages"]] == [
        ("system", request.system),
        ("user", request.user),
    ]
    assert (asked.body["temperature"], asked.body["max_tokens"]) == (0.35, 180)
    assert not asked.body.get("stream")
    assert KEY in asked.headers["authorization" if provider == "openai" else "x-portkey-api-key"]


def test_what_ollama_is_asked():
    _, _, [asked], _ = asyncio.run(retold(told(STORY), "ollama"))
    assert asked.path == "/api/generate"
    assert asked.body["model"] == "llama3"
    assert asked.body["stream"] is False
    assert asked.body["options"] == {"temperature": 0.35, "num_predict": 180}
    assert "I took the train to Breda." in asked.body["prompt"]


def test_portkey_may_be_told_by_a_config_alone():
    async def run():
        async with ProviderServer.running(told(STORY)) as server:
            chain = language.create(
                LanguageSettings(
                    kafka_bootstrap_servers="127.0.0.1:9092",
                    portkey_api_key=Secret(KEY),
                    portkey_base_url=f"{server.url}/v1",
                    portkey_config_id="pc-story-1",
                ),
                PATIENCE,
            )
            retelling = await chain.retell(BEATS)
            await chain.close()
            return retelling, server.requests

    retelling, [asked] = asyncio.run(run())
    assert retelling == language.Retelling(STORY, "portkey config pc-story-1")
    assert asked.headers["x-portkey-config"] == "pc-story-1"


FAULTS = {
    "401": (error(401, "Incorrect API key provided:"), "401: access denied, check "),
    "403": (error(403, "Not allowed for"), "403: access denied, check "),
    "404 model": (error(404, "model 'llama3' not found"), "404: no model"),
    "429": (
        error(429, "Rate limit reached", retry_after="7"),
        "429: over its quota, retry after 7 s",
    ),
    "429 without Retry-After": (error(429, "You exceeded your quota"), "429: over its quota"),
    "500": (error(500, "The server had an error"), "500: The server had an error"),
    "503 HTML": (
        lambda request: Answer(b"<html>down</html>", 503, content_type="text/html"),
        "503: service unavailable",
    ),
    "hang": (slowly(told(STORY), pause=30), "no answer within 0.4 s"),
    "slow bytes": (slowly(told(STORY), pause=0.05, pieces=100), "no answer within 0.4 s"),
    "invalid JSON": (raw(b'{"choices": [{"mess'), "not"),
    "HTML with 200": (raw(b"<html>log in</html>", "text/html"), "an answer "),
    "JSON of another kind": (raw(b"[1, 2]"), "an answer "),
    "null": (raw(b"null"), "an answer "),
    "empty text": (told(""), "an answer that cannot be used: empty"),
    "null text": (told(None), "answer"),
    "text of another type": (told(42), "answer"),
    "only thoughts": (told("<think>Hm. Trains."), "nothing but thoughts"),
    "declined in words": (told("I'm sorry, but I can't help with that."), "it declined to tell this"),
    "cut in the first sentence": (told("I took the train to", finish="length"), "no whole sentence"),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_passed_over_in_time_with_one_line_that_holds_no_key(provider, fault):
    behave, why = FAULTS[fault]
    late = fault in ("hang", "slow bytes")
    retelling, log, asked, took = asyncio.run(retold(behave, provider, seconds=TIMEOUT if late else PATIENCE))
    assert retelling == language.Retelling(builtin_teller.tell(BEATS), "built-in")
    assert [line["event"] for line in log] == ["provider passed over"]
    assert log[0]["provider"].startswith(provider)
    assert why in log[0]["why"]
    assert "\n" not in log[0]["why"]
    assert KEY[3:12] not in str(log)
    assert len(asked) == 1, "retried inside the client library"
    assert not late or took < TIMEOUT + 5


@pytest.mark.parametrize("provider", ["openai", "portkey"])
@pytest.mark.parametrize(
    ("behave", "why"),
    [
        (raw(b'{"id": "1", "object": "chat.completion", "choices": []}'), "without choices"),
        (raw(b'{"id": "1", "object": "chat.completion", "choices": null}'), "without choices"),
        (raw(b'{"id": "1", "object": "chat.completion", "choices": [{}]}'), "used: empty"),
        (told(None, refusal="I will not."), "declined"),
        (told("", finish="content_filter"), "declined"),
    ],
)
def test_faults_of_chat_completions(provider, behave, why):
    retelling, log, _, _ = asyncio.run(retold(behave, provider))
    assert retelling.teller == "built-in"
    assert why in log[0]["why"]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("answered", "story"),
    [
        (f"<think>Trains,\nkeys.</think>\n\n{STORY}", STORY),
        (f"Let me see... </think> {STORY}", STORY),
        (f"{STORY} <think>Was that good?", STORY),
        (f"**Recap:** {STORY}", STORY),
        ("First line.\nSecond\tline.", "First line. Second line."),
    ],
)
def test_only_the_story_is_kept_of_an_answer(provider, answered, story):
    retelling, _, _, _ = asyncio.run(retold(told(answered), provider))
    assert retelling.text == story


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_without_end_is_kept_to_whole_sentences(provider):
    long, _, _, _ = asyncio.run(retold(told("I took the train again. " * 400), provider))
    assert long.teller != "built-in"
    assert 900 < len(long.text) <= 1_000
    assert long.text.endswith("I took the train again.")
    cut, _, _, _ = asyncio.run(retold(told(f"{STORY} And then I", finish="length"), provider))
    assert cut.text == STORY


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://me:secret-word@127.0.0.1:9", "cannot reach 127.0.0.1:9: nothing listens there"),
        ("http://no-such-host.invalid", "cannot reach no-such-host.invalid: no such host"),
    ],
)
def test_a_provider_that_is_not_there_is_passed_over(provider, url, why):
    async def run():
        chain = language.create(settings(url, provider), 5)
        with structlog.testing.capture_logs() as log:
            retelling = await chain.retell(BEATS)
        await chain.close()
        return retelling, log

    retelling, [line] = asyncio.run(run())
    assert retelling.teller == "built-in"
    assert line["why"] == why


def test_the_next_provider_tells_when_one_fails():
    def behave(request):
        if request.headers.get("host") and "x-portkey-api-key" in request.headers:
            return error(500, "down")(request)
        return (told(STORY) if request.ollama else error(429, "over"))(request)

    async def run():
        async with ProviderServer.running(behave) as server:
            chain = language.create(settings(server.url, *PROVIDERS), PATIENCE)
            with structlog.testing.capture_logs() as log:
                retelling = await chain.retell(BEATS)
            states = chain.states()
            await chain.close()
            return retelling, log, states

    retelling, log, states = asyncio.run(run())
    assert retelling == language.Retelling(STORY, "ollama llama3")
    assert [line["provider"] for line in log] == ["openai gpt-4o-mini", "portkey @a/llama"]
    assert states == [
        "openai gpt-4o-mini: failing (1 in a row); last failure: 429: over its quota (over ***)",
        "portkey @a/llama: failing (1 in a row); last failure: 500: down ***",
        "ollama llama3: in use",
        "built-in: always there",
    ]


def test_nothing_to_tell_asks_nobody():
    retelling, log, asked, _ = asyncio.run(retold(told(STORY), "openai", beats=[]))
    assert (retelling.text, log, asked) == ("Nothing I remember is about that.", [], [])
