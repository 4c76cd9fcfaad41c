"""How often recall brings back the turns that answer a question: hybrid, its parts, and each part alone.

    uv run python tests/bench/recall_quality.py FOLDER [--models minilm deterministic]

FOLDER (or VHM_CONVERSATIONS) holds pairs of JSON-lines files: NAME.jsonl with one anchors-write message a
line, and NAME-questions.jsonl with `{"question": ..., "evidence": [anchor_id, ...]}` a line. LoCoMo
(Maharana et al., 2024) in that form is what the figures in the README are from; it is CC BY-NC 4.0 and not
part of this project. Ageing and salience are left out: what is measured is similarity.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from vhm import embedding
from vhm.contract.messages import Anchor, decode
from vhm.contract.settings import EmbeddingSettings
from vhm.memory import hybrid
from vhm.memory.hybrid import Blend, Order
from vhm.memory.lexicon import Lexicon

BATCH = 32
CUTS = (5, 10)
ALONE = {"in_period": 0.0, "tells_time": 0.0, "neighbour": 0.0}
Similarity = Callable[["Conversation", int], NDArray[np.float64]]


class Asked(msgspec.Struct):
    """One question and the anchors that answer it."""

    question: str
    evidence: list[str]


class Conversation:
    """Anchors of one file with their questions, embedded by each model."""

    def __init__(self, anchors: list[Anchor], questions: list[Asked]) -> None:
        self.questions = [asked for asked in questions if asked.evidence]
        rows = {str(anchor.anchor_id): row for row, anchor in enumerate(anchors)}
        self.answers = [[rows[e] for e in set(asked.evidence) if e in rows] for asked in self.questions]
        self.lexicon = Lexicon()
        self.lexicon.extend((anchor.text, anchor.stored_at) for anchor in anchors)
        numbers: dict[str | None, int] = {None: -1}
        sessions = [numbers.setdefault(anchor.session, len(numbers)) for anchor in anchors]
        self.moments = np.array([anchor.stored_at.timestamp() for anchor in anchors])
        self.order = Order(np.array(sessions), self.moments)
        self.now = max(anchor.stored_at for anchor in anchors) + timedelta(days=1)
        self.texts = [anchor.text for anchor in anchors]
        self.meaning: dict[str, NDArray[np.float64]] = {}

    async def embed(self, model: embedding.Embedder) -> None:
        """Similarity by `model` alone of every question (row) to every anchor."""
        asked = await _vectors(model, [one.question for one in self.questions])
        told = await _vectors(model, self.texts)
        self.meaning[model.name] = model.calibration.similarity(asked @ told.T)

    def similarity(self, index: int, model: str | None, blend: Blend) -> NDArray[np.float64]:
        """Of question `index` to every anchor; without a model by words alone."""
        asked = hybrid.question(self.questions[index].question, self.now)
        wording = self.lexicon.relevance(asked.terms)
        meaning = self.meaning[model][index] if model else np.zeros(len(wording))
        own = hybrid.blended(asked, meaning, wording, self.moments, self.lexicon.tell_time(), blend)
        return hybrid.lifted(own, self.order.strongest(own), blend)


async def _vectors(model: embedding.Embedder, texts: Sequence[str]) -> embedding.Vectors:
    parts = [await model.embed(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
    return np.concatenate(parts)


def read(folder: Path) -> list[Conversation]:
    """Every conversation in a folder."""
    found = []
    for questions in sorted(folder.glob("*-questions.jsonl")):
        told = questions.with_name(questions.name.replace("-questions", ""))
        anchors = [decode(Anchor, line) for line in told.read_bytes().splitlines() if line.strip()]
        lines = [line for line in questions.read_bytes().splitlines() if line.strip()]
        asked = [msgspec.json.decode(line, type=Asked) for line in lines]
        found.append(Conversation(anchors, asked))
    return found


def measures(conversations: Sequence[Conversation], similarity: Similarity) -> NDArray[np.float64]:
    """recall@5, recall@10 and reciprocal rank of each question (rows), conversation after conversation."""
    rows = []
    for conversation in conversations:
        for index, answers in enumerate(conversation.answers):
            scores = similarity(conversation, index)
            place = np.empty(len(scores), dtype=int)
            place[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
            ranks = place[answers]
            rows.append([*(float((ranks < cut).mean()) for cut in CUTS), 1 / (1 + int(ranks.min()))])
    return np.array(rows)


def averaged(conversations: Sequence[Conversation], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over conversations of their means."""
    ends = np.cumsum([len(conversation.answers) for conversation in conversations])
    means = np.array([part.mean(axis=0) for part in np.split(rows, ends[:-1])])
    mean: NDArray[np.float64] = means.mean(axis=0)
    return mean


def variants(models: Sequence[str]) -> dict[str, Similarity]:
    """What is compared, by name; the first model is the one taken apart."""

    def by(model: str | None, blend: Blend) -> Similarity:
        return lambda conversation, index: conversation.similarity(index, model, blend)

    first = models[0]
    named: dict[str, Similarity] = {
        f"{model} alone": by(model, Blend(meaning=1.0, **ALONE)) for model in models
    }
    named["BM25 alone"] = by(None, Blend(meaning=0.0, **ALONE))
    named[f"{first} + BM25"] = by(first, Blend(**ALONE))
    named[f"{first} + BM25 + time"] = by(first, Blend(neighbour=0.0))
    named[f"{first} + BM25 + neighbours"] = by(first, Blend(in_period=0.0, tells_time=0.0))
    named["BM25 + time + neighbours"] = by(None, Blend(meaning=0.0))
    named |= {f"hybrid with {model}": by(model, Blend()) for model in models}
    return named


async def run(folder: Path, models: Sequence[str]) -> None:
    """Print the table."""
    conversations = read(folder)
    if not conversations:
        sys.exit(f"{folder}: no *-questions.jsonl with its conversation there")
    settings = EmbeddingSettings(kafka_bootstrap_servers="127.0.0.1:9092", qdrant_url="local::memory:")
    for name in models:
        model = embedding.create(msgspec.structs.replace(settings, embedding_model=name))
        await model.open()
        for conversation in conversations:
            await conversation.embed(model)
        await model.close()
    questions = sum(len(conversation.questions) for conversation in conversations)
    turns = sum(len(conversation.texts) for conversation in conversations)
    print(f"{len(conversations)} conversations, {turns} anchors, {questions} questions\n")
    print("| similarity | recall@5 | recall@10 | MRR |\n|---|---|---|---|")
    for name, similarity in variants(models).items():
        at5, at10, mrr = averaged(conversations, measures(conversations, similarity))
        print(f"| {name} | {at5:.3f} | {at10:.3f} | {mrr:.3f} |")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=os.environ.get("VHM_CONVERSATIONS"))
    parser.add_argument("--models", nargs="+", default=["minilm", "deterministic"])
    given = parser.parse_args()
    if given.folder is None:
        parser.error("which folder of conversations? give it, or set VHM_CONVERSATIONS")
    asyncio.run(run(Path(given.folder), given.models))


if __name__ == "__main__":
    main()
