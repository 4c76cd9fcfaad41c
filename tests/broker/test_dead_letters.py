"""Dead letters read, counted, shown and sent again, through the command line and a real worker."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from broker.conftest import Place
from broker.harness import DEAD, IN, OUT, Echo, until
from vhm.commands import dead_letters
from vhm.errors import UserError
from vhm.runtime.dead_letters import admin


@pytest.fixture
def refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A broker with three dead letters."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", place.address)
    monkeypatch.setenv("COLUMNS", "160")
    with place.run(Echo()) as worker:
        worker.ready()
        place.client.write([b"poison\x1b[31m red"], key=b"k1", headers=[("mine", b"1")], partition=0)
        place.client.write([b"poison two", b"boom"], key=b"k2", partition=1)
        place.client.read(DEAD, 3)
    return place


def run(*words: str) -> int:
    code = dead_letters.app(list(words), result_action="return_value", exit_on_error=False)
    assert isinstance(code, int)
    return code


def test_reasons_are_counted(refused: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    rows = [line.split()[:3] for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [[IN, "nonsense", "2"], [IN, "handler_failed", "1"]]
    assert run("list", "--each", "--reason", "handler_failed") == 0
    assert f"{IN}/1/1" in capsys.readouterr().out
    assert run("list", "--since", "1 minute ago") == 0
    assert "nonsense" in capsys.readouterr().out
    future = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert run("list", "--since", future) == 0
    assert capsys.readouterr().out == "no dead letters of that kind\n"


def test_a_payload_cannot_play_tricks_on_the_terminal(
    refused: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", f"{IN}/0/0") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert r"payload  poison\x1b[31m red" in out
    assert re.search(r"error +text: required, missing", out)
    assert re.search(r"header +mine: 1", out)


def test_exactly_those_asked_for_are_sent_again_as_they_were(
    refused: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    client = refused.client
    before = client.read(IN, 3)
    assert run("replay", f"{IN}/1/0", "--dry-run") == 0
    assert capsys.readouterr().out == f"would send {IN}/1/0 (nonsense)\n"
    assert len(client.read(IN, 3, extra=0.3)) == 3
    assert run("replay", f"{IN}/1/0") == 0
    assert capsys.readouterr().out == f"sent 1 to {IN}\n"
    original = next(m for m in before if m.value() == b"poison two")
    again = [m for m in client.read(IN, 4, extra=0.2) if m.value() == b"poison two"][-1]
    assert (again.key(), again.timestamp()) == (original.key(), original.timestamp())
    with refused.run(Echo()) as worker:
        worker.ready()
        client.read(DEAD, 4)
    until(lambda: run("list") == 0 and "3" in capsys.readouterr().out.splitlines()[1], 10)
    assert not [value for value in client.values(OUT, 0, extra=0.2) if b"poison" in value]


def test_what_to_send_must_be_said(refused: Place) -> None:
    with pytest.raises(UserError, match="say which"):
        run("replay")
    with pytest.raises(UserError, match=f"no such dead letter: {IN}/0/99"):
        run("show", f"{IN}/0/99")
    with pytest.raises(UserError, match="--topic: nowhere has no dead letters"):
        run("replay", "--topic", "nowhere")


def test_nobody_listening_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr(admin, "ANSWER_SECONDS", 0.5)
    with pytest.raises(UserError, match="cannot read dead letters") as caught:
        run("list")
    assert "\n" not in str(caught.value)


def test_an_install_with_a_prefix_has_its_own(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", place.address)
    monkeypatch.setenv("COLUMNS", "160")
    with place.run(Echo(), KAFKA_TOPIC_PREFIX="blue.") as worker:
        worker.ready()
        place.client.write([b"poison"], "blue." + IN, key=b"k")
        place.client.read("blue." + DEAD, 1)
    assert run("list") == 0
    assert capsys.readouterr().out == "no dead letters\n"
    monkeypatch.setenv("KAFKA_TOPIC_PREFIX", "blue.")
    assert run("list", "--topic", IN) == 0
    assert f"blue.{IN}" in capsys.readouterr().out
