"""Variables in manifests as Flux's kustomize-controller expands them: `${name}`, defaults, string functions.

The syntax is that of its envsubst: `$name` stays, `$$` is a dollar sign, a name has letters, digits and `_`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

DEFAULTS = (":=", ":-", ":?", ":+", "=")
"""Operators that provide for a variable that is not set."""


class Unset(msgspec.Struct, frozen=True):
    """A variable without value and default, where its text begins."""

    name: str
    offset: int


class Expanded(msgspec.Struct):
    """A text with its variables filled in."""

    text: str
    known: bool = True
    """False where a part of it is a default, or stayed since its value is not known or not given."""
    unset: list[Unset] = msgspec.field(default_factory=list)
    malformed: int | None = None
    """Where an expression begins that the controller cannot read; it applies nothing then."""


def expand(text: str, variables: Mapping[str, str | None]) -> Expanded:
    """Fill in what is known. A value of None is one that only the cluster knows; its expression stays."""
    result = Expanded("")
    try:
        result.text, _ = _Expansion(text, variables, result).run(0, closed=False)
    except _MalformedError as error:
        return Expanded(text, known=False, malformed=error.offset)
    return result


class _MalformedError(Exception):
    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class _Expansion:
    def __init__(self, text: str, variables: Mapping[str, str | None], result: Expanded) -> None:
        self.text = text
        self.variables = variables
        self.result = result

    def run(self, at: int, *, closed: bool) -> tuple[str, int]:
        """The text from `at` to the end, or to the brace that closes an expression, and where that is."""
        parts = []
        while at < len(self.text):
            if self.text.startswith("$$", at) and not closed:
                parts.append("$")
                at += 2
            elif self.text.startswith("${", at):
                part, at = self.expression(at)
                parts.append(part)
            elif closed and self.text[at] == "}":
                return "".join(parts), at
            else:
                parts.append(self.text[at])
                at += 1
        if closed:
            raise _MalformedError(at)
        return "".join(parts), at

    def expression(self, start: int) -> tuple[str, int]:
        """What an expression becomes, and where the text after it begins."""
        at = start + 2
        length = self.text.startswith("#", at)
        at += length
        end = at
        while end < len(self.text) and (self.text[end].isalnum() or self.text[end] == "_"):
            end += 1
        name, rest = self.text[at:end], self.text[end : end + 2]
        if not name or not rest:
            raise _MalformedError(start)
        if rest[0] == "}":
            value = self.value(name, start, end + 1)
            return (str(len(value)) if length and name in self.variables else value), end + 1
        operator = next((each for each in DEFAULTS if rest.startswith(each)), "")
        if operator:
            default, close = self.run(end + len(operator), closed=True)
            given = self.variables.get(name, "")
            if given is None:
                self.result.known = False
                return self.text[start : close + 1], close + 1
            self.result.known = self.result.known and bool(given)
            return given or default, close + 1
        if rest[0] not in ":,^/#%":
            raise _MalformedError(start)
        close = self.text.find("}", end)
        if close < 0:
            raise _MalformedError(start)
        self.value(name, start, close + 1)
        if rest[0] in ",^" and name in self.variables and self.variables[name] is not None:
            return _cased(self.variables[name] or "", self.text[end:close]), close + 1
        # a part of a value: what becomes of it is not worked out here
        self.result.known = False
        return self.text[start : close + 1], close + 1

    def value(self, name: str, start: int, end: int) -> str:
        """The variable's value, or its whole expression where there is none."""
        given = self.variables.get(name)
        if given is not None:
            return given
        self.result.known = False
        if name not in self.variables:
            self.result.unset.append(Unset(name, start))
        return self.text[start:end]


def _cased(value: str, operator: str) -> str:
    match operator:
        case ",":
            return value[:1].lower() + value[1:]
        case ",,":
            return value.lower()
        case "^":
            return value[:1].upper() + value[1:]
    return value.upper()
