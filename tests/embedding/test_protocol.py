import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vhm.embedding import Calibration
from vhm.embedding.minilm import MiniLMEmbedder

cosines = st.floats(-1, 1)
calibrations = st.tuples(st.floats(-0.5, 0.9), st.floats(-0.4, 0.95)).filter(
    lambda pair: pair[1] - pair[0] > 0.01
)


@settings(deadline=None)
@given(cosines)
def test_as_it_comes_it_is_the_identity(cosine: float) -> None:
    assert Calibration().similarity(np.array([cosine]))[0] == pytest.approx(max(0, cosine), abs=1e-12)


@settings(deadline=None)
@given(calibrations, cosines, cosines)
def test_similarity_is_0_to_1_and_keeps_the_order(
    pair: tuple[float, float], one: float, other: float
) -> None:
    calibration = Calibration(floor=pair[0], good=pair[1])
    low, high = calibration.similarity(np.array(sorted((one, other))))
    assert 0 <= low <= high + 1e-12  # a straight line ends within a rounding of its end
    assert high <= 1
    if one != other and min(one, other) > calibration.floor and abs(one - other) > 1e-9:
        assert low < high


@settings(deadline=None)
@given(calibrations, cosines)
def test_the_formula_for_stores_is_the_same_function(pair: tuple[float, float], cosine: float) -> None:
    calibration = Calibration(floor=pair[0], good=pair[1])
    total = sum(slope * max(0, cosine - x) for x, slope in calibration.hinges)
    assert total == pytest.approx(calibration.similarity(np.array(cosine)), abs=1e-9)


def test_an_exact_match_is_1_and_a_good_minilm_match_is_told_verbatim() -> None:
    similarity = MiniLMEmbedder.calibration.similarity(np.array([1.0, 0.6, 0.43, -0.1, 1.0000001]))
    assert similarity == pytest.approx([1.0, 0.85, 0.609, 0.0, 1.0], abs=1e-3)


def test_a_calibration_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match=r"floor < good < 1, got 0.7 and 0.6"):
        Calibration(floor=0.7, good=0.6)
