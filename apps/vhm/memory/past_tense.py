"""A remembered sentence as a clause of a story: in the past, and its speaker's."""

from __future__ import annotations

import re
from itertools import pairwise

from vhm.memory.tokenizer import listed

_IRREGULAR = listed("""
    was were had did could went came saw got made took gave found thought told felt left became began
    brought bought built caught chose drew drank drove ate fell fought flew forgot froze grew heard held
    hid hit kept knew laid led lent let lost met paid put quit rode rang rose ran said sang sat sold
    sent shook shot showed shut slept spoke spent stood stole stuck swam swore taught threw understood
    woke wore won wrote broke bit blew bent cost cut dealt dug fed fled forgave hung hurt lit leapt
    meant overcame shone sank slid sought spun split sprang stung struck swept swung tore wound withdrew
    would used died lied tied
""")
_NOT_PAST = listed("""
    need feed seed speed bleed indeed hundred breed sacred naked wicked exceed proceed succeed embed
""")
_BE = {"am": "was", "is": "was", "are": "were", "isn't": "wasn't", "aren't": "weren't"}
_SHORT_BE = (("'m", " was"), ("'re", " were"), ("'s", " was"))
_PRESENT = _BE.keys() | listed("""
    has have do does can will may must hasn't haven't don't doesn't can't cannot won't
""")
_ADVERBS = listed("just recently finally also even actually really already always never still")
_LOWERED = listed("""
    we you he she it they there this that these those the a an my our your his her their its some one
    every at in on for after before when while during as if since with from to by two three no not
""")
_SECOND = re.compile(r"(?:me|my|mine|myself|we|us|our|ours|you|your|yours|i)(?:'\w+)?")
_WORD = re.compile(r"[\w'’]+")


def lowered(text: str) -> str:
    """The text as it goes on inside a sentence: a common first word loses its capital."""
    first = text.split(" ", 1)[0].rstrip(",").lower().replace("’", "'").partition("'")[0]
    return text[:1].lower() + text[1:] if first in _LOWERED else text


def tells_a_deed(text: str) -> bool:
    """Whether the text says what its speaker did or what became of them: "I went", "we've moved"."""
    for subject, verb in pairwise(_tokens(text)):
        if subject in ("i", "we") and (_is_past(verb) or verb in _ADVERBS):
            return True
        if subject in ("i've", "we've"):
            return True
    return False


def clause(text: str) -> str | None:
    """The text as a clause in the past that may follow "I remember that"; None where it is none.

    A diary's "Went to the market" becomes "I went to the market", and "The shop is doing well" "the shop was
    doing well". What is said in the present and may still hold ("I'm allergic to nuts") is no clause.
    """
    tokens = _tokens(text)
    if not tokens:
        return None
    if _is_past(tokens[0]):
        return "I " + text[:1].lower() + text[1:]
    starts_well = tokens[0] == "i" or tokens[0].startswith("i'") or lowered(text) != text
    if not starts_well and not _is_name(text, tokens):
        return None
    past = _in_the_past(text, tokens)
    return lowered(past) if past else None


def of_speaker(text: str, speaker: str) -> str | None:
    """ "I went there" of Ann as "Ann went there"; None where more than the first word would change."""
    tokens = _tokens(text)
    if len(tokens) < 3 or tokens[0] not in ("i", "i'm", "i've"):
        return None
    if any(_SECOND.fullmatch(token) for token in tokens[1:]) or {"earlier", "before"} & set(tokens):
        return None
    if any(token in _PRESENT or "'" in token for token in tokens[1:]):
        return None
    rest = text.split(" ", 1)[1]
    if tokens[0] == "i'm":
        return f"{speaker} was {rest}" if _goes_on(tokens, 0) else None
    if tokens[0] == "i've":
        return f"{speaker} had {rest}"
    if tokens[1] in ("just", "recently"):
        tokens, rest = [tokens[0], *tokens[2:]], rest.split(" ", 1)[1]
    verb = tokens[2] if tokens[1] in _ADVERBS else tokens[1]
    return f"{speaker} {rest}" if _is_past(verb) else None


def _is_past(word: str) -> bool:
    return word in _IRREGULAR or (len(word) > 4 and word.endswith("ed") and word not in _NOT_PAST)


def _is_name(text: str, tokens: list[str]) -> bool:
    """Whether the text begins with what looks like a name and its verb, or something of theirs."""
    if not text[:1].isupper() or len(tokens) < 3 or tokens[0].partition("'")[0] in ("yesterday", "today"):
        return False
    return tokens[0].endswith("'s") or _is_past(tokens[1]) or tokens[1] in _PRESENT


def has_verb(text: str) -> bool:
    """Whether a verb is recognised in the text, so that it may stand alone."""
    return any(_is_past(token) or token in _PRESENT or "'" in token for token in _tokens(text)[1:])


def _in_the_past(text: str, tokens: list[str]) -> str | None:
    """The text with its first verb in the past; None where that is not known to be true."""
    for position, token in enumerate(tokens[:12]):
        if position and _is_past(token):
            return text
        past = _BE.get(token)
        for ending, verb in _SHORT_BE:
            if past is None and token.endswith(ending) and token not in ("let's", "what's"):
                past = token.removesuffix(ending) + verb
        if past is not None and (token.startswith("there") or _goes_on(tokens, position)):
            word = list(_WORD.finditer(text))[position]
            past = "I" + past[1:] if past.startswith("i ") else past
            past = past[:1].upper() + past[1:] if word[0][:1].isupper() else past
            return text[: word.start()] + past + text[word.end() :]
        if token in _PRESENT or (past is not None and not token.endswith("'s")):
            return None
    return None


def _goes_on(tokens: list[str], verb: int) -> bool:
    """Whether the form of be at that place says what was going on: "is doing", "'m still learning"."""
    return any(token.endswith("ing") and len(token) > 4 for token in tokens[verb + 1 : verb + 3])


def _tokens(text: str) -> list[str]:
    return [token.lower().replace("’", "'") for token in _WORD.findall(text)]
