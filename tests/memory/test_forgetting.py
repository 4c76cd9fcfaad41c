"""Forgetting: how far a memory is to be trusted."""

from __future__ import annotations

import pytest

from vhm.memory.forgetting import confidence


@pytest.mark.parametrize(
    ("activation", "trusted"),
    [(2.5, "high"), (0.85, "high"), (0.8499, "medium"), (0.6, "medium"), (0.5999, "low"), (0, "low")],
)
def test_confidence_follows_activation(activation, trusted):
    assert confidence(activation) == trusted
