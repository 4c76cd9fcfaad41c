"""Sparse vectors of many anchors in memory: which hold a term, and how each scores for a question."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vhm.memory import bm25


class InvertedIndex:
    """Sparse vectors by row number. A vector can be put anew and removed, as anchors' vectors are when a turn
    before them comes late or is forgotten."""

    def __init__(self) -> None:
        self._postings: dict[str, tuple[array[int], array[float]]] = {}
        """Term → rows in rising order, and the weights there."""

        self._terms: dict[int, tuple[str, ...]] = {}

    def __len__(self) -> int:
        """Rows that have a vector."""
        return len(self._terms)

    def put(self, row: int, weights: Mapping[str, float]) -> None:
        """Give a row its vector, in place of the one it had."""
        for term in self._terms.get(row, ()):
            if term not in weights:
                self._remove(row, term)
        for term, weight in weights.items():
            if (postings := self._postings.get(term)) is None:
                postings = self._postings[term] = array("i"), array("f")
            rows, held = postings
            # rows mostly come in order
            place = len(rows) if not rows or rows[-1] < row else bisect_left(rows, row)
            if place < len(rows) and rows[place] == row:
                held[place] = weight
            else:
                rows.insert(place, row)
                held.insert(place, weight)
        self._terms[row] = tuple(weights)

    def remove(self, row: int) -> None:
        """Take the vector of a row out, if it has one."""
        for term in self._terms.pop(row, ()):
            self._remove(row, term)

    def move(self, row: int, to: int) -> None:
        """Give the vector of a row, if it has one, to another that has none."""
        weights = {term: self._weight(row, term) for term in self._terms.get(row, ())}
        if row in self._terms:
            self.remove(row)
            self.put(to, weights)

    def idf(self, term: str) -> float:
        """The rarity of a term among these vectors."""
        postings = self._postings.get(term)
        return bm25.idf(len(self), len(postings[0]) if postings else 0)

    def scores(self, question: Mapping[str, float], rows: int) -> NDArray[np.float64]:
        """The sparse scores of rows 0 up to `rows` for a question's sparse vector: the sum of weight times
        weight times rarity over the terms that both hold."""
        scores = np.zeros(rows)
        for term, weight in question.items():
            if postings := self._postings.get(term):
                scores[np.array(postings[0])] += np.array(postings[1], dtype=np.float64) * (
                    weight * self.idf(term)
                )
        return scores

    def _weight(self, row: int, term: str) -> float:
        rows, held = self._postings[term]
        return held[bisect_left(rows, row)]

    def _remove(self, row: int, term: str) -> None:
        rows, held = self._postings[term]
        place = bisect_left(rows, row)
        del rows[place], held[place]
        if not rows:
            del self._postings[term]
