"""Which sentences of a memory answer a question."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence

from vhm.memory.time_expressions import asks_when, tells_time
from vhm.memory.tokenizer import STOP_WORDS, content_words, stem, words

_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}")
_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|old|long|far|big|tall|often)\b|\b(?:number|price|amount)\b", re.IGNORECASE
)
_REFERENCE = re.compile(r"(?:He|She|It|They|That|This|Those|These|His|Her|Their|Its|So|But|And|Then)\b")
_SPECIAL = 0.5
"""What a time is worth to one who asks when, and a number to one who asks how many: half a word in common."""


class AnswerScorer:
    """Scores sentences by how well they answer a question. `names` of speakers do not count as words."""

    def __init__(self, text: str, sentences: Sequence[str], names: Collection[str] = ()) -> None:
        counts = Counter(term for sentence in sentences for term in content_terms(sentence))
        wanted = content_terms(text) - {stem(word) for name in names for word in words(name)}
        self._worth = {term: 1 / (1 + math.log(1 + counts[term])) for term in wanted}
        self.when, self._number = asks_when(text), bool(_ASKS_NUMBER.search(text))

    def score(self, sentence: str) -> float:
        """The sum over shared words, rare ones weighing more; a question counts half."""
        found = content_terms(sentence)
        score = sum(worth * _share(term, found) for term, worth in self._worth.items())
        if (self.when and tells_time(words(sentence))) or (self._number and re.search(r"\d", sentence)):
            score += _SPECIAL
        return score * _weight(sentence)


def content_terms(text: str) -> set[str]:
    """Stems of the words that carry meaning; of unspaced scripts, overlapping pairs of characters."""
    spoken = {stem(word) for word in words(text) if word not in STOP_WORDS}
    return spoken | {run[i : i + 2] for run in _UNSPACED.findall(text) for i in range(len(run) - 1)}


def refers_back(sentence: str) -> bool:
    """Whether a sentence begins with a word that refers to the one before."""
    return bool(_REFERENCE.match(sentence))


def substance(sentence: str) -> float:
    """The information in a sentence: its content words, of a question half of them."""
    weight = min(len(content_words(sentence)) + len(re.findall(r"\d+", sentence)), 6)
    return weight * _weight(sentence)


def _weight(sentence: str) -> float:
    """A question tells half of what a statement does, and what stands in brackets a third."""
    if sentence.startswith("["):
        return 0.3
    return 0.5 if sentence.endswith(("?", "？")) else 1.0


def _share(term: str, found: set[str]) -> float:
    """1 where the sentence has the term, half where it has one of the same beginning (mentor, mentorship)."""
    if term in found:
        return 1.0
    long = len(term) >= 5 and any(
        len(other) >= 5 and (other.startswith(term) or term.startswith(other)) for other in found
    )
    return 0.5 if long else 0.0
