"""Settings that two workers must have alike: of a collection, its vectors, the brokers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations

import msgspec

from preflight.facts.addresses import parse
from preflight.facts.settings import ContainerSettings, container_settings
from preflight.findings import Severity
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import COLLECTION, near

VECTORS = re.compile(r"(\w+_)?(EMBEDDING_(MODEL|PROVIDER|DIM(ENSIONS?)?|SIZE)|VECTOR_(SIZE|DIM(ENSIONS?)?))")
"""Settings that decide what vectors look like."""
BROKERS = re.compile(r"(\w+_)?(BOOTSTRAP(_SERVERS)?|BROKERS)")


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


def _share_collection(one: ContainerSettings, other: ContainerSettings) -> bool:
    collections = _common(one, other, COLLECTION)
    return _share_store(one, other) and all(first == second for _, first, second in collections)


def _share_store(one: ContainerSettings, other: ContainerSettings) -> bool:
    first, second = _stores(one), _stores(other)
    return bool(first) and first == second and one.container.obj.namespace == other.container.obj.namespace


def _is_alone(settings: ContainerSettings, name: str) -> bool:
    """Whether a setting is written for this container alone: then it is probably the one to be changed."""
    variable = settings.variable(name)
    offered = settings.offered(variable) if variable is not None else []
    return bool(offered) and offered[0].origin == "literal"


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that two workers must have alike, where `together` says that they work on the same thing."""

    names: re.Pattern[str]
    together: Callable[[ContainerSettings, ContainerSettings], bool]
    consequence: str
    severity: Severity = "error"
    refused: bool = False
    """Whether the store refuses one of them, so that it never gets ready."""


PROBED = {"readinessProbe", "startupProbe"}
AGREEMENTS = (
    Agreement(
        names=VECTORS,
        together=_share_collection,
        consequence="one collection has vectors of two models",
        refused=True,
    ),
    Agreement(
        names=COLLECTION,
        together=_share_store,
        consequence="one does not find what the other stores",
        severity="warning",
    ),
    Agreement(
        names=BROKERS,
        together=lambda one, other: bool(_shared_topics(one, other)),
        consequence="no message passes between them",
    ),
)


@rule("shared-setting-differs", family="messaging", severity="error", outcome="ready but silent")
def shared_setting_differs(model: Model) -> Iterator[Violation]:
    """Two workers that work on the same thing and have different settings for it.

    Workers that share a collection must make its vectors by one model: vectors of another size are refused,
    those of the same size never match. Workers with one store and two collections do not find what the other
    stores (a warning, unless the names are one edit apart). Writers and readers of a topic must call the same
    brokers.

        EMBEDDING_MODEL=minilm                           # of the indexer
        EMBEDDING_MODEL=openai:text-embedding-3-small    # of resonance, on the same collection
    """
    for one, other in _pairs(model):
        for agreement in AGREEMENTS:
            for name, first, second in _common(one, other, agreement.names):
                if _agree(first, second) or not agreement.together(one, other):
                    continue
                wrong, right = (
                    (one, other) if _is_alone(one, name) and not _is_alone(other, name) else (other, one)
                )
                values = (second, first) if wrong is other else (first, second)
                variable = wrong.variable(name)
                yield at(
                    wrong.written(variable) if variable is not None else wrong.container.field("name"),
                    message=f"{name} is {values[0]} in {wrong.container.name} and {values[1]} in "
                    f"{right.container.name}: {agreement.consequence}",
                    fix="set it once, in a ConfigMap that both take",
                    severity="error" if near(first, [second]) else agreement.severity,
                    outcome="never ready"
                    if agreement.refused and PROBED & wrong.container.probes.keys()
                    else None,
                )


def _agree(first: str, second: str) -> bool:
    """Whether two values are the same, or lists of addresses with one in common."""
    common = {(a.host, a.port) for a in parse(first)} & {(a.host, a.port) for a in parse(second)}
    return first == second or bool(common)


def _shared_topics(one: ContainerSettings, other: ContainerSettings) -> set[str]:
    names = {one.container.name, other.container.name}
    return {
        topic.name for topic in one.topics if names <= {*topic.readers, *topic.writers} and len(names) == 2
    }
