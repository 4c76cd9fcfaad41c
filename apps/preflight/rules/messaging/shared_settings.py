"""Producers and consumers that must agree: on the collection, its model, the broker."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from preflight.cluster.environment import EnvVar
from preflight.cluster.objects import Located
from preflight.cluster.workloads import Workload
from preflight.documents.paths import Step
from preflight.facts.addresses import calls, parse
from preflight.facts.existence import missing
from preflight.facts.settings import ContainerSettings, asked, container_settings, written_at
from preflight.findings import Outcome
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import COLLECTION, near

VECTORS = re.compile(r"(\w+_)?(EMBEDDING_(MODEL|PROVIDER|DIM(ENSIONS?)?|SIZE)|VECTOR_(SIZE|DIM(ENSIONS?)?))")
"""Settings that decide what vectors look like."""


def _common(
    one: ContainerSettings, other: ContainerSettings, names: re.Pattern[str]
) -> Iterator[tuple[str, str, str]]:
    """Settings of both that match, with the two values."""
    for variable in one.variables:
        if names.fullmatch(variable.name) and any(each.name == variable.name for each in other.variables):
            first, second = one.value(variable.name), other.value(variable.name)
            if first is not None and second is not None:
                yield variable.name, first.strip(), second.strip()


def _pairs(model: Model) -> Iterator[tuple[ContainerSettings, ContainerSettings]]:
    """Every two containers of one namespace whose settings are known."""
    spaces = defaultdict(list)
    for settings in container_settings(model).values():
        spaces[settings.container.obj.namespace].append(settings)
    for found in spaces.values():
        yield from combinations(found, 2)


def _stores(settings: ContainerSettings) -> dict[str, str]:
    """The addresses of stores: of variables that go with a collection, by their common prefix."""
    prefixes = [v.name.split("_")[0] for v in settings.variables if COLLECTION.fullmatch(v.name)]
    return {
        variable.name: (settings.value(variable.name) or "").strip()
        for variable in settings.variables
        if variable.is_address and variable.name.split("_")[0] in prefixes
    }


def _share_store(one: ContainerSettings, other: ContainerSettings) -> bool:
    first, second = _stores(one), _stores(other)
    return bool(first) and first == second and one.container.obj.namespace == other.container.obj.namespace


def _written(settings: ContainerSettings, name: str) -> tuple[Located, tuple[Step, ...]]:
    """Where a setting is written: its value, or the container's name where the default holds."""
    variable = settings.variable(name)
    offered = settings.offered(variable) if variable is not None else []
    return written_at(settings.container, offered[0]) if offered else (settings.container, ("name",))


def _later(
    one: ContainerSettings, other: ContainerSettings, name: str
) -> tuple[ContainerSettings, ContainerSettings]:
    """The two with the one first whose value is probably to be changed: the one written for it alone."""
    return (one, other) if _alone(one, name) and not _alone(other, name) else (other, one)


def _alone(settings: ContainerSettings, name: str) -> bool:
    variable = settings.variable(name)
    offered = settings.offered(variable) if variable is not None else []
    return bool(offered) and offered[0].origin == "literal"


def _outcome(settings: ContainerSettings) -> Outcome:
    ready = {"readinessProbe", "startupProbe"} & settings.container.probes.keys()
    return "never ready" if ready else "ready but silent"


@rule("collection-model-differs", family="messaging", severity="error", outcome="never ready")
def collection_model_differs(model: Model) -> Iterator[Violation]:
    """Two workers that share a collection and make vectors in different ways.

    Vectors of two models have different sizes, which the store refuses, or the same size and no common
    meaning, which nobody notices: what one writes the other never finds.

        EMBEDDING_MODEL=minilm                    # of the indexer
        EMBEDDING_MODEL=openai:text-embedding-3-small    # of resonance, on the same collection
    """
    for one, other in _pairs(model):
        collections = list(_common(one, other, COLLECTION))
        if not _share_store(one, other) or any(first != second for _, first, second in collections):
            continue
        for name, first, second in _common(one, other, VECTORS):
            if first != second:
                wrong, right = _later(one, other, name)
                part, path = _written(wrong, name)
                yield at(
                    part,
                    *path,
                    message=f"{name} is {second if wrong is other else first} in {wrong.container.name} and "
                    f"{first if wrong is other else second} in {right.container.name}, for one collection",
                    fix="set it once, in a ConfigMap that both take",
                    outcome=_outcome(wrong),
                )


