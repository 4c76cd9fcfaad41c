"""Who said a text: the speaker its metadata names, else a name that the text opens with."""

from __future__ import annotations

import re

import msgspec

from vhm.memory.tokenizer import listed, words

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


class Speaker(msgspec.Struct, frozen=True):
    """Words of a speaker's name (normalized; none where nobody in particular speaks), and where what was
    said begins: after the label, where the text opens with the name."""

    name: tuple[str, ...]
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
        return Speaker(name, label.end() if label and set(opening) <= set(name) else 0)
    if label and opening and _is_name(label[1], opening):
        return Speaker(opening, label.end())
    return Speaker(())


def _is_name(label: str, spoken: tuple[str, ...]) -> bool:
    parts = label.split()
    capitalized = all(part[0].isupper() or not part[0].islower() for part in parts)
    shouted = any(len(part) > 2 and part.isupper() for part in parts)
    return capitalized and not shouted and _NO_NAMES.isdisjoint(spoken)
