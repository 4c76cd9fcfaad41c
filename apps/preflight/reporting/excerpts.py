"""The line of source a finding points at, and which part of it is meant."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from preflight.findings import Finding
from preflight.reporting.mask import Mask

LONGEST = 200
"""Characters of a line that are worth showing."""

BIGGEST = 20_000_000
"""Bytes of a file that are worth reading for an excerpt."""

HIDING = re.compile(r"secret|password|credential|token", re.I)
HIDDEN_KEY = re.compile(r"(pass(word|wd)?|secret|token|api_?key|credentials?|private_?key)$", re.I)
YAML_ENTRY = re.compile(r"""^(\s*(?:-\s+)*)(["']?)([^\s"'#:][^"':#]*?)\2\s*:(?:\s+(.*))?$""")
ENV_ENTRY = re.compile(r"^(\s*(?:export\s+)?)([A-Za-z_][A-Za-z0-9_.-]*)=(.*)$")
LITERAL_ENTRY = re.compile(r"""^(\s*-\s+["']?)([A-Za-z_][A-Za-z0-9_.-]*)=(.*?)["']?$""")


class Excerpt(msgspec.Struct, frozen=True):
    """One line of source and the columns meant, counted from 0; `end` is behind the last."""

    text: str
    start: int
    end: int
    before: str = ""
    """The line above that this one is in: a mapping's key, the start of a list's item."""


class Sources:
    """The source files of one repository, read when asked for; a secret's value is never shown."""

    def __init__(self, root: Path, mask: Mask | None = None) -> None:
        self.root = root.resolve()
        self.mask = mask or Mask()
        self._lines: dict[str, list[str]] = {}

    def lines(self, file: str) -> list[str]:
        """The lines of a file below the root; none for one that is not there, too big, or outside."""
        if file not in self._lines:
            self._lines[file] = self._read(file)
        return self._lines[file]

    def excerpt(self, finding: Finding) -> Excerpt | None:
        """The line of a finding; None when the source has no such line (standard input)."""
        lines = self.lines(finding.file)
        if not 1 <= finding.line <= len(lines):
            return None
        text = self.mask.hide(lines[finding.line - 1].expandtabs(4).rstrip())
        key, start, end = _entry(text)
        last = re.split(r"[.\[\]]+", finding.field.rstrip("]"))[-1] if finding.field else ""
        named = key is not None and (key == last or finding.field.endswith((f".{key}", f"[{key}]")))
        value = (start, end) if named and start < end else _content(text)
        named_so = key == "value" and _beside(lines, finding.line)
        if key is not None and start < end and (named_so or _is_secret(finding, key)):
            text = text[:start] + "***"
            value = (min(value[0], start), len(text))
        if len(text) > LONGEST:
            text = text[: LONGEST - 1] + "…"
        start = min(value[0], len(text))
        return Excerpt(
            text,
            start,
            max(min(value[1], len(text)), start + 1),
            self.mask.hide(_leading(lines, finding.line)),
        )

    def _read(self, file: str) -> list[str]:
        path = (self.root / file).resolve()
        try:
            if file == "-" or self.root not in path.parents or path.stat().st_size > BIGGEST:
                return []
            text = path.read_bytes().decode("utf-8-sig", errors="replace")
        except OSError:
            return []
        # what YAML and editors count as lines; str.splitlines also breaks at form feeds and separators
        return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _leading(lines: list[str], line: int) -> str:
    """The nearest line above that is indented less: what this line is in."""
    own = lines[line - 1].expandtabs(4)
    for above in reversed(lines[max(line - 13, 0) : line - 1]):
        text = above.expandtabs(4).rstrip()
        if not text.strip() or text.lstrip().startswith("#") or _depth(text) >= _depth(own):
            continue
        return text[:LONGEST]
    return ""


def _depth(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _entry(text: str) -> tuple[str | None, int, int]:
    """Key of a `key: value` or `KEY=value` line, and the columns of the value without its comment."""
    if found := ENV_ENTRY.match(text) or LITERAL_ENTRY.match(text):
        return found.group(2), found.start(3), found.end(3)
    if found := YAML_ENTRY.match(text):
        value = found.group(4) or ""
        start = found.start(4) if value else len(text)
        return found.group(3).strip(), start, start + len(_without_comment(value))
    return None, 0, 0


def _content(text: str) -> tuple[int, int]:
    bare = _without_comment(text)
    start = len(bare) - len(bare.lstrip(" -\t"))
    return (start, len(bare)) if start < len(bare) else (0, max(len(text), 1))


def _without_comment(text: str) -> str:
    """YAML's comment starts at a `#` after a blank, outside quotes."""
    quote = ""
    for index, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and (index == 0 or text[index - 1] in " [{,:"):
            quote = letter
        elif letter == "#" and (index == 0 or text[index - 1] in " \t"):
            return text[:index].rstrip()
    return text.rstrip()


def _beside(lines: list[str], line: int) -> bool:
    """Whether the line above or below says that this is the value of a variable with a secret's name."""
    around = [lines[number] for number in (line - 2, line) if 0 <= number < len(lines)]
    names = (
        found.group(4) or ""
        for text in around
        if (found := YAML_ENTRY.match(text)) and found.group(3) == "name"
    )
    return any(HIDDEN_KEY.search(name.strip("\"'")) for name in names)


def _is_secret(finding: Finding, key: str) -> bool:
    if finding.object.startswith("Secret/") and ".name" not in finding.field:
        return ".metadata" not in finding.field and not finding.field.startswith("metadata")
    return HIDDEN_KEY.search(key) is not None or (
        HIDING.search(finding.rule) is not None and key not in ("name", "key", "secretName", "optional")
    )