@rule("collection-differs", family="messaging", severity="warning", outcome="ready but silent")
def collection_differs(model: Model) -> Iterator[Violation]:
    """Two workers with the same store and different collections.

    What one stores the other does not find, and each is healthy. An error where the two names are a slip
    apart.

        QDRANT_COLLECTION=anchor                  # the indexer writes to anchors
    """
    for one, other in _pairs(model):
        for name, first, second in _common(one, other, COLLECTION) if _share_store(one, other) else ():
            if first != second:
                wrong, right = _later(one, other, name)
                part, path = _written(wrong, name)
                yield at(
                    part,
                    *path,
                    message=f"{name} is {second if wrong is other else first} in {wrong.container.name} and "
                    f"{first if wrong is other else second} in {right.container.name}",
                    fix="set it once, in a ConfigMap that both take",
                    severity="error" if near(first, [second]) else "warning",
                )


@rule("broker-differs", family="messaging", severity="error", outcome="ready but silent")
def broker_differs(model: Model) -> Iterator[Violation]:
    """Two workers that write and read the same topic on different brokers.

    Each is connected and ready, and no message of the one ever reaches the other.

        KAFKA_BOOTSTRAP_SERVERS=kafka-old:9092    # of the reader; the writer's is kafka-service:9092
    """
    for one, other in _pairs(model):
        shared = _shared_topics(one, other)
        names = re.compile(r"(\w+_)?(BOOTSTRAP(_SERVERS)?|BROKERS)")
        for name, first, second in _common(one, other, names) if shared else ():
            if not {(a.host, a.port) for a in parse(first)} & {(a.host, a.port) for a in parse(second)}:
                wrong, right = _later(one, other, name)
                part, path = _written(wrong, name)
                yield at(
                    part,
                    *path,
                    message=f"{name} of {wrong.container.name} is not that of {right.container.name}, "
                    f"and both use topic {sorted(shared)[0]}",
                    fix="set it once, in a ConfigMap that both take",
                )


def _shared_topics(one: ContainerSettings, other: ContainerSettings) -> set[str]:
    names = {one.container.name, other.container.name}
    return {
        topic.name for topic in one.topics if names <= {*topic.readers, *topic.writers} and len(names) == 2
    }


@rule("store-key-not-shared", family="messaging", severity="warning", outcome="never ready")
def store_key_not_shared(model: Model) -> Iterator[Violation]:
    """A store that asks for a key which a worker that calls it is not offered.

    Every request is answered with 401. An error where the key is surely there: the store cannot start without
    it, or the render holds its value; a warning where the Secret is optional and made elsewhere.

        envFrom:                       # the store takes QDRANT_API_KEY of vhm-secrets, and this worker
        - configMapRef:                # takes no Secret
            name: store-config
    """
    seen = set()
    for call in calls(model):
        settings = container_settings(model).get(call.container)
        key = _key_of(call.service.workloads) if call.service is not None else None
        if settings is None or key is None or call.container in seen:
            continue
        prefix = call.variable.partition("_")[0]
        variable = settings.variable(f"{prefix}_API_KEY")
        taken = any(
            each.kind == "Secret" and each.name == key.source_name for each in call.container.env_from
        )
        if variable is None or not variable.secret or settings.offered(variable) or taken:
            continue
        seen.add(call.container)
        absent = missing(model, "Secret", call.service.namespace if call.service else "", key.source_name)
        if absent is not None and absent.severity == "error":
            continue  # a slip in the store's own reference, said there
        certain = bool(key.value) or not key.optional
        if certain or key.source is None:
            yield at(
                call.container,
                *asked(call.container, variable.name),
                message=f"{variable.name} is not offered, and {call.address.host} asks for the key "
                f"{key.key} of {key.source_name}",
                fix=f"take the Secret {key.source_name} here as well",
                severity="error" if certain else "warning",
                outcome=call.outcome,
            )


def _key_of(workloads: list[Workload]) -> EnvVar | None:
    """The Secret's key that a Qdrant server of these workloads takes for its own."""
    for workload in workloads:
        for container in workload.containers:
            found = container.env.get("QDRANT__SERVICE__API_KEY")
            if re.search(r"(^|/)qdrant/qdrant([:@]|$)", container.image) and found is not None:
                return found if found.is_secret else None
    return None
