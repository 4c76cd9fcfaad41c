"""What a remembered text is: plain words, or a turn of a conversation ("Ann: I went to ...")."""

from __future__ import annotations

import re

import msgspec

from vhm.memory.words import content_words, listed

_SPEAKER = re.compile(r"\s*([A-Z][\w.'’-]*(?: [A-Z][\w.'’-]*){0,2}):\s+(?=\S)")
_NOT_SPEAKERS = listed("""
    Note Notes Todo Reminder Summary Theme Update Subject Title Date Time Place Re Ps Warning Error Info
""")
_PICTURE = re.compile(r"\s*\[(?:shares?|shared|sends?|sent|shows?|posts?)\s+([^\]]+)\]\s*", re.IGNORECASE)
_SENTENCE_END = re.compile(
    r"(?<!\b[A-HJ-Z]\.)(?<!\b(?:Dr|Mr|Ms|St|vs)\.)(?<!\b(?:Mrs|e\.g|i\.e)\.)"
    r"(?:(?<=[.!?…])|(?<=[.!?…][\"'”’)]))\s+(?=\S)"
)
_FILLER = re.compile(
    r"(?:(?:oh|ah|aw+|wow|hey|hi|hello|yeah|yea|yep|yup|yes|well|so|anyway|haha|ha|okay|ok|sure|thanks"
    r"|thank you|btw|by the way|also|and|plus|man|gosh|totally|absolutely|definitely|exactly|for sure"
    r"|of course|no way|woah|whoa|cool|nice|great|awesome|congrats|long time no (?:see|talk|chat)"
    r"|no problem|no worries)"
    r"(?:\s+(?:so|a lot|again|a ton))?\b(?:,?\s+[A-Z]\w+)?(?:\s*[,!.…;—–-]+\s*|\s+(?=[A-Z])))",
    re.IGNORECASE,
)


class Turn(msgspec.Struct, frozen=True):
    """A text taken apart: who said it (None when nobody in particular), what, and the picture shown."""

    speaker: str | None
    said: str
    picture: str | None = None


def turn(text: str) -> Turn:
    """The text on one line, taken apart."""
    text = " ".join(text.split())
    speaker = None
    label = _SPEAKER.match(text)
    if label and label[1] not in _NOT_SPEAKERS:
        speaker, text = label[1], text[label.end() :]
    picture = _PICTURE.search(text)
    if picture:
        text = (text[: picture.start()] + " " + text[picture.end() :]).strip()
    return Turn(speaker, text, picture[1].strip() if picture else None)


def sentences(text: str) -> list[str]:
    """The sentences of a text in order, each with its own punctuation."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def gist(text: str) -> str:
    """A spoken text from where it begins to say something, greetings and interjections left out.

    The whole text when it is nothing but those.
    """
    parts = [_plain(part) for part in sentences(text)]
    weights = [_weight(part) for part in parts]
    if not parts:
        return text.strip()
    wanted = min(3, max(weights))
    start = next(i for i, weight in enumerate(weights) if weight >= wanted)
    return " ".join(part for part in parts[start:] if part) or text.strip()


def says_something(text: str) -> bool:
    """Whether a text has a subject at all, beyond thanks and greetings."""
    return max(map(_weight, sentences(text)), default=0) >= 2


def _weight(sentence: str) -> int:
    return len(content_words(sentence))


def _plain(sentence: str) -> str:
    """A sentence without its opening interjections ("Yeah, Ann, ...")."""
    rest = sentence
    while (opening := _FILLER.match(rest)) and opening.end() < len(rest):
        rest = rest[opening.end() :]
    return rest[:1].upper() + rest[1:]
