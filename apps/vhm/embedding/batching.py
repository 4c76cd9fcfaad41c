"""Token lists → model windows → batches: arithmetic on lengths. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def split(length: int, window: int) -> list[tuple[int, int]]:
    """A length split into the fewest parts of at most `window`, as equal as can be: (start, end) pairs.

    Equal parts have equal weight, and none is a rest of a few tokens. A length of 0 is one empty part.
    """
    parts = max(1, -(-length // window))
    return list(pairwise(length * part // parts for part in range(parts + 1)))


def batches(lengths: Sequence[int], max_tokens: int, run_cost: int) -> list[list[int]]:
    """Indices in batches of similar length, the longest last, at the least total cost.

    A batch costs its size times its longest member, to which all are padded, plus `run_cost`, in tokens. It
    holds at most `max_tokens`, padding included, unless a single member is longer.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    # dynamic programming over the first n of the sorted lengths: least cost, start of the last batch
    costs, starts = [0], [0]
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        first = max(0, end - max(1, max_tokens // longest))
        cost, start = min((costs[s] + longest * (end - s) + run_cost, s) for s in range(first, end))
        costs.append(cost)
        starts.append(start)
    found: list[list[int]] = []
    end = len(order)
    while end:
        found.append(order[starts[end] : end])
        end = starts[end]
    return found[::-1]
