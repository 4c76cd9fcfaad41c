"""What the bars and the drawing of a recall say."""

from __future__ import annotations

import itertools
import uuid

from hypothesis import given
from hypothesis import strategies as st

from vhm.contract.explain import Candidate, Explanation
from vhm.gateway.page.bars import WIDTH, bars
from vhm.gateway.page.plot import HEIGHT, plot
from vhm.gateway.page.plot import WIDTH as ACROSS

SHARES = st.floats(0, 1)


@st.composite
def candidates(draw: st.DrawFn, weight: float) -> Candidate:
    meaning, words = 0.3 * draw(SHARES), 0.7 * draw(SHARES)
    match = min(1.0, meaning + words + draw(st.floats(0, 0.1)))
    decay, salience = draw(st.floats(1e-3, 1)), draw(st.floats(0.3, 2.5))
    return Candidate(
        anchor_id=uuid.uuid4(),
        text="",
        age_days=draw(st.floats(0, 80_000)),
        match=match,
        similarity=match,
        decay=decay,
        salience=salience,
        activation=match * (decay * salience) ** weight,
        meaning=meaning,
        words=words,
        left_out=draw(st.sampled_from([None, "weaker than those chosen"])),
    )


@given(st.data(), st.floats(0, 1))
def test_a_bar_ends_where_the_activation_is_and_its_parts_follow_one_another(
    data: st.DataObject, weight: float
) -> None:
    found = data.draw(st.lists(candidates(weight), max_size=6))
    drawn = bars(Explanation(candidates=found, memories=9, base_level_weight=weight))
    longest = max((max(one.activation, one.similarity) for one in found), default=0)
    for one, bar in zip(found, drawn, strict=True):
        if longest > 0:
            assert abs(bar.end - one.activation / longest * WIDTH) < 0.2
        assert all(0 <= part.x <= WIDTH + 0.1 and part.x + part.width <= WIDTH + 0.2 for part in bar.segments)
        sources = [part for part in bar.segments if part.part in ("meaning", "words", "period")]
        for earlier, later in itertools.pairwise(sources):
            assert abs(earlier.x + earlier.width - later.x) < 0.3


def test_age_takes_and_salience_gives() -> None:
    one = Candidate(anchor_id=uuid.uuid4(), text="", age_days=100, match=0.5, meaning=0.2, words=0.3,
                    similarity=0.5, decay=0.5, salience=1.5, activation=0.5 * 0.5 * 1.5)  # fmt: skip
    (bar,) = bars(Explanation(candidates=[one], memories=1, base_level_weight=1.0))
    parts = {part.part: (part.x, part.width) for part in bar.segments}
    assert parts == {"meaning": (0, 96), "words": (96, 144), "faded": (120, 120), "salient": (120, 60)}
    assert bar.end == 180


@given(st.lists(candidates(0.2), min_size=1, max_size=20))
def test_every_candidate_is_within_the_drawing_and_beats_are_numbered(found: list[Candidate]) -> None:
    drawn = plot(found)
    assert drawn is not None
    assert all(0 <= point.x <= ACROSS and 0 <= point.y <= HEIGHT for point in drawn.points)
    places = [point.place for point in drawn.points if point.place]
    assert places == list(range(1, sum(one.left_out is None for one in found) + 1))


def test_nothing_is_drawn_of_nothing() -> None:
    assert plot([]) is None
    assert bars(Explanation(candidates=[], memories=0)) == []
