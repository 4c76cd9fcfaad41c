"""The client commands as a person types them, against the running system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from vhm import Refused, Unavailable, local_state
from vhm.client import kafka
from vhm.commands import dead_letters
from vhm.commands.dates import shown
from vhm.commands.forget import forget
from vhm.commands.recall import recall
from vhm.commands.remember import remember
from vhm.errors import UserError
from vhm.local import System
from vhm.runtime import logs


@pytest.fixture
def here(system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> System:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", system.bootstrap)
    monkeypatch.setenv("VHM_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    logs.configure("ERROR", None)  # other tests of this process may have set it otherwise
    return system


@pytest.mark.usefixtures("here")
def test_a_remembered_text_is_recalled_and_retold(capsys: pytest.CaptureFixture[str]) -> None:
    word = uuid.uuid4().hex
    assert remember(f"{word} on the roof", at="3 days ago", salience=2) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("remembered ")
    assert f", of {shown(datetime.now().astimezone() - timedelta(days=3))[:13]}" in printed
    assert recall(word) == 0
    printed = capsys.readouterr().out
    assert "3 days ago" in printed
    assert printed.count("on the roof") == 2  # the beat and the story


@pytest.mark.usefixtures("here")
def test_no_dead_letters_are_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (dead_letters.show, dead_letters.list_):
        assert command(only=dead_letters.Only(reason="never")) == 0
        assert capsys.readouterr().out == "no dead letters of that kind\n"


@pytest.mark.usefixtures("here")
def test_a_memory_dated_ahead_says_when_it_will_be_recalled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remember(f"{uuid.uuid4().hex} sails", at="2126-03-01T10:00")
    when = shown(datetime(2126, 3, 1, 10).astimezone())
    assert f"recalled from {when} on" in capsys.readouterr().out
    file = tmp_path / "ahead.jsonl"
    file.write_text(json.dumps({"text": f"{uuid.uuid4().hex} lands", "stored_at": "2126-03-01T10:00"}))
    remember(file=file)
    assert f"1 dated ahead, the first recalled from {when} on" in capsys.readouterr().out


def test_whoever_recalls_is_told_of_what_the_broker_dropped(
    here: System, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    up = local_state.Running(pid=os.getpid(), bootstrap=here.bootstrap, health={})
    local_state.announce(tmp_path, up)
    recall("tea")
    assert "dropped" not in capsys.readouterr().err
    local_state.announce(tmp_path, msgspec.structs.replace(up, skipped=3))
    recall("tea")
    assert "vhm: 3 records were dropped by the embedded broker" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_pipe_gets_one_memory_a_line_uncut_and_no_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    word = uuid.uuid4().hex
    text = f"{word}\n\x1b[31mred\x1b[0m \x9b2J " + "and a long way round " * 30
    remember(text, at="3 days ago")
    capsys.readouterr()
    recall(word, explain=3)
    printed = capsys.readouterr().out
    assert not set(printed) & set("\x1b\x9b\r")
    beat = printed.splitlines()[0]
    assert beat.startswith("3 days ago\t")
    assert f"{word} / ␛[31mred␛[0m ␛[2J and a long way round and" in beat
    assert beat.count("and a long way round") == 30
    recall(word, json=True)
    raw = capsys.readouterr().out
    assert not set(raw) & set("\x1b\x9b")
    assert json.loads(raw)["beats"][0]["text"] == text


@pytest.mark.usefixtures("here")
def test_what_was_just_remembered_is_recalled_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    word = uuid.uuid4().hex
    remember(f"{word} just now")
    capsys.readouterr()
    assert recall(word, json=True) == 0
    assert json.loads(capsys.readouterr().out)["beats"][0]["text"] == f"{word} just now"


@pytest.mark.usefixtures("here")
def test_an_owner_s_memory_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    word = uuid.uuid4().hex
    remember(f"{word} of Sam", owner="sam")
    capsys.readouterr()
    recall(word, json=True)
    assert f"{word} of Sam" not in capsys.readouterr().out
    recall(word, owner="sam", json=True)
    assert json.loads(capsys.readouterr().out)["beats"][0]["text"] == f"{word} of Sam"


@pytest.mark.usefixtures("here")
def test_a_memory_is_forgotten(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    word = uuid.uuid4().hex
    remember(f"{word} of Sam", owner="sam", session=word, expires="in 400 days")
    with pytest.raises(UserError, match="--yes"):
        forget(session=word, owner="sam")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda prompt: "n")
    with pytest.raises(UserError, match="nothing was forgotten"):
        forget(session=word, owner="sam")
    with pytest.raises(UserError, match="exactly one of"):
        forget(str(uuid.uuid4()), session=word, yes=True)
    capsys.readouterr()
    monkeypatch.setattr("builtins.input", lambda prompt: "y")
    assert forget(session=word, owner="sam") == 0
    printed = capsys.readouterr().out
    assert "forgot 1 memory" in printed
    assert "7 days" in printed
    recall(word, owner="sam", json=True)
    assert word not in json.dumps(json.loads(capsys.readouterr().out)["beats"])


@pytest.mark.usefixtures("here")
def test_words_without_quotes_are_explained() -> None:
    with pytest.raises(UserError, match='in quotes: vhm recall "my favourite editor"'):
        recall("my", "favourite", "editor")
    with pytest.raises(UserError, match=r"--salience: wants a number from 0\.3 to 2\.5, got 5"):
        remember("a", salience=5)


@pytest.mark.usefixtures("here")
def test_explained_candidates_multiply_up(capsys: pytest.CaptureFixture[str]) -> None:
    word = uuid.uuid4().hex
    for day in (1, 2, 3, 4):
        remember(f"{word} {day}", at=f"{day} days ago")
    capsys.readouterr()
    recall(word, explain=4)
    printed = capsys.readouterr().out
    assert "left out because" in printed
    assert printed.count(word) >= 7  # three beats and four candidates


@pytest.mark.usefixtures("here")
def test_a_recall_can_be_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    word = uuid.uuid4().hex
    remember(f"{word} costs $5 & more", at="2 days ago")
    for name, begins in (("p.svg", b"<?xml"), ("p.png", b"\x89PNG")):
        recall(word, plot=tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begins)
    for name in ("p.gif", "nowhere/p.svg"):
        with pytest.raises(UserError, match="--plot"):
            recall(word, plot=tmp_path / name)
    capsys.readouterr()


@pytest.mark.usefixtures("here")
def test_a_file_of_notes_is_counted_and_its_faults_named_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = str(uuid.uuid4())
    lines = [
        json.dumps({"text": f"note {uuid.uuid4()}"}),
        "",
        json.dumps({"text": ""}),
        "not json",
        json.dumps({"anchor_id": same, "text": "one", "stored_at": "2026-01-01T00:00:00Z"}),
        json.dumps({"anchor_id": same, "text": "two", "stored_at": "2026-01-01T00:00:00Z"}),
        *(json.dumps({"text": f"many {n} {uuid.uuid4()}"}) for n in range(1500)),
    ]
    file = tmp_path / "notes.jsonl"
    file.write_text("\n".join(lines))
    assert remember(file=file) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("1502 remembered, 3 refused")
    said = printed.err.splitlines()
    assert [line.removeprefix(f"{file}:").split(":")[0] for line in said] == ["3", "4", "6"]
    # what is stored already is the same memory; what contradicts it is refused by the indexer
    file.write_text("\n".join([lines[0], lines[5]]))
    assert remember(file=file) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("1 remembered, 1 refused")
    assert f"{file}:2: anchor_immutable_violation" in printed.err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: remember(), "text or --file"),
        (lambda: remember("x", salience=9), "salience"),
        (lambda: remember("x", salience=float("nan")), "--salience"),
        (lambda: remember("x", salience=float("inf")), "--salience"),
        (lambda: remember(" \n "), "blank"),
        (lambda: remember("\udcff"), "not valid Unicode"),
        (lambda: remember("x", at=""), "empty"),
        (lambda: recall("x", now=""), "empty"),
        (lambda: remember("x", at="soon"), "--at"),
        (lambda: remember("x" * 10_001), "text"),
        (lambda: remember(file=Path("/nowhere/at/all")), "No such file"),
        (lambda: recall("x", top_k=0), "--top-k"),
        (lambda: recall(" "), "empty"),
        (lambda: recall("x", now="soon"), "--now"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(call: object, says: str) -> None:
    with pytest.raises((UserError, Refused), match=says) as caught:
        call()  # type: ignore[operator]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", "no broker answers at 127.0.0.1:1"),
        ("no-such-host.invalid:9092", "no such host: no-such-host.invalid:9092"),
        ("somewhere", "wants host:port"),
        ("", "no `vhm up` is running here"),
    ],
)
def test_a_broker_that_is_not_there_is_one_line(
    address: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", address)
    monkeypatch.setenv("VHM_HOME", str(tmp_path))
    monkeypatch.setattr(kafka, "CONNECT_SECONDS", 1.0)
    with pytest.raises((UserError, Refused, Unavailable), match=says):
        recall("x")


@pytest.fixture
def empty() -> Iterator[System]:
    with System(environment={"EMBEDDING_MODEL": "deterministic"}) as system:
        yield system


def test_an_empty_recall_says_why(
    empty: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", empty.bootstrap)
    assert recall("tea") == 0
    printed = capsys.readouterr()
    assert "I remember nothing yet: there are no memories." in printed.out
    assert "the store is empty; try `vhm remember TEXT`" in printed.err
    remember("tea", session="s", at="2100-01-01")
    recall("tea")
    assert "the memories about that are in the future" in capsys.readouterr().err
    recall("tea", session="s", now="2126-01-01")
    assert "without --session" in capsys.readouterr().err


def vhm(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KAFKA")} | {"VHM_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "vhm", *words], env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.slow
def test_up_is_found_by_the_client_commands_and_keeps_its_memories_through_a_kill(tmp_path: Path) -> None:
    environment = os.environ | {"VHM_HOME": str(tmp_path), "EMBEDDING_MODEL": "deterministic"}

    def start() -> subprocess.Popen[bytes]:
        up = subprocess.Popen([sys.executable, "-m", "vhm", "up"], env=environment, stdout=subprocess.PIPE)
        until = time.monotonic() + 60
        while not (tmp_path / "up.json").exists() and time.monotonic() < until:
            time.sleep(0.1)
        return up

    up = start()
    assert vhm("remember", "Mara came for tea", "--at", "2 days ago", home=tmp_path).returncode == 0
    second = vhm("up", home=tmp_path)
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)
    assert "runs on" in second.stderr
    up.kill()
    up.wait()
    gone = vhm("recall", "tea", home=tmp_path)
    assert (gone.returncode, gone.stderr.count("\n")) == (1, 1)
    (tmp_path / "up.json").unlink()
    up = start()
    found = vhm("recall", "tea", "--json", home=tmp_path)
    assert json.loads(found.stdout)["beats"][0]["text"] == "Mara came for tea"
    up.terminate()
    assert up.wait(30) == 0
    assert not (tmp_path / "up.json").exists()


@pytest.mark.slow
def test_the_demo_tells_its_story(tmp_path: Path) -> None:
    told = vhm("demo", home=tmp_path)
    assert told.returncode == 0
    assert "bread" in told.stdout
    assert told.stderr == ""
