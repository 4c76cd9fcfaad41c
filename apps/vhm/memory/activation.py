"""How strongly a memory answers a query at a moment.

activation = similarity x exp(-λ x age in days) x salience. A perfect match said today at salience 1
scores 1.0, and the forgetting thresholds are read against that scale.
"""

from __future__ import annotations

import math
from datetime import datetime

DECAY_LAMBDA_PER_DAY = 0.002
"""λ of the published model: half forgotten after 347 days."""

_SECONDS_PER_DAY = 86_400.0


def age_days(stored_at: datetime, now: datetime) -> float:
    """Age in fractional days; a memory from the future is as old as one from now. Both aware."""
    return max(0.0, (now - stored_at).total_seconds() / _SECONDS_PER_DAY)


def decay(age_days: float, decay_lambda: float = DECAY_LAMBDA_PER_DAY) -> float:
    """What time has left of a memory, 0..1."""
    return math.exp(-decay_lambda * max(0.0, age_days))


def activation(
    similarity: float, age_days: float, salience: float, decay_lambda: float = DECAY_LAMBDA_PER_DAY
) -> float:
    """The activation of a memory of that `similarity` to the query, age and salience."""
    return similarity * decay(age_days, decay_lambda) * salience
