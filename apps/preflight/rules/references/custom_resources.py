"""What custom resources name and select: objects a slip away, labels nobody has, ports nobody declares."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Obj, selects
from preflight.documents.paths import Step, dig, strings
from preflight.facts.custom_resources import named_objects
from preflight.facts.existence import is_given
from preflight.facts.selectors import equals, nearly
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import base_of, hint, is_slip, listed, near


@rule("custom-reference-misspelt", family="references", severity="error", outcome="applies nothing")
def custom_reference_misspelt(model: Model) -> Iterator[Violation]:
    """A custom resource that names an object one slip away from one of its namespace.

    The controller waits for it, and often only the resource's status says so. Known are Argo CD and Rollouts,
    KEDA, External Secrets, cert-manager, Flux, Gateway API, Traefik and Strimzi. What they name may be made
    elsewhere: only a near miss is reported, and a key that the ConfigMap or Secret of the render lacks.

        kind: ScaledObject
        spec: {scaleTargetRef: {name: resonnance}}     # the Deployment is resonance
    """
    for named in named_objects(model):
        others = [obj.name for obj in model.objects_of(named.kind) if obj.namespace == named.namespace]
        found = model.find(named.kind, named.namespace, named.name)
        if found is None and not is_given(model, named.kind, named.name):
            meant = near(named.name, others) or near(named.name, map(base_of, others))
            same = next((name for name in others if base_of(name) == named.name), None)
            if meant or same:
                where = f" in namespace {named.namespace}" if named.namespace else ""
                # what mentions the name is the custom resource itself
                elsewhere = next(model.checkout.holders(named.kind, None, named.name), None)
                certain = is_slip(named.name, meant or "") and elsewhere is None
                why = "; kustomize gave it a hash that it does not put here" if same else hint(meant)
                yield at(
                    named.field,
                    message=f"{named.kind} {named.name} not found{where}{why}",
                    fix=f"write {meant}"
                    if not same
                    else "add disableNameSuffixHash: true, or a nameReference",
                    severity="error" if same or certain else "warning",
                )
        elif found is not None and named.key is not None and found.kind in ("ConfigMap", "Secret"):
            keys = data_of(found)
            if keys and named.key.doc not in keys:
                meant = near(str(named.key.doc), keys)
                yield at(
                    named.key,
                    message=f"{found.kind} {found.name} has no key {named.key.doc}{hint(meant)}",
                    fix=f"write {meant}" if meant else f"write one of {listed(keys)}",
                )


MONITORS: dict[str, tuple[str, str]] = {
    "ServiceMonitor": ("Service", "spec.endpoints.*.port"),
    "VMServiceScrape": ("Service", "spec.endpoints.*.port"),
    "PodMonitor": ("pod", "spec.podMetricsEndpoints.*.port"),
    "VMPodScrape": ("pod", "spec.podMetricsEndpoints.*.port"),
}
"""Kind of monitor → what it selects, and where it names ports."""


@rule("monitor-selects-nothing", family="references", severity="warning", outcome="applies nothing")
def monitor_selects_nothing(model: Model) -> Iterator[Violation]:
    """A ServiceMonitor or PodMonitor whose selector matches none of its namespaces' Services or pods.

    Prometheus scrapes nothing, and nothing says so. A ServiceMonitor selects by the labels of the Service
    itself, not by those of its pods. Reported where the namespace has Services (pods) in the render.

        kind: ServiceMonitor
        spec: {selector: {matchLabels: {app: webb}}}     # the Service has app: web
    """
    for monitor, what, labelled, _ in _monitors(model):
        selector = monitor.get("spec", "selector", default={})
        if labelled and not any(selects(selector, labels) for labels, _ in labelled):
            pairs = equals(selector) or {}
            slip = nearly(pairs, [labels for labels, _ in labelled])
            path: tuple[Step, ...] = ("spec", "selector", "matchLabels", *((slip.key,) if slip else ()))
            if slip is None and len(pairs) == 1 and "matchLabels" in selector:
                path = (*path, next(iter(pairs)))
            shown = (
                ", ".join(f"{key}: {value}" for key, value in pairs.items()) or "what the selector asks for"
            )
            meant = f"; did you mean {slip.meant}?" if slip else ""
            yield at(
                monitor,
                *path,
                message=f"{monitor.kind} {monitor.name}: no {what} of its namespaces has {shown}{meant}",
                fix=f"write {slip.meant}" if slip else f"select labels of the {what}",
            )


@rule("monitor-port-missing", family="references", severity="warning", outcome="applies nothing")
def monitor_port_missing(model: Model) -> Iterator[Violation]:
    """A ServiceMonitor or PodMonitor for a port by a name that what it selects does not have.

    `port` is the name of a Service's port (of a container's for a PodMonitor), never a number: the target is
    dropped.

        endpoints:
        - port: metrics                # the Service's port is called http-metrics
    """
    for monitor, what, labelled, pattern in _monitors(model):
        selector = monitor.get("spec", "selector", default={})
        chosen = [names for labels, names in labelled if selects(selector, labels)]
        known = {name for names in chosen for name in names}
        for field in monitor.fields(pattern) if chosen else ():
            if str(field.doc) not in known:
                meant = near(str(field.doc), known)
                yield at(
                    field,
                    message=f"no {what} that {monitor.kind} {monitor.name} selects has a port {field.doc}"
                    + hint(meant),
                    fix=f"write {meant}"
                    if meant
                    else f"write {listed(sorted(known))}"
                    if known
                    else "give the port a name",
                )


def _monitors(model: Model) -> Iterator[tuple[Obj, str, list[tuple[dict[str, str], set[str]]], str]]:
    """Each monitor, what it selects, the labels and port names of all of these, where its ports are."""
    for monitor in model.objects_of(*MONITORS):
        what, pattern = MONITORS[monitor.kind]
        spaces = dig(monitor.get("spec"), "namespaceSelector", "matchNames", default=[monitor.namespace])
        everywhere = dig(monitor.get("spec"), "namespaceSelector", "any") is True
        chosen = [service for service in model.services if everywhere or service.namespace in spaces]
        labelled = [
            (each.obj.labels, {str(port.get("name")) for port in each.ports if "name" in port})
            for each in chosen
        ]
        if what == "pod":
            labelled = [
                (
                    workload.labels,
                    {
                        name
                        for c in workload.containers
                        for port in c.ports
                        if (name := strings(port).get("name"))
                    },
                )
                for workload in model.workloads
                if everywhere or workload.namespace in spaces
            ]
        yield monitor, what, labelled, pattern
