"""The sparse vector of an anchor: the weights of its words, of the words spoken just before it, and of its
marks.

A weight is what a term adds to the score of a question that holds it, before the term's rarity (idf), which
the store knows. Marks are terms that no text holds: `by:NAME` for each word of the speaker's name and `when`
for an anchor that tells a time.

    word of the turn itself      BM25 weight; half where only a question to others holds it
    word of a turn before it     .6, .36, .216 of its BM25 weight there, asked or not; of several the greatest
    by:NAME, when                .5, 1

An answer seldom repeats the words of its question, so those of the turns before help to find it: over three
conversations that it was tuned on and seven that it was not, recall@10 rose by .07.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime

import msgspec

from vhm.memory import bm25
from vhm.memory.speaker import speaker
from vhm.memory.time_expressions import date_words, tells_time
from vhm.memory.tokenizer import listed, normalized, stem, stems, tokens

PRECEDING_WEIGHTS = (0.6, 0.36, 0.216)
"""Of the turn just before, of the one before that, and of the third."""

QUESTION_WEIGHT = 0.5
"""Of a word that is only asked."""

SPEAKER_WEIGHT, TIME_WEIGHT = 0.5, 1.0
"""Of a `by:` mark and of the `when` mark."""

TIME_MARK = "when:"
"""The mark of anchors that tell a time; the colon keeps it apart from words."""

LONG_TEXT = 120
"""Words beyond which a text is weighed by its passages."""

PASSAGE = 60
"""Words of a passage, more to the end of a sentence; at most `LONG_TEXT`."""

CACHED_TURNS = 4_096
"""Turns whose terms are remembered: some 10 MB. A turn counts in its own vector and in three others."""

Weights = dict[str, float]
"""Term → weight."""

_SENTENCE_END = re.compile(r"(?<=[.!?])(?=[\s\"')\]\u2e80-\uffff])|(?<=。)|\n+")
_ONESELF = listed("""
    i i'm i've i'd i'll me my mine myself we we're we've we'd we'll us our ours ourselves
""")
_QUESTION_MARKS = ("?", '?"', "?'", "?)", "?]", "?!", "!?")


class TurnTerms(msgspec.Struct, frozen=True):
    """What one turn puts into sparse vectors.

    `own` is for its own vector: words, the date it was said on, marks. `context` is for the vectors of turns
    after it: the words alone, without the label that names the speaker.
    """

    own: Weights
    context: Weights


def speaker_mark(word: str) -> str:
    """The mark of anchors whose speaker's name holds that word (as `tokenizer.tokens` gives it)."""
    return f"by:{word}"


def turn_terms(text: str, stored_at: datetime, named: str | None = None) -> TurnTerms:
    """The terms of a turn said at that moment (aware; its date is that of its own offset). `named` is the
    speaker that its metadata names, if they do."""
    return _turn_terms(text, stored_at.date(), named)


def sparse_vector(turn: TurnTerms, preceding: Sequence[TurnTerms] = ()) -> Weights:
    """The vector of an anchor, given the turns before it in its session, the nearest first; the first three
    count. Each term has the greatest of its weights."""
    vector = dict(turn.own)
    for share, earlier in zip(PRECEDING_WEIGHTS, preceding, strict=False):
        for term, weight in earlier.context.items():
            if share * weight > vector.get(term, 0.0):
                vector[term] = share * weight
    return vector


class _Sentence(msgspec.Struct, frozen=True):
    """A sentence or a part of one. `asks`: whether it asks something of others. A question in which the
    speaker tells of himself counts as a statement."""

    tokens: Sequence[str]
    stems: Sequence[str]
    asks: bool = False


@functools.lru_cache(maxsize=CACHED_TURNS)
def _turn_terms(text: str, said_on: date, named: str | None) -> TurnTerms:
    who = speaker(text, named)
    label = _sentence(tokens(text[: who.said_from]))
    said = list(_sentences(text[who.said_from :]))
    day = [stem(word) for word in date_words(said_on)]
    weights = _weights([label, *said], day)

    spoken = {term for sentence in said for term in sentence.stems}
    stated = {term for sentence in said if not sentence.asks for term in sentence.stems}
    stated.update(day, label.stems)
    own = {term: weight if term in stated else QUESTION_WEIGHT * weight for term, weight in weights.items()}
    own |= {speaker_mark(token): SPEAKER_WEIGHT for word in who.name for token in tokens(word)}
    if any(tells_time(sentence.tokens) for sentence in said):
        own[TIME_MARK] = TIME_WEIGHT
    return TurnTerms(own, {term: weight for term, weight in weights.items() if term in spoken})


def _weights(sentences: Sequence[_Sentence], day: Sequence[str]) -> Weights:
    """BM25 weights of a whole text, of a long one the greatest that its passages give."""
    if sum(len(sentence.tokens) for sentence in sentences) <= LONG_TEXT:
        return bm25.terms(_joined(sentences), day).weights()
    greatest: Weights = {}
    for passage in _passages(sentences):
        for term, weight in bm25.terms(_joined(passage), day).weights().items():
            greatest[term] = max(weight, greatest.get(term, 0.0))
    return greatest


def _passages(sentences: Sequence[_Sentence]) -> Iterator[list[_Sentence]]:
    """The passages of a text: one begins at each sentence, the last is the first to reach the end of the
    text. A sentence longer than a passage is cut."""
    parts = [
        _sentence(sentence.tokens[start : start + PASSAGE])
        for sentence in sentences
        for start in range(0, len(sentence.tokens), PASSAGE)
    ]
    for start in range(len(parts)):
        passage, length = [], 0
        for part in parts[start:]:
            passage.append(part)
            length += len(part.tokens)
            if length >= PASSAGE:
                break
        yield passage
        if start + len(passage) == len(parts):
            return


def _joined(sentences: Iterable[_Sentence]) -> list[str]:
    return [term for sentence in sentences for term in sentence.stems]


def _sentences(text: str) -> Iterator[_Sentence]:
    for part in _SENTENCE_END.split(normalized(text)):
        if found := tokens(part):
            asks = part.rstrip().endswith(_QUESTION_MARKS)
            yield _sentence(found, asks=asks and _ONESELF.isdisjoint(found))


def _sentence(found: Sequence[str], *, asks: bool = False) -> _Sentence:
    return _Sentence(found, stems(found), asks)
