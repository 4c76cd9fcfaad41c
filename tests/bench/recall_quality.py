"""How often recall brings back what answers a question: what a user gets, and what each part of it is worth.

    uv run python tests/bench/recall_quality.py FOLDER [--model minilm] [--url QDRANT_URL]

FOLDER (or VHM_CONVERSATIONS) holds pairs of JSON-lines files: NAME.jsonl with one anchors-write message a
line, and NAME-questions.jsonl with `{"question": ..., "evidence": [anchor_id, ...]}` a line. LoCoMo
(Maharana et al., 2024) in that form is what the figures in the README are from; it is CC BY-NC 4.0 and not
part of this project.

Every conversation has a store of its own, asked the day after its last turn with the defaults of resonance
unless a row says otherwise. Figures are recall@3, @5 and @10 and the mean reciprocal rank, means over
conversations: first by turn, then by session (the sessions of the beats in their order, as others publish).
Off-topic: the share of questions that get no beats, of those of the other conversations and of
`GENERAL_QUESTIONS`. The server (--url, or QDRANT_URL) is asked the first rows again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from unittest import mock

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from vhm import embedding
from vhm.anchors import Query, open_store
from vhm.anchors.scope import Scope
from vhm.contract.messages import Anchor, decode
from vhm.memory import anchor_terms, bm25, match
from vhm.memory.inverted_index import InvertedIndex
from vhm.memory.time_expressions import date_words
from vhm.memory.tokenizer import stem, stems, tokens
from vhm.resonance.settings import Settings

MEMORY = "local::memory:"
BATCH = 32
CUTS = (3, 5, 10)
BEATS = 50
"""Beats asked for, so that sessions and reciprocal ranks are those of a long list."""

SALIENCES, SHARES = (0.5, 1.0, 2.0), (0.2, 0.6, 0.2)
"""Saliences given at random, and how many anchors have each."""

DRAWS = 5
"""Random draws of saliences; their row is the mean."""

GENERAL_QUESTIONS = """
What is the capital of Mongolia?
How many moons does Neptune have?
Who wrote The Brothers Karamazov?
What is the boiling point of ethanol?
How do I reverse a linked list in C?
What does HTTP status 418 mean?
How do I undo the last git commit?
What is the derivative of x squared times sine x?
Is 1009 a prime number?
What is the integral of one over x?
Who won the 1998 football world cup?
What is the exchange rate of the yen?
How does a heat pump work?
Why is the sky blue?
What is the chemical formula of rust?
How long should I boil an egg?
What is the fastest land animal?
When did the Berlin wall fall?
How do vaccines work?
What is the speed of light in glass?
How do I install a printer driver on Linux?
What is the difference between TCP and UDP?
How do I centre a div in CSS?
What is a monad in Haskell?
How do I write a join in SQL?
What is the largest desert on earth?
Who painted Guernica?
What is quantum entanglement?
How does inflation affect mortgage rates?
What is the population of Brazil?
Translate "good evening" into Finnish.
How tall is Mount Kilimanjaro?
What causes tides?
What is the square root of 5041?
Which planet has the longest day?
What is the latest version of Kubernetes?
How do I sharpen a chisel?
What is the plot of Hamlet?
How many bones are in a horse?
What is the standard deviation of 3, 5 and 9?
""".strip().splitlines()

Rankings = list[NDArray[np.int64]]
"""For each question the rows of the anchors recalled, strongest first."""


class Asked(msgspec.Struct):
    """One question and the anchors that answer it."""

    question: str
    evidence: list[str]


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from what a user gets."""

    hybrid: bool = True
    floor: bool = True
    decay_lambda: float = 0.002
    base_level_weight: float = 0.2
    random_saliences: bool = False
    without: tuple[tuple[object, str, object], ...] = ()
    """Constants that are set to something else meanwhile: module, name, value."""

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """With the constants as this variant has them."""
        with contextlib.ExitStack() as stack:
            for module, name, value in self.without:
                stack.enter_context(mock.patch.object(module, name, value))
            anchor_terms._turn_terms.cache_clear()  # it remembers terms as the constants were
            yield
        anchor_terms._turn_terms.cache_clear()


ALONE = Variant(hybrid=False, floor=False, decay_lambda=0.0)
USER = Variant()
NO_FLOOR = Variant(floor=False)
VARIANTS = {
    "**what a user gets**": USER,
    "no floor": NO_FLOOR,
    "no floor, no ageing": Variant(floor=False, decay_lambda=0.0),
    "no floor, ages times ten": Variant(floor=False, decay_lambda=0.02),
    "no floor, random saliences": Variant(floor=False, random_saliences=True),
    "no floor, power 1 of age and salience": Variant(floor=False, base_level_weight=1.0),
    "no floor, without the words before": Variant(
        floor=False, without=((anchor_terms, "PRECEDING_WEIGHTS", ()),)
    ),
    "no floor, questions in full": Variant(floor=False, without=((anchor_terms, "QUESTION_WEIGHT", 1.0),)),
    "no floor, without `when`": Variant(floor=False, without=((anchor_terms, "TIME_WEIGHT", 0.0),)),
    "no floor, without `by:`": Variant(floor=False, without=((anchor_terms, "SPEAKER_WEIGHT", 0.0),)),
    "no floor, without periods": Variant(floor=False, without=((match, "PERIOD_WEIGHT", 0.0),)),
    "no floor, without the model": Variant(floor=False, without=((match, "MEANING_WEIGHT", 0.0),)),
    "the model alone, no ageing": ALONE,
}


