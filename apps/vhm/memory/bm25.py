"""How well a text's words answer a query's: BM25, as a share of what the query itself would score.

BM25(query, text) / BM25(query, query) is 1 where every word of the query is in the text as often as in the
query, and 0 where none is. It depends on the two texts and on how rare words are in the store, never on
which other texts are compared. Lengths are measured against a fixed one instead of the store's mean, so
that a text's weights never change once it is stored (Robertson and Zaragoza, "The Probabilistic Relevance
Framework: BM25 and Beyond", 2009, is where the formula comes from).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

K1 = 1.2
"""How soon further occurrences of a word stop counting."""

B = 0.3
"""How much a long text counts less. Turns of a conversation are short, so little."""

USUAL_LENGTH = 20
"""Words that count in a text of usual length."""


class Terms(msgspec.Struct, frozen=True):
    """A text as BM25 sees it: its stems with their counts; `length` counts the text's own stems."""

    counts: dict[str, int]
    length: int

    def weights(self) -> dict[str, float]:
        """The weight of each stem in a query that holds it, before its rarity."""
        damping = K1 * (1 - B + B * self.length / USUAL_LENGTH)
        return {term: count * (K1 + 1) / (count + damping) for term, count in self.counts.items()}


def terms(stems: Sequence[str], date: Iterable[str] = ()) -> Terms:
    """A text of these stems. The stems of the date it was said on (month, day, year), which questions name,
    count too, and make it no longer."""
    counts = Counter(stems)
    counts.update(date)
    return Terms(dict(counts), len(stems))


def idf(texts: int, holding: int) -> float:
    """The rarity of a word that `holding` of `texts` texts hold; never negative (Lucene's and Qdrant's)."""
    return math.log(1 + (texts - holding + 0.5) / (holding + 0.5))
