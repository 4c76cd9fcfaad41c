"""Selectors: whom Services, policies, budgets and workloads select, and whom they do not mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from preflight.cluster.objects import Field, selects
from preflight.cluster.services import Service
from preflight.cluster.workloads import Container, Workload
from preflight.facts.custom_resources import monitors
from preflight.facts.existence import are_applied_together, is_whole
from preflight.facts.ports import target
from preflight.facts.selectors import (
    equals,
    has_custom_pods,
    is_hopeless,
    is_the_clusters,
    nearly,
    of_manifests,
    pods_of,
    selected,
)
from preflight.findings import Outcome, Severity
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import hint

CONTROLLERS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController")


class Selecting(msgspec.Struct, frozen=True, kw_only=True):
    """A selector that selects none of those it may select."""

    field: Field
    """The mapping of its labels."""
    wanted: dict[str, str]
    labels: Sequence[Mapping[str, str]]
    """The labels of those it may select."""
    among: str
    near_only: bool = False
    """Whether what it means may run already, or be made by a custom resource: then only a slip is said."""
    sure: bool = False
    """Whether labels that none of them has are an error."""
    slip: Severity = "error"
    outcome: Outcome | None = None


@rule("selects-nothing", family="references", severity="warning", outcome="applies nothing")
def selects_nothing(model: Model) -> Iterator[Violation]:
    """A label selector that selects none of those it is for.

    A Service gets no endpoints: pods are ready and every connection is refused. A NetworkPolicy protects
    nothing, one of its peers permits nobody, a PodDisruptionBudget lets a drain take all pods, a topology
    spread constraint (whose pods are those of its own template) spreads nothing, a required pod affinity
    leaves the pod Pending, a ServiceMonitor, which goes by the Service's own labels, scrapes nothing. An
    error where a slip explains it, or where a Service's pods have other values for the same keys; else a
    warning, since labels can be put on at run time. Of peers and affinity, whose pods may run elsewhere, only
    a slip is reported.

        selector:
          app: indexr                  # the pods have app: indexer
    """
    for each in _selecting_nothing(model):
        slip = nearly(each.wanted, each.labels)
        pairs = ", ".join(f"{key}: {value}" for key, value in each.wanted.items())
        if slip is not None and slip.is_slip:
            yield at(
                each.field.field(slip.key),
                message=f"no {each.among} has label {slip.key}: {each.wanted[slip.key]}; "
                f"did you mean {slip.meant}?",
                fix=f"write {slip.meant}",
                severity=each.slip,
                outcome=each.outcome,
            )
        elif each.labels and not each.near_only:
            certain = each.sure and is_whole(model) and is_hopeless(each.wanted, each.labels)
            yield at(
                each.field,
                message=f"no {each.among} has labels {pairs}{hint(slip.meant if slip is not None else None)}",
                fix=f"write {slip.meant}" if slip is not None else "select labels that they have",
                severity="error" if certain else "warning",
                outcome=each.outcome,
            )


def _selecting_nothing(model: Model) -> Iterator[Selecting]:
    # a template that differs from its own selector is refused
    refused = [equals(workload.obj.get("spec", "selector")) or {} for workload in model.workloads]
    for service in model.services:
        if service.workloads:
            continue
        wanted = of_manifests(service.selector)
        pods = pods_of(model, service.namespace)
        if wanted and not any(wanted.items() <= each.items() for each in (*pods, *refused)):
            yield Selecting(
                field=service.field("spec", "selector"),
                wanted=wanted,
                labels=pods,
                among=f"pod of namespace {service.namespace}",
                near_only=is_the_clusters(service.namespace) or has_custom_pods(model, service.namespace),
                sure=True,
                outcome="ready but unreachable",
            )
    for policy in model.objects_of("NetworkPolicy"):
        yield from _of_pods(model, policy.field("spec", "podSelector"), policy.namespace)
        for peer in (*policy.fields("spec.ingress.*.from.*"), *policy.fields("spec.egress.*.to.*")):
            namespace = None if peer.get("namespaceSelector") is not None else policy.namespace
            yield from _of_pods(
                model, peer.field("podSelector"), namespace, near_only=True, outcome="ready but unreachable"
            )
    for budget in model.objects_of("PodDisruptionBudget"):
        yield from _of_pods(model, budget.field("spec", "selector"), budget.namespace)
    required = "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution.*"
    for workload in model.workloads:
        for term in workload.fields(required):
            elsewhere = term.get("namespaces") or term.get("namespaceSelector") is not None
            namespace = None if elsewhere else workload.namespace
            yield from _of_pods(
                model, term.field("labelSelector"), namespace, near_only=True, outcome="Pending"
            )
        for selector in workload.fields("topologySpreadConstraints.*.labelSelector"):
            yield from _of_labels(selector, [workload.labels], f"pod of {workload.obj.ref}")
    for monitor in monitors(model):
        labels = [each.labels for each in monitor.candidates]
        selector = monitor.obj.field("spec", "selector")
        yield from _of_labels(selector, labels, f"{monitor.what} of the namespaces of {monitor.obj.ref}")


def _of_pods(
    model: Model,
    selector: Field,
    namespace: str | None,
    *,
    near_only: bool = False,
    outcome: Outcome | None = None,
) -> Iterator[Selecting]:
    wanted = equals(selector.doc)
    if wanted and not selected(model, selector.doc, namespace):
        yield Selecting(
            field=selector.field("matchLabels"),
            wanted=of_manifests(wanted),
            labels=pods_of(model, namespace),
            among=f"pod of namespace {namespace}" if namespace else "pod",
            near_only=near_only or has_custom_pods(model, namespace or ""),
            outcome=outcome,
        )


def _of_labels(selector: Field, labels: list[dict[str, str]], among: str) -> Iterator[Selecting]:
    if isinstance(selector.doc, dict) and not any(selects(selector.doc, each) for each in labels):
        wanted = equals(selector.doc) or {}
        field = selector.field("matchLabels") if "matchLabels" in selector.doc else selector
        yield Selecting(field=field, wanted=wanted, labels=labels, among=among, slip="warning")


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
                    workload.obj.field("spec", "selector"),
                    message=f"the selector of {workload.obj.ref} also selects the pods of {other.obj.ref}",
                    fix="give each workload a label of its own, in selector and template",
                )


def _selector(workload: Workload) -> dict[str, object] | None:
    selector = workload.obj.get("spec", "selector")
    if workload.kind == "ReplicationController" and isinstance(selector, dict):
        return {"matchLabels": selector}
    return selector if isinstance(selector, dict) and selector else None


@rule("service-selects-others", family="references", severity="error", outcome="ready but unreachable")
def service_selects_others(model: Model) -> Iterator[Violation]:
    """A Service that also selects the pods of a workload that runs something else.

    A part of the requests goes to pods that cannot answer them: to a port nobody listens on, or to another
    program. Two versions of one program behind a Service are taken for what they are (the same container
    names, or the same image, command and first argument, of the containers that have the port where all pods
    have one), and headless Services, which list members of a cluster, are left alone. A warning where all but
    one are Jobs, which take a part as long as they run.

        selector:
          app.kubernetes.io/part-of: vhm   # selects every worker
    """
    for service in model.services:
        reached = [
            workload
            for workload in service.workloads
            if _receives(service, workload) and are_applied_together(model, service.obj, workload.obj)
        ]
        serving = [_serving(service, each) for each in reached]
        running = serving if all(serving) else [each.containers for each in reached]
        others = [
            each
            for each, containers in zip(reached[1:], running[1:], strict=True)
            if _program(containers) != _program(running[0]) and not _names(containers) & _names(running[0])
        ]
        if service.headless or not others:
            continue
        names = dict.fromkeys(f"{each.kind} {each.name}" for each in (reached[0], *others))
        if len(names) < 2:
            continue
        yield at(
            service.field("spec", "selector", next(iter(service.selector))),
            message=f"the selector of Service {service.name} selects pods of {' and '.join(sorted(names))}, "
            "which run different programs",
            fix="select by a label that only one of them has",
            severity="warning"
            if sum(each.kind not in RUN_ONCE for each in (reached[0], *others)) < 2
            else None,
        )


RUN_ONCE = ("CronJob", "Job")


def _names(containers: list[Container]) -> set[str]:
    return {container.name for container in containers if container.role == "main"}


def _serving(service: Service, workload: Workload) -> list[Container]:
    """The containers that declare a port the Service leads to."""
    targets = [target(port) for port in service.ports]
    return [
        container
        for container in workload.containers
        if any(
            target in (port.get("containerPort"), port.get("name"))
            for target in targets
            for port in container.ports
        )
    ]


def _program(containers: list[Container]) -> tuple[object, ...]:
    """What the main ones of these containers run, as far as two versions of one program agree."""
    found = []
    for container in containers:
        if container.role == "main":
            words = [word for word in (*container.command, *container.args) if not word.startswith("-")]
            repository = container.image.partition("@")[0]
            last = repository.rpartition("/")[2]
            repository = repository.removesuffix(":" + last.partition(":")[2]) if ":" in last else repository
            found.append((repository, tuple(container.command), tuple(words[:1])))
    return tuple(sorted(found))


def _receives(service: Service, workload: Workload) -> bool:
    """Whether the pods become endpoints of any port: a named target port must be one of theirs."""
    names = {str(port.get("name")) for container in workload.containers for port in container.ports}
    targets = [target(port) for port in service.ports]
    return any(isinstance(target, int) or str(target) in names for target in targets)
