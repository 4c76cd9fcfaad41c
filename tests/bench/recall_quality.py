"""How often recall brings back the turns that answer a question: hybrid, its parts, each part alone, and
the store itself.

    uv run python tests/bench/recall_quality.py FOLDER [--models minilm deterministic] [--url URL]

FOLDER (or VHM_CONVERSATIONS) holds pairs of JSON-lines files: NAME.jsonl with one anchors-write message a
line, and NAME-questions.jsonl with `{"question": ..., "evidence": [anchor_id, ...]}` a line. LoCoMo
(Maharana et al., 2024) in that form is what the figures in the README are from; it is CC BY-NC 4.0 and not
part of this project. Similarity alone is measured, but for the row that says so: there memories age, the
day after the conversation's last.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from vhm import embedding
from vhm.anchors import AnchorStore, Query
from vhm.contract.messages import Anchor, decode
from vhm.contract.settings import EmbeddingSettings
from vhm.memory import similarity
from vhm.memory.inverted_index import Lexicon
from vhm.memory.similarity import Blend, Order

BATCH = 32
CUTS = (5, 10)
NEITHER_TIME, NOR_NAMES = {"in_period": 0.0, "tells_time": 0.0}, {"by_named": 0.0}
ALONE = {**NEITHER_TIME, **NOR_NAMES, "neighbour": 0.0}
MEMORY = "local::memory:"
STORE_ROWS = (
    ("hybrid off", False, 0.0),
    ("hybrid on", True, 0.0),
    ("hybrid on, ageing 0.002 a day", True, 0.002),
)
DEEPEST = 50
"""Beats asked of the store."""

Rankings = list[NDArray[np.int64]]
"""For each question the rows of the anchors recalled, strongest first."""


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
        self.anchors, self.rows = anchors, rows
        self.vectors: dict[str, tuple[embedding.Vectors, embedding.Vectors]] = {}

    async def embed(self, model: embedding.Embedder) -> None:
        """The vectors of the questions and of the anchors."""
        asked = await _vectors(model, [one.question for one in self.questions])
        self.vectors[model.name] = asked, await _vectors(model, [anchor.text for anchor in self.anchors])

    def rankings(self, model: embedding.Embedder | None, blend: Blend) -> Rankings:
        """By the pure parts; without a model by words alone."""
        found = []
        for index, one in enumerate(self.questions):
            asked = similarity.question(one.question, self.now)
            wording = self.lexicon.relevance(asked.terms)
            meaning = np.zeros(len(wording))
            if model is not None:
                questions, anchors = self.vectors[model.name]
                meaning = model.calibration.similarity(anchors @ questions[index])
            own = similarity.blended(asked, meaning, wording, self.lexicon.told(asked), blend)
            similarities = similarity.lifted(own, self.order.strongest(own), blend)
            found.append(np.argsort(-similarities, kind="stable"))
        return found

    async def recalled(
        self, settings: EmbeddingSettings, model: embedding.Embedder, with_words: bool, decay_lambda: float
    ) -> Rankings:
        """By the store."""
        questions, anchors = self.vectors[model.name]
        store = AnchorStore(settings, model, hybrid=with_words)
        await store.open()
        await store.add(self.anchors, anchors)
        queries = [
            Query(
                vector=vector,
                text=one.question,
                now=self.now,
                limit=DEEPEST,
                decay_lambda=decay_lambda,
                diversity_threshold=1.0,
            )
            for one, vector in zip(self.questions, questions, strict=True)
        ]
        answers = await store.recall(queries)
        await store.close()
        return [np.array([self.rows[str(beat.anchor_id)] for beat in beats]) for beats in answers]


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


def measured(conversations: Sequence[Conversation], rankings: Sequence[Rankings]) -> NDArray[np.float64]:
    """recall@5, recall@10 and mean reciprocal rank: the mean over conversations of their means."""
    means = []
    for conversation, ranking in zip(conversations, rankings, strict=True):
        rows = []
        for answers, order in zip(conversation.answers, ranking, strict=True):
            ranks = np.flatnonzero(np.isin(order, answers))
            recalls = [np.count_nonzero(ranks < cut) / len(answers) for cut in CUTS]
            rows.append([*recalls, 1 / (1 + ranks[0]) if len(ranks) else 0.0])
        means.append(np.mean(rows, axis=0))
    mean: NDArray[np.float64] = np.mean(means, axis=0)
    return mean


def variants(models: Sequence[embedding.Embedder]) -> dict[str, tuple[embedding.Embedder | None, Blend]]:
    """What is compared, by name; the first model is the one taken apart."""
    first = models[0]
    name = first.name
    return {
        **{f"{model.name} alone": (model, Blend(meaning=1.0, **ALONE)) for model in models},
        "BM25 alone": (None, Blend(meaning=0.0, **ALONE)),
        f"{name} + BM25": (first, Blend(**ALONE)),
        f"{name} + BM25 + time": (first, Blend(**NOR_NAMES, neighbour=0.0)),
        f"{name} + BM25 + names": (first, Blend(**NEITHER_TIME, neighbour=0.0)),
        f"{name} + BM25 + neighbours": (first, Blend(**NEITHER_TIME, **NOR_NAMES)),
        "BM25 + time + names + neighbours": (None, Blend(meaning=0.0)),
        **{f"hybrid with {model.name}": (model, Blend()) for model in models},
    }


def row(name: str, figures: NDArray[np.float64]) -> None:
    """Print one line of the table."""
    print(f"| {name} | {' | '.join(f'{figure:.3f}' for figure in figures)} |", flush=True)


async def run(folder: Path, names: Sequence[str], qdrant_url: str) -> None:
    """Print the table."""
    conversations = read(folder)
    if not conversations:
        sys.exit(f"{folder}: no *-questions.jsonl with its conversation there")
    settings = EmbeddingSettings(kafka_bootstrap_servers="127.0.0.1:9092", qdrant_url=qdrant_url)
    models = [embedding.create(msgspec.structs.replace(settings, embedding_model=name)) for name in names]
    for model in models:
        await model.open()
        for conversation in conversations:
            await conversation.embed(model)
    questions = sum(len(conversation.questions) for conversation in conversations)
    turns = sum(len(conversation.anchors) for conversation in conversations)
    print(f"{len(conversations)} conversations, {turns} anchors, {questions} questions\n")
    print("| similarity | recall@5 | recall@10 | MRR |\n|---|---|---|---|")
    for name, (variant, blend) in variants(models).items():
        row(name, measured(conversations, [each.rankings(variant, blend) for each in conversations]))
    for what, with_words, decay in STORE_ROWS:
        rankings = []
        for number, each in enumerate(conversations):
            place = msgspec.structs.replace(
                settings,
                embedding_model=names[0],
                qdrant_url=qdrant_url + (f"{what}{number}" if qdrant_url == MEMORY else ""),
                qdrant_collection=f"bench-{uuid.uuid4()}",
            )
            rankings.append(await each.recalled(place, models[0], with_words, decay))
        row(f"the store, {what}", measured(conversations, rankings))
    for model in models:
        await model.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=os.environ.get("VHM_CONVERSATIONS"))
    parser.add_argument("--models", nargs="+", default=["minilm", "deterministic"])
    parser.add_argument("--url", default=MEMORY, help="the store: the embedded one in memory, or QDRANT_URL")
    given = parser.parse_args()
    if given.folder is None:
        parser.error("which folder of conversations? give it, or set VHM_CONVERSATIONS")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(run(Path(given.folder), given.models, given.url))


if __name__ == "__main__":
    main()
