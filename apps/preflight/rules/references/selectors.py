"""Selectors: whom Services, policies, budgets and workloads select, and whom they do not mean."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from preflight.cluster.objects import Located, Obj, selects
from preflight.cluster.workloads import Workload
from preflight.documents.paths import Step, dig, list_at
from preflight.facts.existence import are_applied_together, is_whole
from preflight.facts.selectors import (
    equals,
    has_custom_pods,
    is_hopeless,
    nearly,
    of_manifests,
    pods_of,
    selected,
)
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import hint

CONTROLLERS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController")


@rule("service-selects-nothing", family="references", severity="error", outcome="ready but unreachable")
def service_selects_nothing(model: Model) -> Iterator[Violation]:
    """A Service whose selector matches no pod of its namespace.

    The Service gets an address and no endpoints: pods are ready and every connection is refused. An error
    where a slip explains it, or where the pods' labels have other values for the same keys; else a warning,
    since labels can be put on at run time. Where a custom resource may make the pods, nothing is said.

        selector:
          app: indexr                  # the pods have app: indexer
    """
    # a template that differs from its own selector is refused, and that is said elsewhere
    refused = [equals(workload.obj.get("spec", "selector")) or {} for workload in model.workloads]
    for service in model.services:
        wanted = of_manifests(service.selector)
        pods = chain(pods_of(model, service.namespace), refused)
        if not wanted or any(wanted.items() <= each.items() for each in pods):
            continue
        yield from _selects_nothing(
            model, service, ("spec", "selector"), wanted, service.namespace, sure=True
        )


@rule("policy-selects-nothing", family="references", severity="warning", outcome="applies nothing")
def policy_selects_nothing(model: Model) -> Iterator[Violation]:
    """A NetworkPolicy whose `podSelector` matches no pod of its namespace.

    The policy is accepted and protects or permits nothing. An error where a slip explains it.

        podSelector:
          matchLabels:
            app: kafak                 # the pods have app: kafka
    """
    for policy in model.objects_of("NetworkPolicy"):
        yield from _label_selector(model, policy, ("spec", "podSelector"), policy.namespace)


@rule("peer-selects-nothing", family="references", severity="error", outcome="ready but unreachable")
def peer_selects_nothing(model: Model) -> Iterator[Violation]:
    """A NetworkPolicy that permits traffic with pods a slip away from those of the namespace.

    A `from` or `to` whose selector matches no pod permits nobody, so the traffic it was written for is cut.
    Peers may run in what is applied elsewhere, so only a near miss is reported.

        - podSelector:
            matchLabels:
              kafka-cleint: "true"     # the pods have kafka-client: "true"
    """
    for policy in model.objects_of("NetworkPolicy"):
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for index, entry in enumerate(policy.items("spec", direction)):
                for number, peer in enumerate(list_at(entry, peers)):
                    namespace = None if dig(peer, "namespaceSelector") is not None else policy.namespace
                    path = ("spec", direction, index, peers, number, "podSelector")
                    yield from _label_selector(model, policy, path, namespace, near_only=True)


@rule("budget-selects-nothing", family="references", severity="warning", outcome="applies nothing")
def budget_selects_nothing(model: Model) -> Iterator[Violation]:
    """A PodDisruptionBudget whose selector matches no pod of its namespace.

    The budget protects nothing: a drain takes all replicas at once. An error where a slip explains it.

        selector:
          matchLabels:
            app: resonnance            # the pods have app: resonance
    """
    for budget in model.objects_of("PodDisruptionBudget"):
        yield from _label_selector(model, budget, ("spec", "selector"), budget.namespace)


@rule("spread-selects-nothing", family="references", severity="warning", outcome="applies nothing")
def spread_selects_nothing(model: Model) -> Iterator[Violation]:
    """A topology spread constraint whose selector does not match the pod's own labels.

    The scheduler counts the pods the selector matches; with none, every node is as good as another, and the
    replicas may all land on one.

        topologySpreadConstraints:
        - labelSelector:
            matchLabels:
              app: indexer             # copied: these pods have app: resonance
    """
    for workload in model.workloads:
        for index, each in enumerate(workload.items("topologySpreadConstraints")):
            selector = dig(each, "labelSelector")
            if isinstance(selector, dict) and not selects(selector, workload.labels):
                yield at(
                    workload,
                    "topologySpreadConstraints",
                    index,
                    "labelSelector",
                    message=f"labelSelector of topologySpreadConstraints[{index}] does not select the pods "
                    f"of {workload.obj.ref}, which are not spread",
                    fix="select labels of this pod template",
                )


@rule("affinity-selects-nothing", family="references", severity="error", outcome="Pending")
def affinity_selects_nothing(model: Model) -> Iterator[Violation]:
    """A required pod affinity for pods a slip away from those of the render.

    `requiredDuringScheduling` affinity for labels no running pod has leaves the pod Pending. The pods may run
    already, so only a near miss is reported.

        podAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - labelSelector:
              matchLabels:
                app: qdrnat            # the pods have app: qdrant
    """
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    for workload in model.workloads:
        for index, term in enumerate(workload.items("affinity", "podAffinity", required)):
            elsewhere = dig(term, "namespaces") or dig(term, "namespaceSelector") is not None
            path = (*workload.path, "affinity", "podAffinity", required, index, "labelSelector")
            namespace = None if elsewhere else workload.namespace
            yield from _label_selector(model, workload.obj, path, namespace, near_only=True)


def _label_selector(
    model: Model, obj: Obj, path: tuple[Step, ...], namespace: str | None, near_only: bool = False
) -> Iterator[Violation]:
    selector = obj.get(*path)
    if not isinstance(selector, dict) or selected(model, selector, namespace):
        return
    wanted = equals(selector)
    if wanted:
        yield from _selects_nothing(
            model, obj, (*path, "matchLabels"), of_manifests(wanted), namespace, near_only=near_only
        )


def _selects_nothing(
    model: Model,
    part: Located,
    path: tuple[Step, ...],
    wanted: dict[str, str],
    namespace: str | None,
    *,
    sure: bool = False,
    near_only: bool = False,
) -> Iterator[Violation]:
    pods = pods_of(model, namespace)
    slip = nearly(wanted, pods)
    where = f" of namespace {namespace}" if namespace else ""
    pairs = ", ".join(f"{key}: {value}" for key, value in wanted.items())
    if slip is not None and slip.is_slip:
        yield at(
            part,
            *path,
            slip.key,
            message=f"no pod{where} has label {slip.key}: {wanted[slip.key]}; did you mean {slip.meant}?",
            fix=f"write {slip.meant}",
            severity="error",
        )
    elif pods and not near_only and not has_custom_pods(model, namespace or ""):
        certain = sure and is_whole(model) and is_hopeless(wanted, pods)
        yield at(
            part,
            *path,
            message=f"no pod{where} has labels {pairs}{hint(slip.meant if slip is not None else None)}",
            fix=f"write {slip.meant}" if slip is not None else "select labels of a pod template",
            severity="error" if certain else "warning",
        )


@rule("overlapping-selectors", family="references", severity="warning", outcome="applies nothing")
def overlapping_selectors(model: Model) -> Iterator[Violation]:
    """A workload whose selector also matches the pods of another one.

    What finds pods through a workload's selector takes both workloads' pods for one: an autoscaler refuses to
    scale (AmbiguousSelector) or scales on the wrong load, `kubectl logs deployment/x` shows the other one's
    lines, and a StatefulSet or ReplicaSet adopts pods that have no owner.

        selector:
          matchLabels:
            app: vhm                   # both Deployments select it
    """
    for workload in model.workloads:
        selector = _selector(workload)
        if workload.kind not in CONTROLLERS or not selector or not selects(selector, workload.labels):
            continue
        for other in selected(model, selector, workload.namespace):
            known = other.kind in CONTROLLERS and other.obj.ref != workload.obj.ref
            if known and are_applied_together(model, workload.obj, other.obj):
                yield at(
                    workload.obj,
                    "spec",
                    "selector",
                    message=f"the selector of {workload.obj.ref} also selects the pods of {other.obj.ref}",
                    fix="give each workload a label of its own, in selector and template",
                )


def _selector(workload: Workload) -> dict[str, object] | None:
    selector = workload.obj.get("spec", "selector")
    if workload.kind == "ReplicationController" and isinstance(selector, dict):
        return {"matchLabels": selector}
    return selector if isinstance(selector, dict) and selector else None
