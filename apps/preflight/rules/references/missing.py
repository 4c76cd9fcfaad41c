"""Names of objects that are nowhere: one table of the fields that name an object, one rule a kind of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from preflight.cluster.kinds import CLUSTER_SCOPED
from preflight.cluster.objects import Field, Located, Obj
from preflight.cluster.workloads import Workload
from preflight.documents.paths import dig
from preflight.facts.existence import Missing, missing
from preflight.facts.service_references import BACKENDS, NAMED_BY_ANNOTATION
from preflight.findings import Outcome
from preflight.model import Model
from preflight.rules.registry import Rule, Violation, at, declare

SCALABLE = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController", "DaemonSet")


class Place(msgspec.Struct, frozen=True):
    """Where names stand: in `pod` specs, `container`s, specs of `claim`s, or objects of a kind."""

    holder: str
    pattern: str
    outcome: Outcome | None = None
    """If it differs from the rule's."""
    kind: str = ""
    """What is named, where no `kind` beside it says so; empty: the rule's first."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A rule about names of one kind of object."""

    id: str
    kinds: tuple[str, ...]
    """What may be named; beside a `kind` field, only these are looked at."""
    places: tuple[Place, ...]
    outcome: Outcome
    doc: str
    ignore: Callable[[Model, Field, Missing], bool] = lambda model, field, absent: False
    """Names that need no object for a reason of this rule's own."""
    explain: Callable[[Model, Field], str] = lambda model, field: ""
    """What leaves no doubt that there is none: a clause for the message."""


def _violations(reference: Reference, model: Model) -> Iterator[Violation]:
    said = set()
    for place in reference.places:
        for holder in _holders(model, place.holder):
            for field in holder.fields(place.pattern):
                beside = field.obj.get(*field.path[:-1])
                kind, name = dig(beside, "kind", default=place.kind or reference.kinds[0]), field.doc
                if kind not in reference.kinds or dig(beside, "group") or dig(beside, "optional") is True:
                    continue
                if not isinstance(name, str) or (id(holder), kind, name) in said:
                    continue
                said.add((id(holder), kind, name))
                own = "" if kind in CLUSTER_SCOPED else field.obj.namespace or "default"
                namespace = own and str(dig(beside, "namespace", default=own))
                absent = missing(model, kind, namespace, name)
                if absent is not None and not reference.ignore(model, field, absent):
                    why = reference.explain(model, field)
                    where = f" in namespace {namespace}" if namespace else ""
                    outcome = place.outcome or reference.outcome
                    by_namespace = absent.elsewhere and dig(beside, "namespace") is not None
                    yield at(
                        field.obj.field(*field.path[:-1], "namespace") if by_namespace else field,
                        message=f"{kind} {name} not found{where}" + (f": {why}" if why else absent.hint),
                        fix=_fix(kind, name, absent.elsewhere if by_namespace else absent.meant),
                        severity="error" if why else absent.severity,
                        outcome=refused(field.obj) if outcome == "no pods" else outcome,
                    )


def _fix(kind: str, name: str, suggestion: str) -> str:
    if suggestion:
        return f"write {suggestion}"
    return f'make it, or say provided = ["{kind}/{name}"] in [tool.preflight] if the cluster has it'


def refused(obj: Obj) -> Outcome:
    """What comes of pods that admission refuses: a Pod is refused itself, others make none."""
    return "rejected by the API server" if obj.kind == "Pod" else "no pods"


def _holders(model: Model, holder: str) -> Iterator[Located]:
    if holder == "pod":
        yield from model.workloads
    elif holder == "container":
        yield from model.containers
    elif holder == "claim":
        for claim in model.objects_of("PersistentVolumeClaim"):
            yield claim.field("spec")
        for workload in model.workloads:
            yield from workload.fields("volumes.*.ephemeral.volumeClaimTemplate.spec")
            if workload.kind == "StatefulSet":
                yield from workload.obj.fields("spec.volumeClaimTemplates.*.spec")
    else:
        yield from model.objects_of(holder)


def _issues_certificates(model: Model, field: Field, absent: Missing) -> bool:
    return any("cert-manager.io/" in key or "acme" in key for key in field.obj.annotations)


def _has_static_volumes(model: Model, field: Field, absent: Missing) -> bool:
    volumes = model.objects_of("PersistentVolume")
    return any(volume.get("spec", "storageClassName") == field.doc for volume in volumes)


