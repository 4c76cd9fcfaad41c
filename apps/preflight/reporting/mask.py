"""The values of Secrets, and the one place that keeps them out of every output."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Obj
from preflight.documents.paths import strings, walk
from preflight.findings import Finding

SHORTEST = 4
"""Characters of a value that is masked: what is shorter (a digit, a yes) is in many words and no secret."""
WORD = re.compile(r"[A-Za-z]{1,12}|\d{1,6}")
"""What a value looks like that is no secret if manifests have it openly: a user's name, a port."""


class Mask:
    """Hides the values of some Secrets: decoded, as written, and line by line."""

    def __init__(self, objects: Iterable[Obj] = ()) -> None:
        objects = list(objects)
        found = {value for obj in objects if obj.kind == "Secret" for value in _values(obj)}
        words = {value for value in found if WORD.fullmatch(value)}
        if words:
            # definitions of kinds are long, and nobody writes a secret there
            others = (obj for obj in objects if obj.kind not in ("Secret", "CustomResourceDefinition"))
            found -= {word for obj in others for word in _words(obj) if word in words}
        longest_first = sorted(found, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_expression, longest_first))) if found else None

    def hide(self, text: str) -> str:
        """The text with `***` for each value in it."""
        return self._pattern.sub("***", text) if self._pattern is not None else text

    def finding(self, finding: Finding) -> Finding:
        """The finding without any value."""
        return msgspec.structs.replace(
            finding,
            field=self.hide(finding.field),
            message=self.hide(finding.message),
            fix=self.hide(finding.fix),
        )


def _values(obj: Obj) -> Iterator[str]:
    written = [*strings(obj.get("data")).values(), *strings(obj.get("stringData")).values()]
    for value in (*data_of(obj).values(), *written):
        for part in {value, value.strip(), *(line.strip() for line in value.splitlines())}:
            if len(part) >= SHORTEST:
                yield part
                yield from {repr(part)[1:-1], part.replace('"', '\\"')} - {part}


def _words(obj: Obj) -> Iterator[str]:
    for _, value in walk(obj.doc):
        if isinstance(value, (str, int)):
            yield from re.findall(r"[A-Za-z]+|\d+", str(value))


def _expression(value: str) -> str:
    # a short value is looked for as a word, or every word with it in it would be lost
    # a long one in any case: hosts are compared, and said, in small letters
    return (
        f"(?i:{re.escape(value)})"
        if len(value) >= 8
        else rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])"
    )
