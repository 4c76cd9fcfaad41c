"""What may be committed is the done prefix, in whatever order things get done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vhm.runtime.offset_tracker import OffsetTracker

offsets = st.lists(st.integers(1, 5), min_size=1, max_size=60).map(
    lambda gaps: [sum(gaps[: n + 1]) for n in range(len(gaps))]
)


@given(offsets, st.data())
def test_the_position_is_one_past_the_done_prefix(taken: list[int], data: st.DataObject) -> None:
    tracker = OffsetTracker(("topic", 0))
    tracker.add(taken)
    order = data.draw(st.permutations(taken))
    done: set[int] = set()
    while order:
        size = data.draw(st.integers(1, len(order)))
        before = tracker.position
        moved = tracker.mark_done(order[:size])
        done.update(order[:size])
        order = order[size:]
        prefix = [o for nth, o in enumerate(taken) if done.issuperset(taken[: nth + 1])]
        assert tracker.position == (prefix[-1] + 1 if prefix else None)
        assert moved == (tracker.position != before)
        assert tracker.in_flight == len(taken) - len(done)
    assert tracker.position == taken[-1] + 1


@given(offsets, st.integers(0, 60))
def test_taking_bit_by_bit_is_the_same_as_at_once(taken: list[int], cut: int) -> None:
    tracker = OffsetTracker(("topic", 0))
    tracker.add(taken[:cut])
    tracker.mark_done(taken[:cut])
    tracker.add(taken[cut:])
    tracker.mark_done(taken[cut:])
    assert (tracker.position, tracker.in_flight) == (taken[-1] + 1, 0)


def test_nothing_is_to_be_committed_at_first() -> None:
    tracker = OffsetTracker(("topic", 0))
    assert tracker.position is None
    tracker.add([7, 8])
    assert not tracker.mark_done([8])
    assert tracker.position is None
