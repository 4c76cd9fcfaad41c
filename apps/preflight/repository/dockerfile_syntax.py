"""The syntax of a Dockerfile: instructions with their physical lines, words, and variable substitution."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping

import msgspec

HEREDOC = re.compile(r"<<(-?)\s*([\"']?)([A-Za-z_][A-Za-z0-9_]*)\2")
VARIABLE = re.compile(r"\\\$|\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-+])([^{}]*))?\})")
FLAG = re.compile(r"--([a-z-]+)(?:=(\"[^\"]*\"|'[^']*'|\S*))?\s*")


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    """One instruction: `text` is what follows keyword and flags, continuation lines joined."""

    keyword: str
    text: str
    flags: tuple[tuple[str, str], ...] = ()
    heredocs: tuple[str, ...] = ()
    """Bodies, in order."""
    lines: tuple[tuple[int, str], ...]
    """Its physical lines with their numbers."""

    @property
    def line(self) -> int:
        """Where it starts."""
        return self.lines[0][0]

    def line_of(self, word: str) -> int:
        """The line a word of it stands on; its first line when the word is on none."""
        return next((number for number, text in self.lines if word and word in text), self.line)

    def flag(self, name: str) -> str | None:
        """The value of the first flag of that name."""
        return next((value for key, value in self.flags if key == name), None)


def read(text: str) -> Iterator[Instruction]:
    """The instructions of a text, parser directives, comments and heredocs understood."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    escape, index = "\\", 0
    while index < len(lines) and (directive := re.match(r"#\s*(\w+)\s*=\s*(\S+)", lines[index])):
        escape = directive.group(2) if directive.group(1).lower() == "escape" else escape
        index += 1
    while index < len(lines):
        if not lines[index].strip() or lines[index].lstrip().startswith("#"):
            index += 1
            continue
        taken: list[tuple[int, str]] = []
        going = True
        while going and index < len(lines):
            line = lines[index]
            index += 1
            if taken and (not line.strip() or line.lstrip().startswith("#")):
                continue
            taken.append((index, line))
            going = line.rstrip().endswith(escape)
        joined = "".join(
            line.rstrip()[: -len(escape)] + " " if line.rstrip().endswith(escape) else line
            for _, line in taken
        )
        keyword, _, rest = joined.strip().partition(" ")
        bodies: list[str] = []
        if keyword.upper() in ("RUN", "COPY", "ADD"):
            for dash, _, end in HEREDOC.findall(rest):
                body: list[str] = []
                while index < len(lines):
                    line = lines[index]
                    taken.append((index + 1, line))
                    index += 1
                    if (line.lstrip("\t") if dash else line).rstrip() == end:
                        break
                    body.append(line)
                bodies.append("\n".join(body))
        yield _instruction(keyword.upper(), rest.strip(), bodies, taken)


def _instruction(keyword: str, rest: str, bodies: list[str], lines: list[tuple[int, str]]) -> Instruction:
    flags: list[tuple[str, str]] = []
    while match := FLAG.match(rest):
        flags.append((match.group(1), (match.group(2) or "").strip("\"'")))
        rest = rest[match.end() :]
    return Instruction(
        keyword=keyword, text=rest, flags=tuple(flags), heredocs=tuple(bodies), lines=tuple(lines)
    )


def substitute(text: str, scope: Mapping[str, str | None]) -> str:
    """`$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}` replaced; unknown names become empty."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        if name is None:
            return "$"
        found, operator, other = scope.get(name), match.group(3), match.group(4) or ""
        if operator and operator.endswith("+"):
            return other if found else ""
        if found is None or (operator == ":-" and not found):
            return other
        return found

    return VARIABLE.sub(value, text)


def array(text: str) -> list[str]:
    """The words of an exec form; none for a shell form (which is what Docker takes bad JSON for)."""
    if not text.startswith("["):
        return []
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return found if isinstance(found, list) and all(isinstance(word, str) for word in found) else []


def assignments(text: str, bare: bool = False) -> Iterator[tuple[str, str | None]]:
    """NAME=value pairs; `NAME value` as ENV's old form; with `bare`, NAME alone."""
    found = words(text)
    if not bare and found and "=" not in found[0]:
        name, _, value = text.partition(" ")
        yield name, value.strip()
        return
    for word in found:
        name, equals, value = word.partition("=")
        yield name, value if equals else None


def words(text: str) -> list[str]:
    """The words of a shell form; an escaped `$` stays escaped, for `substitute`."""
    try:
        return [word.replace("\0", "\\$") for word in shlex.split(text.replace("\\$", "\0"))]
    except ValueError:
        return text.split()
