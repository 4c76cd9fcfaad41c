from hypothesis import given
from hypothesis import strategies as st

from vhm.embedding.windows import batches, cuts


@given(st.integers(0, 5000), st.integers(1, 300))
def test_cuts_cover_everything_once_in_the_fewest_nearly_equal_parts(length: int, window: int) -> None:
    parts = cuts(length, window)
    assert [start for start, _ in parts] == [0, *(end for _, end in parts[:-1])]
    assert parts[-1][1] == length
    sizes = [end - start for start, end in parts]
    assert max(sizes) <= window
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) == max(1, -(-length // window))


@given(st.lists(st.integers(1, 256), max_size=60), st.integers(1, 1024))
def test_batches_hold_everything_once_and_stay_bounded_padding_included(
    lengths: list[int], most: int
) -> None:
    made = list(batches(lengths, most))
    assert sorted(index for batch in made for index in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= most
