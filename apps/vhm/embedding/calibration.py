"""Calibrating a model that was never measured, by pairs of texts whose similarity by MiniLM is known.

Tried on multilingual-e5-small, whose cosines all lie between 0.7 and 0.9: over two long conversations the
answering turn closest to its question comes out at similarity 0.71 / 0.85 / 0.87 (quartiles; MiniLM 0.61 /
0.72 / 0.85), a random turn at 0.37 / 0.51 / 0.67 (MiniLM 0.24 / 0.37 / 0.50); taken as they are its cosines
would be 0.83 / 0.85 / 0.87 and 0.78 / 0.80 / 0.82.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vhm.embedding.protocol import GOOD_MATCH, Calibration, Vectors

QUESTIONS = (
    "What did Ruth paint for her sister?",
    "Where did Tom spend his holiday?",
    "How is grandmother's knee after the operation?",
    "Which instrument is Leo learning?",
    "When does the new bakery open?",
    "What happened to Anna's bicycle?",
    "Why did Paul leave his job?",
    "What does the dog like to eat?",
)
ANSWERS = (
    "Ruth: I finished the picture of the harbour at last, my sister will get it for her birthday.",
    "Tom: We went to the mountains for two weeks, the kids loved the cable car.",
    "The doctor says grandma may walk without her stick soon, the surgery went well.",
    "Leo: My teacher says my cello playing gets better every week!",
    "They told me the bread shop at the corner will start selling on the first of May.",
    "Anna: Somebody stole my bike from the station last night, I had to walk home.",
    "Paul: I quit at the bank, the long hours were making me ill.",
    "Our puppy goes mad for carrots and turns up his nose at expensive dog food.",
)
TEXTS = QUESTIONS + ANSWERS

UNRELATED, RELATED = 0.141, 0.813
"""Median similarity, by MiniLM calibrated on real conversations, of a question and the answer to another, and
of a question and its own answer."""

MIN_SPREAD = 0.05
"""Difference of the two median cosines below which a model does not separate related texts from unrelated
ones; its cosines are then taken as they are."""


def calibrate(vectors: Vectors) -> Calibration:
    """The calibration of a model from its unit vectors of `TEXTS`: the one that gives unrelated and related
    pairs the similarity they have by MiniLM."""
    cosines = vectors[: len(QUESTIONS)] @ vectors[len(QUESTIONS) :].T
    related, unrelated = medians(cosines)
    if related - unrelated < MIN_SPREAD:
        return Calibration()
    slope = (RELATED - UNRELATED) / (related - unrelated)
    floor, good = unrelated - UNRELATED / slope, unrelated + (GOOD_MATCH - UNRELATED) / slope
    return Calibration(floor=round(floor, 2), good=min(0.98, round(good, 2)))


def medians(cosines: NDArray[np.floating]) -> tuple[float, float]:
    """Median of the diagonal of a square of cosines, and of the rest."""
    own = np.eye(len(cosines), dtype=bool)
    return float(np.median(cosines[own])), float(np.median(cosines[~own]))
