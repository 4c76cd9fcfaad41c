"""A model's answer as a retelling: thoughts, labels and what was cut off taken away."""

from __future__ import annotations

import re

from vhm.language.protocol import Refused
from vhm.memory.sentences import sentences

MOST_CHARACTERS = 1_000
"""Of a retelling: 85 words are asked for, so this is twice what a talkative model may take."""

_THOUGHTS = re.compile(r"<(think|thinking|thought)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHTS_BEFORE = re.compile(r"\A.*</(?:think|thinking|thought)>", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(r"\A[\s*_#]*(?:(?:integrated |memory )?recap|retelling)[\s*_]*:[\s*_]*", re.IGNORECASE)
_DECLINED = re.compile(
    r"\A(?:i['’]?m sorry|i am sorry|sorry|i apologi[sz]e|unfortunately)?[,.!]?\s*(?:but\s+)?"
    r"(?:i (?:can['’]?t|cannot|can not|am unable to|['’]?m unable to|won['’]?t) "
    r"(?:help|assist|comply|fulfil|provide|create|generate|do that|continue)|as an ai\b)",
    re.IGNORECASE,
)
_QUOTES = (('"', '"'), ("“", "”"), ("'", "'"))


def cleaned(text: object, cut_short: bool = False) -> str:
    """The story in a model's answer, on one line, in whole sentences of at most 1,000 characters.

    `cut_short`: the model stopped at its token limit, so the last sentence may be half of one. Raises
    Refused where nothing usable is left.
    """
    if not isinstance(text, str) or not text.strip():
        raise Refused("an empty answer")
    story = _THOUGHTS_BEFORE.sub("", _THOUGHTS.sub(" ", text))
    story = " ".join("".join(c if c.isprintable() else " " for c in story).split())
    story = _unquoted(_LABEL.sub("", story)).strip()
    if not story:
        raise Refused("nothing but thoughts in its answer")
    if _DECLINED.match(story):
        raise Refused("it declined to tell this", its_fault=False)
    if cut_short or len(story) > MOST_CHARACTERS:
        story = _whole(story, cut_short)
    return story


def _whole(story: str, cut_short: bool) -> str:
    parts = sentences(story)
    if cut_short and not story.endswith((".", "!", "?", "…", "”", '"')):
        parts.pop()
    kept = ""
    for part in parts:
        if len(kept) + 1 + len(part) > MOST_CHARACTERS:
            break
        kept = f"{kept} {part}".strip()
    if not kept:
        raise Refused("no whole sentence in its answer")
    return kept


def _unquoted(story: str) -> str:
    for opening, closing in _QUOTES:
        inner = story[1:-1]
        if story.startswith(opening) and story.endswith(closing) and not {opening, closing} & set(inner):
            return inner
    return story
