import asyncio

import numpy as np
import pytest

from vhm.embedding import Calibration, calibration
from vhm.embedding.minilm import MiniLMEmbedder


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    async def embedded() -> np.ndarray:
        model = MiniLMEmbedder()
        await model.open()
        return await model.embed(calibration.TEXTS)

    return asyncio.run(embedded())


def test_minilm_measured_by_the_yardstick_is_read_as_it_was_calibrated(vectors: np.ndarray) -> None:
    measured = calibration.calibrate(vectors)
    assert measured.floor == pytest.approx(MiniLMEmbedder.calibration.floor, abs=0.01)
    assert measured.good == pytest.approx(MiniLMEmbedder.calibration.good, abs=0.01)


def test_a_model_with_a_narrow_range_of_cosines_reads_the_same(vectors: np.ndarray) -> None:
    # one number more in each vector squeezes every cosine c into 0.6 + 0.4 c
    narrow = np.hstack([vectors * np.sqrt(0.4), np.full((len(vectors), 1), np.sqrt(0.6))]).astype(np.float32)
    measured = calibration.calibrate(narrow)
    assert measured.floor == pytest.approx(0.6, abs=0.01)
    assert measured.similarity(np.array(0.6 + 0.4 * 0.5)) == pytest.approx(
        MiniLMEmbedder.calibration.similarity(np.array(0.5)), abs=0.03
    )


def test_a_model_that_tells_nothing_apart_is_read_as_it_is() -> None:
    assert calibration.calibrate(np.full((16, 4), 0.5, np.float32)) == Calibration()
