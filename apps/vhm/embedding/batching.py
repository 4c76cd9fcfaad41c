"""Token lists → model windows → batches: pure arithmetic on lengths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def cuts(length: int, window: int) -> list[tuple[int, int]]:
    """A length cut into the fewest parts of at most `window`, as equal as can be: (start, end) pairs.

    Equal parts weigh alike and leave no rump of a few tokens. A length of 0 is one empty part.
    """
    parts = max(1, -(-length // window))
    return list(pairwise(length * part // parts for part in range(parts + 1)))


def batches(lengths: Sequence[int], most: int, run_cost: int) -> list[list[int]]:
    """Indexes in batches of like length, the longest last, split so that the least is spent.

    A batch costs its size times its longest member (all are padded to that) plus `run_cost`, in tokens;
    it holds at most `most` tokens in this sense, unless a single member is longer.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    # by lengths of the sorted list's beginnings: the least cost, and where the last batch of it starts
    costs, starts = [0], [0]
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        first = max(0, end - max(1, most // longest))
        cost, start = min((costs[s] + longest * (end - s) + run_cost, s) for s in range(first, end))
        costs.append(cost)
        starts.append(start)
    made: list[list[int]] = []
    end = len(order)
    while end:
        made.append(order[starts[end] : end])
        end = starts[end]
    return made[::-1]