def _is_claim_template(model: Model, field: Field, absent: Missing) -> bool:
    """Whether a StatefulSet makes the claim: for its own pod, or by the name its claims have."""
    if field.path[-1] != "claimName":
        return False
    volume = field.obj.get(*field.path[:-2], "name")
    if field.obj.kind == "StatefulSet" and volume in _claim_templates(field.obj):
        return True
    return any(ordinal < workload.replicas for workload, ordinal in _claiming(model, field))


def _beyond_replicas(model: Model, field: Field) -> str:
    for workload, _ in _claiming(model, field):
        return f"StatefulSet {workload.name} has {workload.replicas} replicas, numbered from 0"
    return ""


def _claiming(model: Model, field: Field) -> Iterator[tuple[Workload, int]]:
    """The StatefulSets whose claims are named like this one, with the ordinal in its name."""
    match = re.fullmatch(r"(.+)-(\d+)", field.doc) if field.path[-1] == "claimName" else None
    for workload in model.workloads if match is not None else ():
        if match is not None and workload.kind == "StatefulSet":
            names = {f"{name}-{workload.name}" for name in _claim_templates(workload.obj)}
            if match[1] in names and workload.namespace == field.obj.namespace:
                yield workload, int(match[2])


def _claim_templates(obj: Located) -> set[object]:
    return {name.doc for name in obj.fields("spec.volumeClaimTemplates.*.metadata.name")}


def _needs_no_service(model: Model, field: Field, absent: Missing) -> bool:
    """Whether a StatefulSet has one pod, which nobody has to find by its own name, or an Ingress names an
    action of an annotation."""
    return field.obj.get(*field.path[:-1], "port", "name") == NAMED_BY_ANNOTATION or (
        field.obj.kind == "StatefulSet" and not absent.meant and Workload(model.index, field.obj).replicas < 2
    )


def _of_another_kind(model: Model, field: Field) -> str:
    others = (kind for kind in SCALABLE if model.find(kind, field.obj.namespace, field.doc))
    return next((f"there is a {kind} of that name" for kind in others), "")


