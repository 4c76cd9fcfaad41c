"""How strongly a memory answers a question at a moment.

    base level = exp(-λ · age in days) · salience
    activation = similarity · base level ^ w

A perfect match said today at salience 1 is 1, and the forgetting thresholds are read against that scale. At
w = 1 this is the published model; at 0.2 a year costs what 14 % of similarity is worth and so does half the
salience, so that age and importance decide between memories that fit about equally well.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DECAY_LAMBDA_PER_DAY = 0.002
"""λ of the published model: half forgotten after 347 days."""

BASE_LEVEL_WEIGHT = 0.2
"""w. Over three conversations recall@10 is .82 with it, .79 at 1; with a fifth of the saliences at 2 and a
fifth at .5 (at random) .78 and .37."""

MOST_SALIENCE = 2.5
"""Saliences that other programs write are clamped to 0 and this."""

SECONDS_PER_DAY = 86_400.0


def age_days(stored_at: datetime, now: datetime) -> float:
    """Age in fractional days; a memory from the future is as old as one from now. Both aware."""
    return max(0.0, (now - stored_at).total_seconds() / SECONDS_PER_DAY)


def decay(age_days: float, decay_lambda: float = DECAY_LAMBDA_PER_DAY) -> float:
    """What time has left of a memory, 0..1."""
    return math.exp(-decay_lambda * max(0.0, age_days))


def base_level(
    ages: NDArray[np.float64], saliences: NDArray[np.float64], decay_lambda: float = DECAY_LAMBDA_PER_DAY
) -> NDArray[np.float64]:
    """The base levels of memories, by their ages in days and their saliences."""
    # imported here: settings need this module's constants alone, and numpy takes 70 ms
    import numpy as np

    decays = np.exp(-decay_lambda * np.maximum(ages, 0.0))
    return decays * np.clip(np.nan_to_num(saliences, nan=0.0), 0.0, MOST_SALIENCE)


def activation(
    similarity: NDArray[np.float64], base_level: NDArray[np.float64], weight: float = BASE_LEVEL_WEIGHT
) -> NDArray[np.float64]:
    """The activations of memories, by their similarities to the question and their base levels."""
    return similarity * base_level**weight
