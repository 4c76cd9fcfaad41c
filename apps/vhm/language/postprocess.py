"""A model's answer as a retelling: without thoughts, labels and a half sentence at the end."""

from __future__ import annotations

import re

from vhm.memory.sentences import sentences
from vhm.provider_errors import FailureKind, ProviderError, bad_answer

MAX_CHARACTERS = 1_000
"""Of a retelling. The prompt asks for 85 words, which is half of this."""

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


def clean(text: object, cut_short: bool = False) -> str:
    """The story in a model's answer: one line, whole sentences, at most MAX_CHARACTERS.

    `cut_short`: the model stopped at its token limit, so the last sentence may be half of one. Raises
    ProviderError when nothing usable is left.
    """
    if not isinstance(text, str) or not text.strip():
        raise bad_answer("empty")
    story = _THOUGHTS_BEFORE.sub("", _THOUGHTS.sub(" ", text))
    story = " ".join("".join(c if c.isprintable() else " " for c in story).split())
    story = _unquoted(_LABEL.sub("", story)).strip()
    if not story:
        raise bad_answer("nothing but thoughts")
    if _DECLINED.match(story):
        raise ProviderError("it declined to tell this", FailureKind.DECLINED)
    if cut_short or len(story) > MAX_CHARACTERS:
        story = _whole_sentences(story, cut_short)
    return story


def _whole_sentences(story: str, cut_short: bool) -> str:
    parts = sentences(story)
    if cut_short and not story.endswith((".", "!", "?", "…", "”", '"')):
        parts.pop()
    kept = ""
    for part in parts:
        if len(kept) + 1 + len(part) > MAX_CHARACTERS:
            break
        kept = f"{kept} {part}".strip()
    if not kept:
        raise bad_answer("no whole sentence")
    return kept


def _unquoted(story: str) -> str:
    for opening, closing in _QUOTES:
        inner = story[1:-1]
        if story.startswith(opening) and story.endswith(closing) and not {opening, closing} & set(inner):
            return inner
    return story
