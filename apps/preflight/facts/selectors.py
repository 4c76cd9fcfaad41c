"""Label selectors against the workloads of a render: who is meant, who is nearly meant, and who is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from preflight.cluster.objects import selects
from preflight.cluster.workloads import Workload
from preflight.documents.paths import list_at, strings
from preflight.facts.existence import is_custom
from preflight.model import Model
from preflight.spelling import near

AT_RUNTIME = (
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/",
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    "pod-template-generation",
    "pod-template-hash",
    "statefulset.kubernetes.io/pod-name",
)
"""Labels that controllers put on pods: no manifest has them."""


class NearMiss(msgspec.Struct, frozen=True):
    """A selector that selects nothing, and one pair of it that was probably meant otherwise."""

    key: str
    meant: str
    """The pair to write instead, as `key: value`."""
    is_slip: bool = True
    """False where the value stands under another key: pods that are not seen may have that key."""


def of_manifests(labels: Mapping[str, str]) -> dict[str, str]:
    """The pairs that manifests can have."""
    return {key: value for key, value in labels.items() if not key.startswith(AT_RUNTIME)}


def equals(selector: object) -> dict[str, str] | None:
    """What a LabelSelector asks for as plain pairs; None where it has expressions that are no such pairs."""
    if not isinstance(selector, dict):
        return None
    pairs = {str(key): str(value) for key, value in strings(selector.get("matchLabels")).items()}
    for each in list_at(selector, "matchExpressions"):
        values = each.get("values") if isinstance(each, dict) else None
        if not isinstance(values, list) or len(values) != 1 or each.get("operator") != "In":
            return None
        pairs[str(each.get("key"))] = str(values[0])
    return pairs


MARKS = frozenset({"true", "false", "yes", "no", "1", "0", "enabled", "disabled", ""})
"""Values that tell no name from another."""


def nearly(wanted: Mapping[str, str], label_sets: Iterable[Mapping[str, str]]) -> NearMiss | None:
    """Where `wanted` selects none of the label sets and one slip in one pair explains it."""
    for labels in label_sets:
        off = [key for key, value in wanted.items() if labels.get(key) != value]
        if len(off) != 1:
            continue
        key = off[0]
        if key in labels and near(wanted[key], [labels[key]]):
            return NearMiss(key, f"{key}: {labels[key]}")
        same = next((k for k, v in labels.items() if v == wanted[key]), None)
        # `true` is the value of any mark: that two of them have it says nothing
        for other in near(key, labels), None if wanted[key] in MARKS else same:
            if other and key not in labels and labels[other] == wanted[key]:
                return NearMiss(key, f"{other}: {labels[other]}", near(key, [other]) is not None)
    return None


def is_hopeless(wanted: Mapping[str, str], label_sets: Iterable[Mapping[str, str]]) -> bool:
    """Whether every key is one the pods have and some value is one that none of them has: nothing that runs
    later will add it."""
    sets = list(label_sets)
    keys = {key for labels in sets for key in labels}
    pairs = {pair for labels in sets for pair in labels.items()}
    return bool(wanted) and wanted.keys() <= keys and not wanted.items() <= pairs


def selected(model: Model, selector: object, namespace: str | None) -> list[Workload]:
    """The workloads of a namespace (None: of any) whose pods a LabelSelector selects."""
    pairs = strings(selector.get("matchLabels")) if isinstance(selector, dict) else {}
    known = model.by_label
    sets = [known.get((namespace, *pair), []) for pair in pairs.items()]
    fewest = min(sets, key=len) if sets else known.get((namespace, "", ""), [])
    return [each for each in fewest if selects(selector, each.labels)]


def pods_of(model: Model, namespace: str | None) -> list[dict[str, str]]:
    """The labels of all pods of a namespace (None: of all)."""
    return [each.labels for each in model.by_label.get((namespace, "", ""), [])]


def is_the_clusters(namespace: str) -> bool:
    """Whether the cluster has pods of its own in that namespace, its DNS among them."""
    return namespace.startswith(("kube-", "openshift-"))


def has_custom_pods(model: Model, namespace: str) -> bool:
    """Whether a custom resource of that namespace may make pods that no manifest shows."""
    return any(is_custom(obj) and obj.namespace in (namespace, "") for obj in model.objects)
