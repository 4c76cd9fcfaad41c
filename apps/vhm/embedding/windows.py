"""Token lists → model windows → batches: pure arithmetic on lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise


def cuts(length: int, window: int) -> list[tuple[int, int]]:
    """A length cut into the fewest parts of at most `window`, as equal as can be: (start, end) pairs.

    Equal parts weigh alike and leave no rump of a few tokens. A length of 0 is one empty part.
    """
    parts = max(1, -(-length // window))
    return list(pairwise(length * part // parts for part in range(parts + 1)))


def batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Indexes in batches of like length, the longest last, each at most `most` tokens when padded to its
    longest (a single one may be longer)."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[index] * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
