"""Who said a remembered text: its meta says so, or it opens with a name that others use as one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vhm.memory.sentences import line
from vhm.memory.tokenizer import listed

LONGEST_NAME = 60

_LABEL = re.compile(r"\s*([A-Z][\w.'’-]*(?: [A-Z][\w.'’-]*){0,2}):\s+(?=\S)")
_NO_NAMES = listed("""
    Note Notes Todo Reminder Summary Theme Update Subject Title Date Time Place Address Re Ps
    Warning Error Info
""")
_ASKED_OF = (
    r"\b(?:did|does|do|has|had|have|will|would|could|should)\s+{name}\b"
    r"|\b{name}\s+(?:say|says|said|tell|tells|told|ask|asks|asked|mention\w*|think|thinks|thought|feel|feels|felt)\b"
)
_CALLED = r"(?:^|[,.!?]\s+|\b(?:[Hh]ey|[Hh]i|[Hh]ello|[Tt]hanks|[Tt]hank you)\s+){name}(?=[,!.?])"


def speakers(
    texts: Sequence[str], metas: Sequence[Mapping[str, Any] | None], question: str
) -> list[str | None]:
    """Who said each text. None where that is not known: a label ("Address: …") is no speaker."""
    return [
        _named(meta) or _used_as_name(text, [other for other in texts if other is not text], question)
        for text, meta in zip(texts, metas, strict=True)
    ]


def unlabelled(text: str, name: str) -> str:
    """What was said, without the speaker's name before it."""
    label = _LABEL.match(text)
    return text[label.end() :] if label and label[1].casefold() == name.casefold() else text


def _named(meta: Mapping[str, Any] | None) -> str | None:
    name = (meta or {}).get("speaker")
    return line(name) or None if isinstance(name, str) and len(name) <= LONGEST_NAME else None


def _used_as_name(text: str, others: Sequence[str], question: str) -> str | None:
    """The label of the text, if the question or another text uses it as a person's name."""
    label = _LABEL.match(text)
    if label is None or label[1] in _NO_NAMES:
        return None
    name = label[1]
    called = _CALLED.replace("{name}", re.escape(name))
    heard = (other[match.end() :] for other in others if (match := _LABEL.match(other)) and match[1] != name)
    if re.search(_ASKED_OF.replace("{name}", re.escape(name)), question):
        return name
    return name if any(re.search(called, said) for said in heard) else None
