"""A question as recall reads it: words, speakers, a period."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from vhm.memory import bm25
from vhm.memory.anchor_terms import TIME_MARK, Weights, speaker_mark
from vhm.memory.periods import Period, named_period
from vhm.memory.time_expressions import asks_when
from vhm.memory.tokenizer import stems, tokens


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question as recall reads it.

    `terms` are its stems. `weights` is its sparse vector, all ones: its stems, the mark of each of its words
    as a speaker's name, and `when` if it asks when. `period` is the time it names; `only_time` says that it
    asks for nothing but what was at that time.
    """

    terms: bm25.Terms
    weights: Weights
    period: Period | None
    only_time: bool

    def self_score(self, idf: Callable[[str], float]) -> float:
        """BM25(question, question), which a text with the same words reaches: of the stems alone, by the
        rarity of each. 0 for a question without stems."""
        return sum(weight * idf(term) for term, weight in self.terms.weights().items())


def question(text: str, now: datetime) -> Question:
    """The question as it is read at `now` (aware; days are those of its offset)."""
    spoken = tokens(text)
    terms = bm25.terms(stems(spoken))
    marks = {speaker_mark(token) for token in spoken}
    if asks_when(text):
        marks.add(TIME_MARK)
    named = named_period(text, now)
    return Question(
        terms=terms,
        weights=dict.fromkeys((*terms.counts, *sorted(marks)), 1.0),
        period=named.period if named else None,
        only_time=named is not None and named.alone,
    )
