"""The words of many anchors in memory: which hold a word, and how well each answers a question."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from vhm.memory import bm25, similarity, time_expressions
from vhm.memory.tokenizer import words
from vhm.memory.utterance import speaker


class Lexicon:
    """Anchors numbered 0, 1, ... in the order they came."""

    def __init__(self) -> None:
        self._rows: dict[str, array[int]] = {}
        self._weights: dict[str, array[float]] = {}
        self._speakers: dict[str, array[int]] = {}
        self._moments: array[float] = array("d")
        self._tell_time: array[int] = array("b")

    def __len__(self) -> int:
        return len(self._tell_time)

    def extend(self, anchors: Iterable[tuple[str, datetime]]) -> None:
        """Add anchors: their text and when they were said."""
        for row, (text, said_at) in enumerate(anchors, len(self)):
            spoken = words(text)
            for term, weight in bm25.terms(spoken, said_at).weights().items():
                self._rows.setdefault(term, array("i")).append(row)
                self._weights.setdefault(term, array("f")).append(weight)
            for name in speaker(text):
                self._speakers.setdefault(name, array("i")).append(row)
            self._moments.append(said_at.timestamp())
            self._tell_time.append(time_expressions.tells_time(spoken))

    def rarity(self, term: str) -> float:
        """The idf of a stem among these anchors."""
        return bm25.idf(len(self), len(self._rows.get(term, ())))

    def relevance(self, query: bm25.Terms) -> NDArray[np.float64]:
        """`bm25.Measure.relevance` of every anchor."""
        scores = np.zeros(len(self))
        most = bm25.Measure(query, self.rarity).most
        if most <= 0:
            return scores
        for term in query.counts:
            if term in self._rows:
                rows, weights = np.array(self._rows[term]), np.array(self._weights[term], dtype=np.float64)
                scores[rows] += weights * (self.rarity(term) / most)
        return np.minimum(scores, 1.0)

    def told(self, asked: similarity.Question) -> similarity.Told:
        """`hybrid.told` of every anchor."""
        by_named = np.zeros(len(self), dtype=bool)
        for name in asked.names & self._speakers.keys():
            by_named[np.array(self._speakers[name])] = True
        return similarity.Told(
            moments=np.array(self._moments),
            tell_time=np.array(self._tell_time, dtype=bool),
            by_named=by_named,
        )
