"""The values of Secrets, and the one place that keeps them out of every output."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from types import CodeType

import msgspec

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Obj
from preflight.documents.paths import strings, walk
from preflight.findings import Finding

SHORTEST = 4
"""Characters of a value that is masked: what is shorter (a digit, a yes) is in many words and no secret."""
WORD = re.compile(r"[A-Za-z]{1,12}|\d{1,6}")
"""What a value looks like that is no secret if manifests have it openly: a user's name, a port."""
NAME = re.compile(r"[A-Za-z0-9]+(?:[._/-][A-Za-z0-9]+)*")
"""What a value looks like that is no secret if something is openly called so: a host, a database."""
WORDS = re.compile(r"[A-Za-z]+|\d+")


class Mask:
    """Hides the values of some Secrets: decoded, as written, and line by line.

    A word that manifests have openly is no secret. A word of preflight's own sentences is hidden only where
    it stands as a value: in quotes, or in an address or assignment.
    """

    def __init__(self, objects: Iterable[Obj] = ()) -> None:
        objects = list(objects)
        found = {value for obj in objects if obj.kind == "Secret" for value in _values(obj)}
        if any(NAME.fullmatch(value) for value in found):
            # definitions of kinds are long, and nobody writes a secret there
            texts = {
                each for obj in objects if obj.kind != "CustomResourceDefinition" for each in _open_texts(obj)
            }
            names = {text for text, is_name in texts if is_name and NAME.fullmatch(text)}
            words = {word for text, _ in texts for word in WORDS.findall(text) if WORD.fullmatch(word)}
            found -= names | words
        words = {value for value in found if WORD.fullmatch(value)}
        own = words & _own_words() if words else set()
        longest_first = sorted(found, key=len, reverse=True)
        expressions = (_as_value(each) if each in own else _expression(each) for each in longest_first)
        self._pattern = re.compile("|".join(expressions)) if found else None

    def hide(self, text: str) -> str:
        """The text with `***` for each value in it."""
        return self._pattern.sub("***", text) if self._pattern is not None else text

    def finding(self, finding: Finding) -> Finding:
        """The finding without any value."""
        return msgspec.structs.replace(
            finding, message=self.hide(finding.message), fix=self.hide(finding.fix)
        )


def _values(obj: Obj) -> Iterator[str]:
    written = [*strings(obj.get("data")).values(), *strings(obj.get("stringData")).values()]
    for value in (*data_of(obj).values(), *written):
        for part in {value, value.strip(), *(line.strip() for line in value.splitlines())}:
            if len(part) >= SHORTEST:
                yield part
                yield from {repr(part)[1:-1], part.replace('"', '\\"')} - {part}


NAMING = ("image", "key", "kind", "name", "namespace")
"""Fields whose values are names of something, as are those of labels and selectors."""


def _open_texts(obj: Obj) -> Iterator[tuple[str, bool]]:
    """What an object says openly, and whether it is the name of something: a key, a label, an object."""
    yield from ((word, True) for word in obj.origin.file.split("/"))
    for path, value in walk(obj.doc):
        is_data = path[:1] in (("data",), ("stringData",))
        yield from ((step, True) for step in path[-1:] if isinstance(step, str))
        if isinstance(value, (str, int)) and not (is_data and obj.kind == "Secret"):
            labels = any(step in ("labels", "matchLabels", "selector") for step in path)
            yield str(value), not is_data and (labels or path[-1] in NAMING)


@cache
def _own_words() -> frozenset[str]:
    """The words of the sentences that are written in preflight's functions."""
    found: set[str] = set()
    for name, module in list(sys.modules.items()):
        if name.startswith("preflight."):
            for value in vars(module).values():
                if (code := getattr(value, "__code__", None)) is not None and value.__module__ == name:
                    found.update(_constants(code, value.__doc__))
    return frozenset(word for text in found for word in WORDS.findall(text))


def _constants(code: CodeType, doc: str | None) -> Iterator[str]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _constants(each, None)
        elif isinstance(each, str) and " " in each and each != doc:
            yield each


def _as_value(value: str) -> str:
    return rf"(?<=['\"=@/:]){re.escape(value)}(?![A-Za-z0-9])"


def _expression(value: str) -> str:
    # a short value is looked for as a word, or every word with it in it would be lost
    # a long one in any case: hosts are compared, and said, in small letters
    return (
        f"(?i:{re.escape(value)})"
        if len(value) >= 8
        else rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])"
    )
