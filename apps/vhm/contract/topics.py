"""The topic graph: the topics, who writes them, and which consumer groups read them."""

from __future__ import annotations

import msgspec

DEAD_LETTER_SUFFIX = ".dead-letter"


NO_TEXTS = ("anchors-indexed", "anchors-forgotten")
"""Topics whose records hold ids and outcomes alone."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic. `readers` are worker names; a worker's name is its consumer group."""

    name: str
    key: str
    writers: tuple[str, ...]
    readers: tuple[str, ...] = ()


ANCHORS_WRITE = "anchors-write"
ANCHORS_INDEXED = "anchors-indexed"
ANCHORS_FORGET = "anchors-forget"
ANCHORS_FORGOTTEN = "anchors-forgotten"
RECALL_REQUEST = "recall-request"
RECALL_RESPONSE = "recall-response"
RETELL_RESPONSE = "retell-response"

CLIENT = "client"
GATEWAY = "gateway"
"""The worker that is a client for others."""


def dead_letter(topic: str) -> str:
    """The topic of the records that a worker refused from `topic`."""
    return topic + DEAD_LETTER_SUFFIX


_GRAPH = (
    Topic(name=ANCHORS_WRITE, key="anchor_id", writers=(CLIENT,), readers=("indexer",)),
    Topic(name=ANCHORS_INDEXED, key="anchor_id", writers=("indexer",), readers=(CLIENT,)),
    Topic(name=ANCHORS_FORGET, key="request_id", writers=(CLIENT,), readers=("indexer",)),
    Topic(name=ANCHORS_FORGOTTEN, key="request_id", writers=("indexer",), readers=(CLIENT,)),
    Topic(name=RECALL_REQUEST, key="request_id", writers=(CLIENT,), readers=("resonance",)),
    Topic(name=RECALL_RESPONSE, key="request_id", writers=("resonance",), readers=("reteller", CLIENT)),
    Topic(name=RETELL_RESPONSE, key="request_id", writers=("reteller",), readers=(CLIENT,)),
)

TOPICS: tuple[Topic, ...] = (
    *_GRAPH,
    *(
        Topic(name=dead_letter(topic.name), key=topic.key, writers=(worker,))
        for topic in _GRAPH
        for worker in topic.readers
        if worker != CLIENT
    ),
)
"""Every topic of the system, dead letters included."""


GROUPS: tuple[str, ...] = tuple(
    dict.fromkeys(worker for topic in _GRAPH for worker in topic.readers if worker != CLIENT)
)
"""The workers that consume topics, each as the group of its name."""


def carries_texts(name: str) -> bool:
    """Whether records of that topic, of any prefix, hold what somebody said."""
    return not name.endswith(NO_TEXTS)


def reads(worker: str) -> tuple[str, ...]:
    """Names of the topics `worker` consumes."""
    return tuple(topic.name for topic in TOPICS if worker in topic.readers)


def needs(worker: str) -> tuple[str, ...]:
    """Names of the topics `worker` consumes or produces to, dead letters included."""
    role = CLIENT if worker == GATEWAY else worker
    return tuple(topic.name for topic in TOPICS if role in topic.readers or role in topic.writers)