REFERENCES = (
    Reference(
        id="missing-service-account",
        kinds=("ServiceAccount",),
        places=(Place("pod", "serviceAccountName"), Place("pod", "serviceAccount")),
        outcome="no pods",
        doc="""A ServiceAccount that a pod runs as and that does not exist.

        The pod is refused at its creation (`error looking up service account`), so a Deployment shows no pods
        at all and says why only in the events of its ReplicaSet.

            serviceAccountName: worker     # the ServiceAccount is workers
        """,
    ),
    Reference(
        id="missing-class",
        kinds=("StorageClass", "IngressClass", "PriorityClass", "RuntimeClass"),
        places=(
            Place("claim", "storageClassName"),
            Place("Ingress", "spec.ingressClassName", "ready but unreachable", "IngressClass"),
            Place("pod", "priorityClassName", "no pods", "PriorityClass"),
            Place("pod", "runtimeClassName", "no pods", "RuntimeClass"),
        ),
        outcome="Pending",
        ignore=_has_static_volumes,
        doc="""A StorageClass, IngressClass, PriorityClass or RuntimeClass that is not known here.

        Without its StorageClass no claim gets a volume, without its IngressClass an Ingress no address, and
        pods of an absent PriorityClass or RuntimeClass are never made. Classes usually come with the cluster:
        name the ones yours has in `provided`.

            storageClassName: fast-sdd     # provided: StorageClass/fast-ssd
        """,
    ),
    Reference(
        id="missing-role",
        kinds=("Role", "ClusterRole", "ServiceAccount"),
        places=(
            Place("RoleBinding", "roleRef.name"),
            Place("ClusterRoleBinding", "roleRef.name"),
            Place("RoleBinding", "subjects.*.name", None, "ServiceAccount"),
            Place("ClusterRoleBinding", "subjects.*.name", None, "ServiceAccount"),
        ),
        outcome="applies nothing",
        doc="""A binding to a Role, or for a ServiceAccount, that does not exist or is in another namespace.

        The API server takes the binding and it grants nothing: the app's calls to the API are answered with
        403. The usual cause is a subject's namespace that was not changed with the rest.

            roleRef:
              kind: Role
              name: leader-elections       # the Role is leader-election
        """,
    ),
    Reference(
        id="missing-configmap",
        kinds=("ConfigMap",),
        places=(
            Place("container", "envFrom.*.configMapRef.name"),
            Place("container", "env.*.valueFrom.configMapKeyRef.name"),
            Place("pod", "volumes.*.configMap.name", "FailedMount"),
            Place("pod", "volumes.*.projected.sources.*.configMap.name", "FailedMount"),
        ),
        outcome="CreateContainerConfigError",
        doc="""A ConfigMap that a pod takes and that does not exist.

        The kubelet does not start a container whose environment names an absent ConfigMap
        (CreateContainerConfigError), nor mount a volume of one (FailedMount, shown as ContainerCreating),
        unless the reference says `optional: true`. Where a generator appends a hash, kustomize renames the
        references it recognises; a misspelt one keeps its name.

            envFrom:
            - configMapRef:
                name: vhm-confg        # the generator's name is vhm-config
        """,
    ),
    Reference(
        id="missing-secret",
        kinds=("Secret",),
        places=(
            Place("container", "envFrom.*.secretRef.name"),
            Place("container", "env.*.valueFrom.secretKeyRef.name"),
            Place("pod", "volumes.*.secret.secretName", "FailedMount"),
            Place("pod", "volumes.*.projected.sources.*.secret.name", "FailedMount"),
            Place("pod", "imagePullSecrets.*.name", "ErrImagePull"),
            Place("ServiceAccount", "imagePullSecrets.*.name", "ErrImagePull"),
            Place("Ingress", "spec.tls.*.secretName", "ready but unreachable"),
            Place("Gateway", "spec.listeners.*.tls.certificateRefs.*.name", "ready but unreachable"),
        ),
        outcome="CreateContainerConfigError",
        ignore=_issues_certificates,
        doc="""A Secret that a pod, a pull or an Ingress needs and that does not exist here.

        A pod does not start without it; without its pull secret the kubelet pulls anonymously, and an Ingress
        without its certificate serves the controller's own. Secrets are often made elsewhere, so this is a
        warning, unless there is a Secret of nearly that name. Say `provided = ["Secret/NAME"]` in
        `[tool.preflight]` for one that is in the cluster already, or `optional: true` where the pod can do
        without. Nothing is said where cert-manager is asked for it.

            - secretRef:
                name: vhm-secret       # the Secret is vhm-secrets
        """,
    ),
    Reference(
        id="missing-scale-target",
        kinds=SCALABLE,
        places=(Place("HorizontalPodAutoscaler", "spec.scaleTargetRef.name"),),
        outcome="applies nothing",
        explain=_of_another_kind,
        doc="""A HorizontalPodAutoscaler for a workload that does not exist.

        The autoscaler is accepted and scales nothing: `FailedGetScale`.

            scaleTargetRef:
              kind: Deployment
              name: resonnance             # the Deployment is resonance
        """,
    ),
    Reference(
        id="missing-service",
        kinds=("Service",),
        places=(
            *(
                Place(kind, f"{backend.pattern}.name", backend.outcome)
                for backend in BACKENDS
                for kind in backend.kinds
            ),
            Place("StatefulSet", "spec.serviceName"),
        ),
        outcome="ready but unreachable",
        ignore=_needs_no_service,
        doc="""A Service that an Ingress, route, webhook or StatefulSet names and that does not exist.

        An Ingress or route answers 503 for it; a webhook whose Service is absent makes the API server refuse
        everything the webhook is asked about; the pods of a StatefulSet have no names of their own
        (`kafka-0.kafka`). A StatefulSet of one pod is left alone, unless the name is misspelt.

            backend:
              service:
                name: indexer              # the Service is indexer-service
        """,
    ),
    Reference(
        id="missing-claim",
        kinds=("PersistentVolumeClaim", "PersistentVolume"),
        places=(
            Place("pod", "volumes.*.persistentVolumeClaim.claimName"),
            Place("claim", "volumeName", None, "PersistentVolume"),
        ),
        outcome="Pending",
        ignore=_is_claim_template,
        explain=_beyond_replicas,
        doc="""A claim that a pod mounts, or a volume that a claim is bound to by name, that does not exist.

        The scheduler leaves the pod Pending: `persistentvolumeclaim "x" not found`. Claims that a StatefulSet
        makes are known by their names.

            volumes:
            - name: data
              persistentVolumeClaim:
                claimName: data-kafka-3    # the StatefulSet has one replica: data-kafka-0
        """,
    ),
)
"""Every field that names an object, by what it names and what follows if there is none."""

for _reference in REFERENCES:
    declare(
        Rule(
            id=_reference.id,
            family="references",
            severity="warning",
            outcome=_reference.outcome,
            doc=_reference.doc,
            module=__name__,
            function=partial(_violations, _reference),
        )
    )
