"""Words of a text, the content words among them, and their stems."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

import Stemmer  # type: ignore[import-not-found]  # it ships no types


def listed(words: str) -> frozenset[str]:
    """A set of words, written as one text."""
    return frozenset(words.split())


_WORD = re.compile(r"\d+(?:[.,:]\d+)+|[^\W_]+(?:'[^\W_]+)*")

_CJK = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
"""Characters of Chinese, Japanese and Korean, which are written without spaces between words, or with
endings grown onto them."""

_CJK_RUN = re.compile(f"([{_CJK}]+)")

STOP_WORDS = listed("""
    a about above after again against all also am an and any anyone anything are aren't as at be because
    been before being below between both but by can can't cannot could couldn't did didn't do does
    doesn't doing don't down during each either else ever every few for from further had hadn't has
    hasn't have haven't having he he'd he'll he's her here here's hers herself him himself his how how's
    i i'd i'll i'm i've if in into is isn't it it'd it'll it's its itself just let let's may me might
    more most much must mustn't my myself neither no nor not now of off on once one only or other our
    ours ourselves out over own same shall shan't she she'd she'll she's should shouldn't since so some
    somebody someone something such than that that'd that'll that's the their theirs them themselves
    then there there's these they they'd they'll they're they've this those though through till to too
    under until up upon us very was wasn't we we'd we'll we're we've were weren't what what's when
    when's where where's whether which while who who's whom whose why why's will with within without
    won't would wouldn't yet you you'd you'll you're you've your yours yourself yourselves
""")
"""Function words of English, which say little of what a text is about."""

_CHATTER = listed("""
    able absolutely actually ago almost already always amazing anyway appreciate around asap away
    awesome back bad beat best better bit btw bunch bye care catch caught cause certainly chance chat
    check clearly come comes coming congrats congratulations cool couple cute cuz day days deal def
    definitely difference done earlier either end enjoy especially etc even everyone everything exactly
    excited exciting fact far feel feeling feels felt finally find first found fun gave get gets getting
    give gives giving glad go goes going gonna good got gotta great guess guys haha happen happened
    happy hard hear heard hello help helped helps hey hi hope huge idea incredible inspiring keep keeps
    kind kinda know known last late lately later least left less like liked likes little long look
    looked looking looks lot lots love loved lovely loves luck made make makes making many maybe mean
    means minute minutes moment month months morning nearly need needed never new next nice night
    nothing oh ok okay omg part past people perfect photo photos pic pics picture place please plus
    possible pretty probably proud put quite rather ready real really reason recently reminds right said
    saw say saying says see seeing seem seems seen share shares sharing show shows side small sometime
    sometimes soon sort sounds special start started still stuff super sure take taken takes taking talk
    talking tell thank thanks thing things think thinking thought three time times today together told
    tomorrow tonight tons took totally truth try trying turn two use used usually wait wanna want wanted
    wants way week weekend weeks well went whole wish wonderful work works worth wow ya yay yeah year
    years yep yes yesterday yup
""")
"""Words of small talk and of time: searched for, but never the subject of a story."""


def normalized(text: str) -> str:
    """The text in compatibility form (NFKC: full-width letters and digits are plain ones), case folded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("’", "'")


def words(text: str) -> list[str]:
    """The words of a text in order, normalized, possessive 's taken off."""
    found = _WORD.findall(normalized(text))
    return [word[:-2] if word.endswith("'s") else word for word in found]


def tokens(text: str) -> list[str]:
    """The words of a text as search reads them: a run of Chinese, Japanese or Korean is cut into overlapping
    pairs of characters (one character alone is a token itself)."""
    found = words(text)
    return found if text.isascii() else [token for word in found for token in _cut(word)]


def _cut(word: str) -> list[str]:
    if word.isascii():
        return [word]
    parts = [part for part in _CJK_RUN.split(word) if part.strip("'")]
    return [token for part in parts for token in (_pairs(part) if _CJK_RUN.match(part) else [part])]


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def stems(spoken: Sequence[str]) -> list[str]:
    """The stems of tokens in order, stop words left out. "May" is one unless it is the month."""
    return [
        stem(word)
        for place, word in enumerate(spoken)
        if word not in STOP_WORDS or (word == "may" and may_is_month(spoken, place))
    ]


_BEFORE_MAY = listed("in last next of since until by")
_DAY_OR_YEAR = re.compile(r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?|(?:19|20|21)\d\d")


def may_is_month(spoken: Sequence[str], place: int) -> bool:
    """Whether the "may" at that place of a text's tokens is the month: after in, last, next, of, since,
    until, by, or beside a day or a year."""
    before, after = spoken[max(0, place - 1) : place], spoken[place + 1 : place + 2]
    return any(token in _BEFORE_MAY for token in before) or any(
        _DAY_OR_YEAR.fullmatch(token) for token in (*before, *after)
    )


def content_words(text: str) -> list[str]:
    """The words in order that a story can be about: no function word, no small talk, no bare number."""
    return [
        word
        for word in words(text)
        if len(word) > 2
        and word not in STOP_WORDS
        and word not in _CHATTER
        and "'" not in word
        and not word[0].isdigit()
    ]


@functools.lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The Snowball (English) stem of a lower-case word."""
    return str(_stemmer().stemWord(word))


@functools.cache
def _stemmer() -> Stemmer.Stemmer:
    # its own cache off: without it a call holds the interpreter's lock throughout, so threads may share it
    return Stemmer.Stemmer("english", 0)