class Conversation:
    """Anchors of one file with their questions, and the embeddings of both and of questions off topic."""

    def __init__(self, anchors: list[Anchor], questions: list[Asked]) -> None:
        self.anchors = anchors
        self.questions = [asked for asked in questions if asked.evidence]
        self.rows = {str(anchor.anchor_id): row for row, anchor in enumerate(anchors)}
        self.answers = [[self.rows[e] for e in set(one.evidence) if e in self.rows] for one in self.questions]
        self.sessions = [anchor.session or str(anchor.anchor_id) for anchor in anchors]
        self.now = max(anchor.stored_at for anchor in anchors) + timedelta(days=1)

    def uneven(self, seed: int) -> list[Anchor]:
        """The anchors with saliences at random."""
        saliences = np.random.default_rng(seed).choice(SALIENCES, len(self.anchors), p=SHARES)
        return [
            msgspec.structs.replace(anchor, salience=float(salience))
            for anchor, salience in zip(self.anchors, saliences, strict=True)
        ]


class Bench:
    """One model, its embeddings of all texts, and a store for each conversation and variant."""

    def __init__(self, model: embedding.Embedder, settings: Settings) -> None:
        self._model = model
        self._settings = settings
        self._embedded: dict[str, embedding.Vector] = {}

    async def embed(self, texts: Sequence[str]) -> embedding.Vectors:
        """The embeddings of texts, each embedded once."""
        new = list(dict.fromkeys(text for text in texts if text not in self._embedded))
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            self._embedded |= dict(zip(batch, await self._model.embed(batch), strict=True))
        return np.stack([self._embedded[text] for text in texts])

    async def recall(
        self,
        conversation: Conversation,
        questions: Sequence[str],
        variant: Variant,
        url: str,
        anchors: Sequence[Anchor] | None = None,
        beside: Sequence[Conversation] = (),
    ) -> Rankings:
        """What a fresh store at `url` answers; `anchors` are put there instead of the conversation's, and
        `beside` it others, each conversation of an owner of its own."""
        settings = msgspec.structs.replace(
            self._settings,
            hybrid_recall=variant.hybrid,
            qdrant_url=f"{url}{uuid.uuid4()}" if url == MEMORY else url,
            qdrant_collection=f"bench-{uuid.uuid4()}",
        )
        owner = "asker" if beside else ""
        owned = {owner: anchors or conversation.anchors}
        owned |= {f"other {number}": other.anchors for number, other in enumerate(beside)}
        store = await open_store(settings, self._model)
        for name, several in owned.items():
            named = [msgspec.structs.replace(anchor, owner=name) for anchor in several]
            await store.add(named, await self.embed([anchor.text for anchor in named]))
        queries = [
            Query(
                scope=Scope(owner),
                vector=vector,
                text=question,
                now=conversation.now,
                limit=BEATS,
                decay_lambda=variant.decay_lambda,
                base_level_weight=variant.base_level_weight,
                least_match=settings.floor if variant.floor else 0.0,
                diversity_threshold=settings.diversity_threshold,
            )
            for question, vector in zip(questions, await self.embed(questions), strict=True)
        ]
        rankings = await store.recall(queries)
        await store.close()
        rows = conversation.rows
        return [
            np.array([rows[str(beat.anchor_id)] for beat in ranking.beats], dtype=np.int64)
            for ranking in rankings
        ]

    async def row(
        self, conversations: Sequence[Conversation], variant: Variant, url: str, *, shared: bool = False
    ) -> list[float]:
        """The figures of a variant: by turn, then by session. `shared`: every conversation is an owner's, all
        in one collection."""
        found = []
        with variant.applied():
            for seed in range(DRAWS if variant.random_saliences else 1):
                rankings = [
                    await self.recall(
                        one,
                        [asked.question for asked in one.questions],
                        variant,
                        url,
                        one.uneven(seed) if variant.random_saliences else None,
                        [other for other in conversations if other is not one] if shared else (),
                    )
                    for one in conversations
                ]
                found.append(measured(conversations, rankings))
        return [float(mean) for mean in np.mean(found, axis=0)]

    async def off_topic(self, conversations: Sequence[Conversation], variant: Variant) -> list[float]:
        """The share without beats of the questions of other conversations, and of general ones."""
        shares = []
        for one in conversations:
            foreign = [
                asked.question for other in conversations if other is not one for asked in other.questions
            ]
            for questions in (foreign, GENERAL_QUESTIONS):
                rankings = await self.recall(one, questions, variant, MEMORY) if questions else []
                shares.append(np.mean([not len(ranking) for ranking in rankings]) if questions else np.nan)
        return [float(np.mean(shares[kind::2])) for kind in range(2)]


