"""What a remembered text is: plain words, or a turn of a conversation ("Ann: I went to ...")."""

from __future__ import annotations

import re

import msgspec

from vhm.memory.past_tense import tells_a_deed
from vhm.memory.tokenizer import content_words, listed

MOST_CHARACTERS = 2_000
"""Of a text that are looked at: an anchor may have 10 000, and a story has room for 400."""

_SPEAKER = re.compile(r"\s*([A-Z][\w.'’-]*(?: [A-Z][\w.'’-]*){0,2}):\s+(?=\S)")
_NOT_SPEAKERS = listed("""
    Note Notes Todo Reminder Summary Theme Update Subject Title Date Time Place Re Ps Warning Error Info
""")
_PICTURE = re.compile(r"\s*\[(?:shares?|shared|sends?|sent|shows?|posts?)\s+([^][]+)\]\s*", re.IGNORECASE)
_SENTENCE_END = re.compile(
    r"(?<!\b[A-HJ-Z]\.)(?<!\b(?:Dr|Mr|Ms|St|vs)\.)(?<!\b(?:Mrs|e\.g|i\.e)\.)"
    r"(?:(?<=[.!?…])|(?<=[.!?…][\"'”’)]))\s+(?=\S)"
)
_FILLER = re.compile(
    r"(?:(?i:oh yeah|oh wow|oh|ah|aw+|wow|hey|hi|hello|yeah|yea|yep|yup|yes|well|so|anyway|haha|ha|okay|ok"
    r"|sure|thanks|thank you|btw|by the way|also|and|but|plus|man|gosh|totally|absolutely|definitely"
    r"|exactly|for sure|of course|no way|woah|whoa|cool|nice|great|awesome|congrats|congratulations"
    r"|guess what|you know|long time no (?:see|talk|chat)|no problem|no worries"
    r"|(?:nice|great|good) (?:job|one|to see you))"
    r"(?:\s+(?:so much|a lot|again|a ton))?\b(?:,?\s+[A-Z][a-z]+(?=[,!.?;]))?(?:\s*[,!.…;—–-]+\s*))"
)
_CALLED = re.compile(r"(?:,\s+|\b(?i:hey|hi|thanks)\s+)[A-Z][a-z]+(?=\s*[.!?]+(?:\s|$))")
"""A name somebody is called by at the end of a sentence."""


class Turn(msgspec.Struct, frozen=True):
    """A text taken apart: who said it (None when nobody in particular), what, and the picture shown."""

    speaker: str | None
    said: str
    picture: str | None = None


def turn(text: str) -> Turn:
    """The text on one line, taken apart; of a long one only as much as a story could hold."""
    text = " ".join(text[:MOST_CHARACTERS].split())
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
    if not parts:
        return text.strip()
    weights = [_weight(part) for part in parts]
    wanted = min(4, max(weights)) or max(map(len, parts))
    start = next(i for i, part in enumerate(parts) if wanted <= (weights[i] if any(weights) else len(part)))
    return " ".join(part for part in parts[start:] if part) or text.strip()


def substance(text: str) -> int:
    """How much the richest sentence of a text has to tell: 0 for thanks and greetings alone."""
    return max(map(_weight, sentences(text)), default=0)


def uncalled(text: str) -> str:
    """The text without the names it calls somebody by ("Thanks, Ann!")."""
    return " ".join(_CALLED.sub("", sentence) for sentence in sentences(text))


def _weight(sentence: str) -> int:
    """Content words, and more for something that somebody did."""
    subjects = len(content_words(_CALLED.sub("", sentence)))
    did = subjects and not sentence.endswith("?") and tells_a_deed(sentence)
    return subjects + (2 if did else 0)


def _plain(sentence: str) -> str:
    """A sentence without its opening interjections ("Yeah, Ann, ..."); all of it if it is nothing else."""
    rest = sentence
    while (opening := _FILLER.match(rest)) and opening.end() < len(rest):
        rest = rest[opening.end() :]
    rest = _CALLED.sub("", rest)
    return rest[:1].upper() + rest[1:]
