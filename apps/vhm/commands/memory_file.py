"""A file of memories as people have them: JSON lines or a JSON array, UTF-8 or UTF-16, gzipped or not."""

from __future__ import annotations

import gzip
import sys
import uuid
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from vhm.commands.dates import moment
from vhm.contract.messages import Anchor, InvalidMessageError, decode
from vhm.errors import UserError
from vhm.memory.control_characters import visible

BLANK = "text: it is blank"

Refuse = Callable[[int, str], None]
"""Called with the number of each faulty line, and its fault."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """An anchor and the line of the file it stands on (of an array, which item it is)."""

    line: int
    anchor: Anchor
    dated_here: bool = False
    """Id and moment are ours: the id stands for the line, so what holds it already is the same memory."""


def read(file: Path, owner: str, refuse: Refuse, *, new_ids: bool = False) -> Iterator[Note]:
    """The memories of a file as those of `owner`, what a line leaves out filled in; `-` is standard input.
    With `new_ids` they get ids of that owner's. Raises UserError where it is no such file."""
    now = datetime.now().astimezone()
    seen: dict[uuid.UUID, int] = {}
    for number, line in _items(_content(file), file):
        try:
            note = _note(number, line, owner, now, new_ids=new_ids)
        except InvalidMessageError as error:
            refuse(number, "; ".join(error.errors))
            continue
        first = seen.setdefault(note.anchor.anchor_id, number)
        if first == number:
            yield note
        else:
            refuse(number, f"anchor_id: already on line {first}")


def _content(file: Path) -> bytes:
    """The file as UTF-8, unpacked, without a byte order mark."""
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"--file {file}: a damaged gzip file ({error})") from None
    except OSError as error:
        raise UserError(f"--file {file}: {error.strerror}") from None
    if data.startswith((b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        raise UserError(
            f"--file {file}: a packed file of a kind that is not read: unpack it first, or use gzip"
        )
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:]
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff")) or (len(data) > 1 and 0 in (data[0], data[1]))
    if not wide:
        return data
    encoding = "utf-16" if data[0] > 0xF0 else "utf-16-be" if data[0] == 0 else "utf-16-le"
    try:
        return data.decode(encoding).encode()
    except UnicodeError:
        raise UserError(f"--file {file}: neither UTF-8 nor UTF-16: save it as UTF-8") from None


def _items(content: bytes, file: Path) -> list[tuple[int, bytes]]:
    """The JSON of each memory and its line, or its place in an array."""
    if content.lstrip()[:1] == b"[":
        try:
            array = msgspec.json.decode(content, type=list[msgspec.Raw])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UserError(f"--file {file}: not a JSON array to its end ({error})") from None
        return [(number, bytes(item)) for number, item in enumerate(array, 1)]
    lines = [(number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip()]
    if len(lines) > 1 and isinstance(_json(content), dict):
        return [(1, content)]
    if lines and not any(line.lstrip().startswith(b"{") for _, line in lines):
        raise UserError(
            f"--file {file}: this is not JSON lines: write one object a line, "
            'like {"text": "…"}; `jq -cR "{text: .}"` makes them of plain lines'
        )
    return lines


def _json(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _note(number: int, line: bytes, owner: str, now: datetime, *, new_ids: bool) -> Note:
    """The line as a memory, what it leaves out filled in. Raises InvalidMessageError."""
    raw = _json(line)
    if not isinstance(raw, dict):
        return Note(line=number, anchor=decode(Anchor, line))
    if new_ids and raw.pop("anchor_id", None) is not None:
        line = msgspec.json.encode([owner, raw])
    nameless = raw.get("anchor_id") is None
    raw["owner"] = owner
    stamp = next((name for name in ("stored_at", "created_at") if raw.get(name) is not None), None)
    faults = []
    if nameless:
        raw["anchor_id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, "vhm:" + line.decode()))
    try:
        raw["stored_at"] = (_moment(raw[stamp], stamp, now) if stamp else now).isoformat()
    except UserError as error:
        faults.append(visible(str(error)))
        raw["stored_at"] = now.isoformat()
    if isinstance(raw.get("text"), str) and raw["text"].isspace():
        faults.append(BLANK)
    try:
        anchor = decode(
            Anchor,
            msgspec.json.encode({name: raw[name] for name in raw if name != "created_at"}),
            strict=True,
        )
    except InvalidMessageError as error:
        raise InvalidMessageError([*faults, *error.errors]) from None
    if faults:
        raise InvalidMessageError(faults)
    return Note(line=number, anchor=anchor, dated_here=nameless and stamp is None)


def _moment(value: object, name: str, now: datetime) -> datetime:
    if not isinstance(value, str):
        raise UserError(f"{name}: expected a date like 2026-05-01T09:00, got {value!r}")
    return moment(value, name, now)