def measured(conversations: Sequence[Conversation], rankings: Sequence[Rankings]) -> list[float]:
    """recall at each cut and mean reciprocal rank, by turn and by session: means over conversations."""
    means = []
    for conversation, ranking in zip(conversations, rankings, strict=True):
        sessions = conversation.sessions
        found = []
        for answers, order in zip(conversation.answers, ranking, strict=True):
            by_session = list(dict.fromkeys(sessions[row] for row in order))
            found.append(
                [
                    *figures(list(order), set(answers)),
                    *figures(by_session, {sessions[row] for row in answers}),
                ]
            )
        means.append(np.mean(found, axis=0))
    return [float(mean) for mean in np.mean(means, axis=0)]


def figures(order: Sequence[object], answers: set[object]) -> list[float]:
    """The share of the answers at each cut, and the reciprocal rank of the first."""
    ranks = [rank for rank, one in enumerate(order) if one in answers]
    recalls = [sum(rank < cut for rank in ranks) / len(answers) for cut in CUTS]
    return [*recalls, 1 / (1 + ranks[0]) if ranks else 0.0]


def bm25_alone(conversations: Sequence[Conversation]) -> list[float]:
    """The figures of plain BM25 over the words and dates of each turn."""
    rankings = []
    for conversation in conversations:
        index = InvertedIndex()
        for row, anchor in enumerate(conversation.anchors):
            date = [stem(word) for word in date_words(anchor.stored_at)]
            index.put(row, bm25.terms(stems(tokens(anchor.text)), date).weights())
        rankings.append(
            [
                np.argsort(
                    -index.scores(
                        dict.fromkeys(bm25.terms(stems(tokens(asked.question))).counts, 1.0), len(index)
                    ),
                    kind="stable",
                )[:BEATS]
                for asked in conversation.questions
            ]
        )
    return measured(conversations, rankings)


def read(folder: Path) -> list[Conversation]:
    """Every conversation in a folder."""
    found = []
    for questions in sorted(folder.glob("*-questions.jsonl")):
        turns = questions.with_name(questions.name.replace("-questions", ""))
        anchors = [decode(Anchor, line) for line in turns.read_bytes().splitlines() if line.strip()]
        lines = [line for line in questions.read_bytes().splitlines() if line.strip()]
        found.append(Conversation(anchors, [msgspec.json.decode(line, type=Asked) for line in lines]))
    return found


def together(conversations: Sequence[Conversation]) -> Conversation:
    """All conversations in one store."""
    anchors = [anchor for one in conversations for anchor in one.anchors]
    return Conversation(anchors, [asked for one in conversations for asked in one.questions])


def row(name: str, values: Sequence[float]) -> None:
    """Print one line of a table."""
    print(f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |", flush=True)


async def run(folder: Path, model_name: str, server: str | None) -> None:
    """Print the tables."""
    conversations = read(folder)
    if not conversations:
        sys.exit(f"{folder}: no *-questions.jsonl with its conversation there")
    settings = Settings(kafka_bootstrap_servers="-", qdrant_url=MEMORY, embedding_model=model_name)
    model = embedding.create(settings)
    await model.open()
    bench = Bench(model, settings)
    questions = sum(len(conversation.questions) for conversation in conversations)
    turns = sum(len(conversation.anchors) for conversation in conversations)
    print(f"{len(conversations)} conversations, {turns} anchors, {questions} questions, {model.name}\n")
    print(
        "| | r@3 | r@5 | r@10 | MRR | session r@3 | r@5 | r@10 | MRR |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name, variant in VARIANTS.items():
        row(name, await bench.row(conversations, variant, MEMORY))
        if variant is USER:
            for one in conversations if len(conversations) > 1 else ():
                row(f"of {len(one.anchors)} anchors", await bench.row([one], variant, MEMORY))
            shared = "every conversation an owner's, in one collection"
            row(shared, await bench.row(conversations, variant, MEMORY, shared=True))
            if server:
                row("what a user gets from a server", await bench.row(conversations, variant, server))
                row(f"{shared} of a server", await bench.row(conversations, variant, server, shared=True))
    row("BM25 alone", bm25_alone(conversations))
    whole = [together(conversations)]
    row(f"all {turns} anchors in one store", await bench.row(whole, USER, MEMORY))
    row(f"all {turns} anchors in one store, no floor", await bench.row(whole, NO_FLOOR, MEMORY))
    print("\n| off-topic questions without beats | of other conversations | general |\n|---|---|---|")
    row("one conversation a store", await bench.off_topic(conversations, USER))
    row("all in one store", await bench.off_topic(whole, USER))
    await model.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=os.environ.get("VHM_CONVERSATIONS"))
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--url", default=os.environ.get("QDRANT_URL"), help="a server to ask as well")
    given = parser.parse_args()
    if given.folder is None:
        parser.error("which folder of conversations? give it, or set VHM_CONVERSATIONS")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(run(Path(given.folder), given.model, given.url))


if __name__ == "__main__":
    main()
