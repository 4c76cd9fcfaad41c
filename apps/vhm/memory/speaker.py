"""Who said a text: the speaker its metadata names, else a name that the text opens with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vhm.memory.sentences import line
from vhm.memory.tokenizer import listed, words

LONGEST_NAME = 60
"""Characters of the longest speaker's name that a story gives."""

_LABEL = re.compile(r"\s*([^\W\d_][\w.'’-]*(?: [^\W\d_][\w.'’-]*){0,2})\s?[:：]\s*(?=\S)")
_NAME_LENGTH = 40
"""Characters of the longest label that is taken for a name."""

_NO_NAMES = listed("""
    address agenda alarm allergy amount answer appointment attention author birthday booking budget bug
    caption caution chapter cc code combination comment contact correction cost date dates deadline decision
    definition diary dinner doctor draft dream due edit email error event example fact facts feedback fix from
    fyi goal goals hint history hotel idea ideas important info ingredients instructions item items journal
    key link links list location log lunch meeting memo message method model name news nickname note notes
    number order owner part password phone pin place plan plans price priority problem progress project
    question quote re reason recipe reference reminder reply reservation result results rule rules schedule
    section size solution song source start status step steps subject summary task tasks tel theme time tip
    tips title to todo topic total translation update updates url username version via warning website wifi
    wish word
""")
"""Words that label notes and are no names, singular or plural."""


_ASKED_OF = (
    r"\b(?:did|does|do|has|had|have|will|would|could|should)\s+{name}\b"
    r"|\b{name}\s+(?:say|says|said|tell|tells|told|ask|asks|asked|mention\w*|think|thinks|thought|feel|feels|felt)\b"
)
_CALLED = r"(?:^|[,.!?]\s+|\b(?:[Hh]ey|[Hh]i|[Hh]ello|[Tt]hanks|[Tt]hank you)\s+){name}(?=[,!.?])"


class Speaker(msgspec.Struct, frozen=True):
    """Words of a speaker's name (normalized; none where nobody in particular speaks). Where the text opens
    with the name: how it is written there, and where what was said begins."""

    name: tuple[str, ...]
    label: str = ""
    said_from: int = 0


def speaker(text: str, named: str | None = None) -> Speaker:
    """Who says the text; `named` is the speaker that its metadata names.

    A label is taken for a name if it is up to three capitalized words ("Ana:", "Ana Maria de Sá:" is not)
    and none of them is what notes are labelled with ("Address:", "New address:"), or capitals alone
    ("TODO:"). Where the metadata name a speaker, the label is a part of the text unless it is that name.
    """
    label = _LABEL.match(text[: _NAME_LENGTH + 1])
    opening = tuple(words(label[1])) if label else ()
    if named is not None and (name := tuple(words(named))):
        return Speaker(name, label[1], label.end()) if label and set(opening) <= set(name) else Speaker(name)
    if label and opening and _is_name(label[1], opening):
        return Speaker(opening, label[1], label.end())
    return Speaker(())


def known_speakers(
    texts: Sequence[str], metas: Sequence[Mapping[str, Any] | None], question: str
) -> list[str | None]:
    """Who said each text, as a story may say it: the speaker its metadata names, or the name it opens with
    if the question or another text uses that as a person's. Else None."""
    return [
        _named(meta) or _used_as_name(text, [other for other in texts if other is not text], question)
        for text, meta in zip(texts, metas, strict=True)
    ]


def _named(meta: Mapping[str, Any] | None) -> str | None:
    name = (meta or {}).get("speaker")
    return line(name) or None if isinstance(name, str) and len(name) <= LONGEST_NAME else None


def _used_as_name(text: str, others: Sequence[str], question: str) -> str | None:
    name = speaker(text).label
    if not name:
        return None
    if re.search(_ASKED_OF.replace("{name}", re.escape(name)), question):
        return name
    called = _CALLED.replace("{name}", re.escape(name))
    openings = ((other, speaker(other)) for other in others)
    heard = (other[found.said_from :] for other, found in openings if found.label not in ("", name))
    return name if any(re.search(called, said) for said in heard) else None


def _is_name(label: str, spoken: tuple[str, ...]) -> bool:
    parts = label.split()
    capitalized = all(part[0].isupper() or not part[0].islower() for part in parts)
    shouted = any(len(part) > 2 and part.isupper() for part in parts)
    return capitalized and not shouted and _NO_NAMES.isdisjoint(spoken)
