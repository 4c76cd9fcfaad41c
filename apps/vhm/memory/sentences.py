"""A text as it can be quoted: on one line, in its sentences, in the marks of its own script."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vhm.memory.control_characters import visible

ENDS = ".!?…。！？｡।॥؟۔։።"
"""Marks that end a sentence, in any script."""

_CLOSERS = "\"'”’»)］」』）"
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[“\"'])(?:\w|\d+|Dr|Mr|Ms|Mrs|Prof|St|Jr|Sr|vs|cf|ca|approx|No|Nr|Art|Fig|\w(?:\.\w)+)\.$"
)
_BREAK = re.compile(
    rf"(?<=[{ENDS}])[{_CLOSERS}]*\s+(?=[^\s])|(?<=[。！？｡])(?![{_CLOSERS}{ENDS}\s])|\s(?=\[)|(?<=\])\s"
)
_SCRIPTS = (  # a letter, the full stop, the quotation marks, and those around a text that has such marks
    (re.compile("[\u3040-\u30ff]"), "。", "「」", "『』"),
    (re.compile("[\u3400-\u9fff\uf900-\ufaff]"), "。", "“”", "‘’"),
    (re.compile("[\u0900-\u097f]"), "।", "“”", "‘’"),
    (re.compile("[\u0400-\u04ff\u0370-\u03ff]"), ".", "«»", "„“"),
    (re.compile("[\u0600-\u06ff]"), ".", "«»", "“”"),
    (re.compile("[\u0530-\u058f]"), "։", "«»", "“”"),
    (re.compile("[\u1200-\u137f]"), "።", "«»", "“”"),
    (re.compile(""), ".", "“”", "‘’"),
)
_LETTER = re.compile(r"[^\W\d_]")


def line(text: str) -> str:
    """The text on one line, control characters made visible; lines that end without a mark end in " /"."""
    lines = [" ".join(part.split()) for part in visible(text).split("\n") if part.strip()]
    ended = [part if part[-1] in ENDS + ",;:" else f"{part} /" for part in lines[:-1]]
    return " ".join([*ended, *lines[-1:]])


def sentences(text: str) -> list[str]:
    """The sentences of one line in order, each with its own punctuation; "[…]" stands by itself.

    Where it is doubtful that one ends (an abbreviation, a number, a small letter next), it goes on."""
    parts: list[str] = []
    start = 0
    for match in _BREAK.finditer(text):
        before, after = text[start : match.start()], text[match.end() :][:1]
        bracket = after == "[" or before.endswith("]")
        if not bracket and (after.islower() or _ABBREVIATION.search(before[-12:])):
            continue
        closers = match[0].rstrip()
        parts.append((before + closers).strip())
        start = match.end()
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def joined(sentences: Iterable[str]) -> str:
    """Sentences on one line again: with spaces, but for those of scripts that have none."""
    return re.sub(r"(?<=[。！？｡]) (?!…)", "", " ".join(sentences))


def quoted(text: str) -> str:
    """The text in quotation marks, with a full stop behind them where it has no end of its own."""
    letter = _LETTER.search(text)
    first = letter[0] if letter else ""
    if first and _SCRIPTS[1][0].match(first) and _SCRIPTS[0][0].search(text):
        first = "あ"  # kana anywhere: Japanese
    _, stop, marks, others = next(script for script in _SCRIPTS if script[0].match(first))
    if any(mark in text for mark in marks):
        marks = others
    ended = text.rstrip(_CLOSERS)[-1:] in set(ENDS)
    return f"{marks[0]}{text}{marks[1]}{'' if ended else stop}"
