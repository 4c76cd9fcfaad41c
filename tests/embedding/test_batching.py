from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from vhm.embedding.batching import batches, split


@settings(deadline=None)
@given(st.integers(0, 5000), st.integers(1, 300))
def test_cuts_cover_everything_once_in_the_fewest_nearly_equal_parts(length: int, window: int) -> None:
    parts = split(length, window)
    assert [start for start, _ in parts] == [0, *(end for _, end in parts[:-1])]
    assert parts[-1][1] == length
    sizes = [end - start for start, end in parts]
    assert max(sizes) <= window
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) == max(1, -(-length // window))


def cost(batch: list[int], lengths: list[int], run_cost: int) -> int:
    return len(batch) * max(lengths[index] for index in batch) + run_cost


@settings(deadline=None)
@given(st.lists(st.integers(1, 256), max_size=60), st.integers(1, 1024), st.integers(0, 50))
def test_batches_hold_everything_once_and_stay_bounded_padding_included(
    lengths: list[int], most: int, run_cost: int
) -> None:
    made = batches(lengths, most, run_cost)
    assert sorted(index for batch in made for index in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) == 1 or cost(batch, lengths, 0) <= most


@settings(deadline=None)
@given(st.lists(st.integers(1, 99), min_size=1, max_size=7), st.integers(1, 300), st.integers(0, 50))
def test_no_other_split_of_the_sorted_lengths_costs_less(
    lengths: list[int], most: int, run_cost: int
) -> None:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    splits: list[tuple[int, ...]] = [()]
    for size in range(1, len(order)):
        splits += combinations(range(1, len(order)), size)
    possible = [[order[start:end] for start, end in pairwise((0, *split, len(order)))] for split in splits]
    allowed = [p for p in possible if all(len(b) == 1 or cost(b, lengths, 0) <= most for b in p)]
    least = min(sum(cost(b, lengths, run_cost) for b in p) for p in allowed)
    assert sum(cost(b, lengths, run_cost) for b in batches(lengths, most, run_cost)) == least
