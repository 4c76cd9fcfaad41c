"""Whether a retelling keeps to its memories: numbers and names that nobody said are found."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from vhm.memory.sentences import ENDS

_NUMBER = re.compile(r"\d+(?:[.,:’'\u00a0\u202f ](?=\d{2,3}(?!\d))\d+|[.,:]\d+)*")
_UNPADDED = re.compile(r"^0+(?=\d)")
_CLOCK = re.compile(r"\b(\d{1,2})[:.](\d{2})\b")
_TEENS = "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_ONES = "one two three four five six seven eight nine"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: value for value, word in enumerate(_ONES.split(), 1)}
_VALUES |= {word: value for value, word in enumerate(f"ten eleven twelve {_TEENS}".split(), 10)}
_VALUES |= {word: 10 * value for value, word in enumerate(_TENS.split(), 2)}
_VALUES |= {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_SPELLED = {word: str(value) for word, value in _VALUES.items() if value > 2}
"""From three on: one and two are pronouns and ways of speaking, too."""
_COMPOUND = re.compile(rf"\b({_TENS.replace(' ', '|')})[- ]({_ONES.replace(' ', '|')})\b")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_NAMELESS = re.compile(r"I(?:['’].*)?")
_OPENS = re.compile(rf"(?:^|[{ENDS}:;—–/]|[\"“”‘«»„「『(\[]|\.\.\.)['’\"”»)\]]*\s*[\"“‘«„「『(\[]*$")


def unsupported(story: str, sources: Iterable[str]) -> list[str]:
    """Numbers of the story, and words with a capital inside a sentence, that no source has.

    Numbers count as the same however they are written (1,200, 1 200; twelve, 12; 14:30, 2:30), words
    whatever their case, accents and possessive."""
    known = "\n".join(sources)
    numbers, words = _numbers(known), {_plain(word) for word in _WORD.findall(known)}
    words |= {part for word in words for part in word.split("'")}
    strange = [number for number in _story_numbers(story) if number not in numbers]
    return strange + [word for word in _names(story) if _plain(word) not in words]


def _names(story: str) -> list[str]:
    """Words with a capital that do not open a sentence."""
    return [
        match[0]
        for match in _WORD.finditer(story)
        if match[0][0].isupper()
        and not _NAMELESS.fullmatch(match[0])
        and not _OPENS.search(story[max(0, match.start() - 12) : match.start()])
    ]


def _story_numbers(story: str) -> list[str]:
    return [_digits(match[0]) for match in _NUMBER.finditer(story)] + list(_spelled(story))


def _numbers(text: str) -> set[str]:
    """Every number of a text in all ways it may be told."""
    found = {_digits(match[0]) for match in _NUMBER.finditer(text)} | set(_spelled(text))
    found |= set(re.findall(r"\d+", text)) | {_UNPADDED.sub("", part) for part in re.findall(r"\d+", text)}
    for hour, minute in _CLOCK.findall(text):
        half = f"{int(hour) % 12 or 12}"
        found |= {f"{int(hour)}:{minute}", f"{half}:{minute}", half, f"{int(half) + 12}:{minute}"}
    return found


def _digits(number: str) -> str:
    """Without what groups thousands: 1,200, 1.200 and 1 200 are 1200."""
    if ":" in number:
        return _UNPADDED.sub("", number)
    plain = re.sub(r"[.,’'\u00a0\u202f ](?=\d{3}(?!\d))", "", number).replace(",", ".")
    return _UNPADDED.sub("", plain)


def _spelled(text: str) -> set[str]:
    text = text.lower()
    compounds = {str(_VALUES[tens] + _VALUES[ones]) for tens, ones in _COMPOUND.findall(text)}
    rest = _COMPOUND.sub(" ", text)
    return compounds | {_SPELLED[word] for word in _WORD.findall(rest) if word in _SPELLED}


def _plain(word: str) -> str:
    """Case, accents and possessive taken off."""
    decomposed = unicodedata.normalize("NFKD", re.sub("'s?$", "", word.replace("’", "'")))
    return "".join(mark for mark in decomposed if not unicodedata.combining(mark)).casefold()
