"""Files of memories as people have them."""

from __future__ import annotations

import codecs
import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vhm.commands.memory_file import Note, read
from vhm.errors import UserError

LINES = '{"text": "Wout owns the ladder"}\n\n{"text": "Béa owns the saw"}\n'


def notes(tmp_path: Path, content: bytes) -> tuple[list[Note], list[tuple[int, str]]]:
    file = tmp_path / "notes"
    file.write_bytes(content)
    refused: list[tuple[int, str]] = []
    return list(read(file, "", lambda line, why: refused.append((line, why)))), refused


@pytest.mark.parametrize(
    "content",
    [
        LINES.encode(),
        codecs.BOM_UTF8 + LINES.encode(),
        LINES.replace("\n", "\r\n").encode(),
        LINES.encode("utf-16"),
        LINES.encode("utf-16-le"),
        LINES.encode("utf-16-be"),
        gzip.compress(LINES.encode(), mtime=0),
        gzip.compress(LINES.encode("utf-16"), mtime=0),
    ],
    ids=["utf-8", "bom", "crlf", "utf-16", "utf-16-le", "utf-16-be", "gzip", "gzip of utf-16"],
)
def test_the_same_lines_however_the_file_is_written(tmp_path: Path, content: bytes) -> None:
    found, refused = notes(tmp_path, content)
    assert [(note.line, note.anchor.text) for note in found] == [
        (1, "Wout owns the ladder"),
        (3, "Béa owns the saw"),
    ]
    assert refused == []
    assert [note.anchor.anchor_id for note in found] == [
        note.anchor.anchor_id for note in notes(tmp_path, LINES.encode())[0]
    ]


def test_an_array_and_an_object_over_several_lines_are_read(tmp_path: Path) -> None:
    array = json.dumps([{"text": "one"}, {"text": ""}, {"text": "three"}], indent=2).encode()
    found, refused = notes(tmp_path, array)
    assert [(note.line, note.anchor.text) for note in found] == [(1, "one"), (3, "three")]
    assert [line for line, _ in refused] == [2]
    found, refused = notes(tmp_path, json.dumps({"text": "one"}, indent=2).encode())
    assert [note.anchor.text for note in found] == ["one"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"Wout owns the ladder\nBea owns the saw\n", "not JSON lines"),
        (b"text,when\nladder,2025\n", "not JSON lines"),
        (b"[1, 2", "not a JSON array to its end"),
        (gzip.compress(LINES.encode(), mtime=0)[:20], "damaged gzip"),
        (b"PK\x03\x04rest", "unpack it first"),
        (b"\xff\xfea", "save it as UTF-8"),
    ],
    ids=["text", "csv", "half an array", "half a gzip", "zip", "half a utf-16"],
)
def test_what_cannot_be_read_is_named_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(UserError, match=says) as refused:
        notes(tmp_path, content)
    assert str(refused.value).startswith(f"--file {tmp_path / 'notes'}: ")
    assert "\n" not in str(refused.value)


def test_dates_mean_in_a_file_what_they_mean_after_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        lines = [
            {"text": "naive", "stored_at": "2025-01-01T10:00"},
            {"text": "space", "stored_at": "2025-01-01 10:00"},
            {"text": "alone", "stored_at": "2025-01-01"},
            {"text": "other name", "created_at": "2025-01-01T10:00:00Z"},
            {"text": "both", "stored_at": "2025-01-01T10:00:00Z", "created_at": "2024-01-01T10:00:00Z"},
            {"text": "words", "stored_at": "3 days ago"},
        ]
        found, refused = notes(tmp_path, "\n".join(map(json.dumps, lines)).encode())
    finally:
        monkeypatch.undo()
        time.tzset()
    assert refused == []
    morning, midday = datetime(2025, 1, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, 10, tzinfo=UTC)
    assert [note.anchor.stored_at for note in found[:5]] == [
        *(morning, morning, datetime(2024, 12, 31, 15, tzinfo=UTC)),
        *(midday, midday),
    ]
    assert abs(datetime.now(UTC) - found[5].anchor.stored_at - timedelta(days=3)) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "x", "stored_at": "my birthday"}', "stored_at: cannot read 'my birthday'"),
        ('{"text": "x", "created_at": "03/04/2025"}', "created_at: cannot read '03/04/2025'"),
        ('{"text": "x", "stored_at": 1700000000}', "got 1700000000"),
        ('{"text": "x", "stored_at": "\\u001b[2J"}', "stored_at"),
        ('{"text": "  \\t "}', "text: it is blank"),
        ('{"text": "x", "salience": 1e999}', "out of range"),
        ('{"text": "x", "salience": NaN}', "message"),
        ('{"text": "x", "salience": 9, "stored_at": "soon"}', "stored_at: cannot read 'soon'"),
    ],
)
def test_what_is_refused_is_shown(tmp_path: Path, line: str, says: str) -> None:
    found, refused = notes(tmp_path, f'{{"text": "good"}}\n{line}\n'.encode())
    assert [note.anchor.text for note in found] == ["good"]
    assert [number for number, _ in refused] == [2]
    assert says in refused[0][1]
    assert "\x1b" not in refused[0][1]
