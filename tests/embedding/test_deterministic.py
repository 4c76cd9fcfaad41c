import asyncio
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vhm.embedding import EmbeddingFailedError
from vhm.embedding.deterministic import DeterministicEmbedder

Embed = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def embed() -> Iterator[Embed]:
    with asyncio.Runner() as runner:
        yield lambda *texts: runner.run(DeterministicEmbedder().embed(texts))


def test_the_published_formula_by_hand(embed: Embed) -> None:
    # MD5("hello") = 5d41402abc4b2a76b9719d911017c592 = 123957004363873451094272536567338222994:
    # mod 384 it is 274, mod 1000 994; MD5("world") = 166782745355867373839397039755161253351: 359 and 351
    (vector,) = embed("Hello  hello\tWORLD")
    expected = np.zeros(384)
    expected[274] = 2 * 0.994
    expected[359] = 0.351
    assert vector == pytest.approx(expected / np.sqrt(1.988**2 + 0.351**2), abs=1e-6)
    assert vector.dtype == np.float32


@settings(deadline=None, max_examples=50)
@given(texts=st.lists(st.text(min_size=1), max_size=4))
def test_vectors_are_unit_and_the_same_in_company_and_alone(embed: Embed, texts: list[str]) -> None:
    together = embed(*texts)
    assert together.shape == (len(texts), 384)
    for text, vector in zip(texts, together, strict=True):
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5) or not vector.any()
        assert np.array_equal(vector, embed(text)[0])


def test_order_and_case_of_words_do_not_matter_and_a_blank_text_is_zero(embed: Embed) -> None:
    one, other, blank = embed("the cat sat", "Sat THE  cat", " \n")
    assert one @ other == pytest.approx(1, abs=1e-6)
    assert not blank.any()


def test_many_texts_off_the_loop_are_the_same(embed: Embed) -> None:
    texts = [f"memory {number} " * 100 for number in range(50)]
    assert np.array_equal(embed(*texts), np.concatenate([embed(text) for text in texts]))


def test_half_a_surrogate_pair_is_refused_by_place(embed: Embed) -> None:
    with pytest.raises(EmbeddingFailedError, match=r"not valid Unicode at character 2: '\\ud800'") as refused:
        embed("fine", "ab\ud800")
    assert refused.value.index == 1
