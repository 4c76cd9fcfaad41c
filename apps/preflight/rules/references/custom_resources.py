"""What custom resources name and select: objects a slip away, labels nobody has, ports nobody declares."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.environment import data_of
from preflight.facts.custom_resources import named_objects
from preflight.facts.existence import is_given
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
