"""Namespaces that are named and made, objects that are there twice, and names in custom resources."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Obj
from preflight.facts.custom_resources import missing_parts, named_objects
from preflight.facts.existence import are_applied_together, is_given, missing
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import base_of, hint, is_slip, listed, near


@rule("missing-namespace", family="references", severity="warning", outcome="rejected by the API server")
def missing_namespace(model: Model) -> Iterator[Violation]:
    """A namespace that objects are in and that the render does not make, though it makes another.

    Applied to a cluster without it, the objects are refused: `namespaces "x" not found`. Where the render
    makes no namespace at all, they are taken to be made elsewhere. An error where a slip explains it.

        metadata:
          namespace: vmh               # the Namespace is vhm
    """
    if not model.objects_of("Namespace"):
        return
    seen: set[str] = set()
    for obj in model.objects:
        absent = None
        if obj.namespace and obj.namespace not in seen:
            absent = missing(model, "Namespace", "", obj.namespace)
        seen.add(obj.namespace)
        if absent is not None:
            yield at(
                obj.field("metadata", "namespace"),
                message=f"Namespace {obj.namespace} not found{absent.hint}",
                fix=f"write {absent.meant}"
                if absent.meant
                else f'make it, or say provided = ["Namespace/{obj.namespace}"] in [tool.preflight]',
                severity=absent.severity,
            )


KEEP_EACH_VERSION = ("serving.knative.dev",)
"""Groups of kinds that make a revision of each version that is applied: two in one file are two revisions."""


@rule("duplicate-object", family="references", severity="error", outcome="applies nothing")
def duplicate_object(model: Model) -> Iterator[Violation]:
    """The same object twice, with different content.

    `kubectl apply` sends both and the later one stays, so that the earlier one has no effect; a reconciler
    applies them in turn for ever. Files of a folder may be alternatives: there, only objects of one file
    are compared.

        kind: Service                  # both are Service/indexer-service in namespace vhm
    """
    first: dict[tuple[str, str, str, str], Obj] = {}
    for obj in model.objects:
        if not obj.name or "generateName" in obj.mapping("metadata") or obj.group in KEEP_EACH_VERSION:
            continue
        key = (obj.group, obj.kind, obj.namespace, obj.name)
        earlier = first.setdefault(key, obj)
        if earlier is not obj and earlier.doc != obj.doc and are_applied_together(model, earlier, obj):
            yield at(
                earlier.field("metadata", "name"),
                message=f"{obj.ref} stands again, with other content, at {obj.origin}",
                fix="keep one of the two, or rename one",
                # samples of two versions of a kind, which nobody applies at once
                severity="error" if earlier.api_version == obj.api_version else "warning",
            )


@rule("custom-reference-misspelt", family="references", severity="error", outcome="applies nothing")
def custom_reference_misspelt(model: Model) -> Iterator[Violation]:
    """A custom resource that names an object one slip away from one of its namespace.

    The controller waits for it, and often only the resource's status says so. Known are Argo CD and Rollouts,
    KEDA, External Secrets, cert-manager, Flux, Gateway API, Traefik and Strimzi. What they name may be made
    elsewhere: only a near miss is reported, and a key that the ConfigMap or Secret of the render lacks; so is
    a listener that a route names and its Gateway lacks, and a subset that Istio's DestinationRule lacks.

        kind: ScaledObject
        spec: {scaleTargetRef: {name: resonnance}}     # the Deployment is resonance
    """
    for field, owner, names in missing_parts(model):
        meant = near(str(field.doc), names)
        yield at(
            field,
            message=f"{owner} has no {field.path[-1]} {field.doc}{hint(meant)}",
            fix=f"write {meant}"
            if meant
            else f"write one of {listed(names)}"
            if names
            else "define it there",
            outcome="ready but unreachable",
        )
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
