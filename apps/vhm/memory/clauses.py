"""A remembered sentence as a clause of a story: whose it is, when, and in the past."""

from __future__ import annotations

import re

from vhm.memory.words import listed

_DEICTIC = (
    (r"the day before yesterday", "two days before"),
    (r"yesterday", "the day before"),
    (r"the day after tomorrow", "two days later"),
    (r"tomorrow", "the next day"),
    (r"today", "that day"),
    (r"tonight", "that night"),
    (r"last night", "the night before"),
    (r"(?:just )?last (week|weekend|month|year|summer|winter|spring|fall|autumn)", r"the \1 before"),
    (r"last (Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day", r"the \1day before"),
    (r"next (week|weekend|month|year|summer|winter|spring|fall|autumn)", r"the \1 after"),
    (r"this (morning|afternoon|evening|week|weekend|month|year|summer|winter|spring|fall)", r"that \1"),
    (r"(?<=\w )ago", "earlier"),
)
_DEICTICS = [(re.compile(rf"\b{then}\b", re.IGNORECASE), now) for then, now in _DEICTIC]

_PAST = listed("""
    was were had did could went came saw got made took gave found thought told felt left became began
    brought bought built caught chose drew drank drove ate fell fought flew forgot froze grew heard held
    hid hit kept knew laid led lent let lost met paid put read rode rang rose ran said sang sat sold
    sent set shook shot showed shut slept spoke spent stood stole stuck swam swore taught threw
    understood woke wore won wrote
""")
_FINITE = _PAST | listed("am is are has have do does will would can should may might must")
_NOT_PAST = listed("""
    need feed seed speed bed red shed indeed hundred breed sacred naked wicked exceed proceed succeed
""")
_SUBJECTS = listed("""
    i we you he she it they there this that these those the a an my our your his her their its some one
    every
""")
_LOWERED = _SUBJECTS - {"i"} | listed("""
    at in on for after before when while during as if since with from to by one two three no not
""")
_OTHERS = listed("""
    me my mine myself we we're we've we'd we'll us our ours you you're you've your yours i i'm i've i'd
    i'll
""")


def placed(text: str) -> str:
    """Words that mean the day of speaking (yesterday, next month) as seen from afar (the day before)."""
    for pattern, replacement in _DEICTICS:
        text = pattern.sub(replacement, text)
    return text


def lowered(text: str) -> str:
    """The text as it goes on inside a sentence: a common first word loses its capital."""
    first = text.split(" ", 1)[0].rstrip(",").lower()
    return text[:1].lower() + text[1:] if first in _LOWERED or is_past(first) else text


def is_past(word: str) -> bool:
    """Whether a lower-case word looks like a verb in the past."""
    return word in _PAST or (len(word) > 4 and word.endswith("ed") and word not in _NOT_PAST)


def is_clause(text: str) -> bool:
    """Whether the text looks like a clause of its own, with a subject and a verb."""
    tokens = _tokens(text)
    if not tokens:
        return False
    if tokens[0].partition("'")[0] not in _SUBJECTS and not text[:1].isupper():
        return False
    verbs = [i for i, token in enumerate(tokens[:9]) if token in _FINITE or is_past(token) or "'" in token]
    return bool(verbs) and (verbs[0] > 0 or "'" in tokens[0])


def with_subject(text: str) -> str:
    """A diary's "Went to the market" as "I went to the market"."""
    tokens = _tokens(text)
    if tokens and is_past(tokens[0]) and (len(tokens) == 1 or tokens[1] not in _FINITE):
        return "I " + text[:1].lower() + text[1:]
    return text


def of_speaker(text: str, speaker: str) -> str | None:
    """ "I went there" of Ann as "Ann went there"; None where that would take more than the first word."""
    tokens = _tokens(text)
    if len(tokens) < 3 or tokens[0] not in ("i", "i'm", "i've") or _OTHERS & set(tokens[1:]):
        return None
    rest = text.split(" ", 1)[1]
    if any(token in _FINITE - _PAST or token.endswith(("'s", "'re", "'ll", "n't")) for token in tokens[1:]):
        return None
    if tokens[0] == "i'm":
        return f"{speaker} was {rest}"
    if tokens[0] == "i've":
        return f"{speaker} had {rest}"
    verb = tokens[2] if tokens[1] in ("just", "recently", "finally", "also", "even") else tokens[1]
    return f"{speaker} {rest}" if is_past(verb) else None


def _tokens(text: str) -> list[str]:
    return [token.lower().replace("’", "'") for token in re.findall(r"[\w'’]+", text)]
