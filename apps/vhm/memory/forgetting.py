"""Forgetting shows in the wording alone: how sure a retelling sounds of a memory, never what it says."""

from __future__ import annotations

HIGH, MEDIUM = 0.85, 0.6
"""Activation from which a memory is told plainly, and from which with "I think"; below, "only dimly"."""


def confidence(activation: float) -> str:
    """How far a memory of that activation is to be trusted: high, medium or low."""
    if activation >= HIGH:
        return "high"
    return "medium" if activation >= MEDIUM else "low"
