"""Which name was probably meant: names one slip of the keyboard apart, and the hash kustomize appends."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import OSA

SEPARATORS = re.compile(r"[-_./:\s]+")
HASHED = re.compile(r"^(.+)-[2456789bcdfghkmt]{10}$")
"""kustomize's name suffix: ten letters and digits that cannot spell a word."""
COLLECTION = re.compile(r"(\w+_)?(COLLECTION(_NAME)?|INDEX_NAME|VECTOR_TABLE)")
"""Variables that name a collection of a store."""
PLACEHOLDER = re.compile(
    r"\$\{|\$\(|\{\{|\{\w+\}|\.\.\.|<[^>]+>|\$[A-Z]|(?<![A-Za-z0-9])__[A-Z]\w*__"
    r"|(?<![A-Za-z])[A-Z][A-Z0-9]*(_[A-Z0-9]+)+(?![a-z])"
    r"|\b[A-Z]{2,}( [A-Z]{2,})+\b|(?i:\byour[-_ ]|change[-_]me|replace[-_](me|this|with))"
    r"|^(CHANGEME|IMAGE|NAME|NAMESPACE|PORT|PROJECT|REGION|REPLACEME|SIZE|TAG|TODO|VERSION)$"
)


def is_placeholder(text: str) -> bool:
    """Whether the text is filled in before it is applied: by envsubst, Flux, a template, a person.

    Words in capitals (`PROJECT_ID`) are for sed or a person: ask this only of what is no legal value.
    """
    return PLACEHOLDER.search(text) is not None


def near(name: str, others: Iterable[str]) -> str | None:
    """The one among `others` that `name` was probably meant to be, or None.

    Names that differ only in digits (`web-1`, `web-2`) are siblings, not slips, and so are names in which a
    whole word differs (`app-dev`, `app-test`).
    """
    found = [other for other in others if other != name and _alike(name, other)]
    return min(found, key=lambda other: (distance(name, other), other), default=None)


SUFFIXES = ("-svc", "-service")
"""What people add to a name, or leave out, when they name a Service."""


def suffixed(name: str, others: Iterable[str]) -> str | None:
    """The one among `others` that is this name with or without `-svc` or `-service`, or None."""
    bare = _bare(name)
    return next((other for other in others if other != name and _bare(other) == bare), None)


def is_slip(name: str, meant: str) -> bool:
    """Whether one edit makes one name the other: a letter, two neighbours swapped, `-svc`, `-service`."""
    return distance(name, meant) == 1 or (name != meant and _bare(name) == _bare(meant))


def _bare(name: str) -> str:
    return next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), name)


def hint(meant: str | None) -> str:
    """A clause for a message that asks for the name that was probably meant; empty where there is none."""
    return f"; did you mean {meant}?" if meant else ""


def base_of(name: str) -> str:
    """The name without the suffix kustomize appends to generated ConfigMaps and Secrets."""
    match = HASHED.match(name)
    return match[1] if match else name


def distance(one: str, other: str) -> int:
    """How many letters to insert, remove, replace or swap with a neighbour to make one the other."""
    return OSA.distance(one, other)


def closest(name: str, names: Iterable[str]) -> str | None:
    """The name that a mistyped word of the command line or the configuration is most like, or None."""
    from rapidfuzz import fuzz, process  # slow to import, and seldom asked

    found = process.extractOne(name, sorted(names), scorer=fuzz.ratio, score_cutoff=60)
    return found[0] if found is not None else None


class _Parts(NamedTuple):
    """A name in lower case, and what of it is compared."""

    words: tuple[str, ...]
    joined: str
    bare: str
    """Without digits."""


@lru_cache(maxsize=65_536)
def _parts(name: str) -> _Parts:
    lower = name.lower()
    words = tuple(SEPARATORS.split(lower))
    return _Parts(words, "".join(words), re.sub(r"\d+", "", lower))


def _alike(one: str, other: str) -> bool:
    if abs(len(one) - len(other)) > 2 or not one or not other:
        return False
    (words, joined, bare), (wanted, meant, other_bare) = _parts(one), _parts(other)
    if bare == other_bare and (len(bare) < len(one) or len(other_bare) < len(other)):
        return False
    if len(words) != len(wanted):
        return joined == meant or (len(joined) > 4 and _one_edit(joined, meant))
    # the cheap comparison first: most names differ in a whole word
    if any(
        a != b and (abs(len(a) - len(b)) > 2 or (a[:1] != b[:1] and a[-1:] != b[-1:]))
        for a, b in zip(words, wanted, strict=True)
    ):
        return False
    return all(a == b or _slipped(a, b) for a, b in zip(words, wanted, strict=True))


def _slipped(word: str, meant: str) -> bool:
    length = max(len(word), len(meant))
    if length < 4:
        return _one_edit(word, meant) and sorted(word) == sorted(meant)
    return _one_edit(word, meant) or (length > 7 and distance(word, meant) <= 2)


def _one_edit(one: str, other: str) -> bool:
    return OSA.distance(one, other, score_cutoff=1) == 1


def listed(names: Iterable[str]) -> str:
    """Names for a message: `indexer, resonance and reteller`."""
    several = list(dict.fromkeys(names))
    return " and ".join([", ".join(several[:-1]), several[-1]] if len(several) > 1 else several)
