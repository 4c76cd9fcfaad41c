"""The render against Kubernetes' own schemas, and API versions that the target version no longer serves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.objects import Obj
from preflight.documents.paths import Step, dig, dotted
from preflight.facts.schema_faults import schema_faults
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import is_placeholder

REMOVED_IN = (
    ("extensions/v1beta1", "Deployment DaemonSet ReplicaSet StatefulSet", 16, "apps/v1"),
    ("apps/v1beta1", "Deployment DaemonSet ReplicaSet StatefulSet", 16, "apps/v1"),
    ("apps/v1beta2", "Deployment DaemonSet ReplicaSet StatefulSet", 16, "apps/v1"),
    ("extensions/v1beta1", "NetworkPolicy", 16, "networking.k8s.io/v1"),
    ("extensions/v1beta1", "PodSecurityPolicy", 16, "Pod Security labels on the namespace"),
    ("extensions/v1beta1", "Ingress", 22, "networking.k8s.io/v1"),
    ("networking.k8s.io/v1beta1", "Ingress IngressClass", 22, "networking.k8s.io/v1"),
    (
        "rbac.authorization.k8s.io/v1beta1",
        "Role ClusterRole RoleBinding ClusterRoleBinding",
        22,
        "rbac.authorization.k8s.io/v1",
    ),
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition", 22, "apiextensions.k8s.io/v1"),
    ("apiregistration.k8s.io/v1beta1", "APIService", 22, "apiregistration.k8s.io/v1"),
    (
        "admissionregistration.k8s.io/v1beta1",
        "MutatingWebhookConfiguration ValidatingWebhookConfiguration",
        22,
        "admissionregistration.k8s.io/v1",
    ),
    ("certificates.k8s.io/v1beta1", "CertificateSigningRequest", 22, "certificates.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", "Lease", 22, "coordination.k8s.io/v1"),
    ("scheduling.k8s.io/v1beta1", "PriorityClass", 22, "scheduling.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "CSIDriver CSINode StorageClass VolumeAttachment", 22, "storage.k8s.io/v1"),
    ("batch/v1beta1", "CronJob", 25, "batch/v1"),
    ("policy/v1beta1", "PodDisruptionBudget", 25, "policy/v1"),
    ("policy/v1beta1", "PodSecurityPolicy", 25, "Pod Security labels on the namespace"),
    ("discovery.k8s.io/v1beta1", "EndpointSlice", 25, "discovery.k8s.io/v1"),
    ("events.k8s.io/v1beta1", "Event", 25, "events.k8s.io/v1"),
    ("node.k8s.io/v1beta1", "RuntimeClass", 25, "node.k8s.io/v1"),
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler", 25, "autoscaling/v2"),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler", 26, "autoscaling/v2"),
    (
        "flowcontrol.apiserver.k8s.io/v1beta1",
        "FlowSchema PriorityLevelConfiguration",
        26,
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    (
        "flowcontrol.apiserver.k8s.io/v1beta2",
        "FlowSchema PriorityLevelConfiguration",
        29,
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    (
        "flowcontrol.apiserver.k8s.io/v1beta3",
        "FlowSchema PriorityLevelConfiguration",
        32,
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity", 27, "storage.k8s.io/v1"),
)
REMOVED = {
    (version, kind): (minor, instead)
    for version, kinds, minor, instead in REMOVED_IN
    for kind in kinds.split()
}
"""API version and kind → the minor version that no longer serves it, and what to use (Kubernetes' deprecated
API migration guide)."""


@rule("removed-api-version", family="schema", severity="error", outcome="rejected by the API server")
def removed_api_version(model: Model) -> Iterator[Violation]:
    """An API version that the target version of Kubernetes does not serve any more.

    `kubectl apply` answers `no matches for kind`. The target is `kubernetes-version` of `[tool.preflight]`,
    or `--kubernetes-version`.

        apiVersion: policy/v1beta1      # policy/v1 since 1.21, the only one since 1.25
        kind: PodDisruptionBudget
    """
    for obj in model.objects:
        minor, instead = REMOVED.get((obj.api_version, obj.kind), (0, ""))
        if minor and model.config.minor >= minor:
            yield at(
                obj.field("apiVersion"),
                message=f"apiVersion {obj.api_version} of {obj.kind} is not served since Kubernetes "
                f"1.{minor}",
                fix=f"use {instead}",
            )


@rule("not-in-schema", family="schema", severity="error", outcome="rejected by the API server")
def not_in_schema(model: Model) -> Iterator[Violation]:
    """A field that is not in Kubernetes' schema, is missing, or is of another type, as kubeconform finds it.

    An unquoted `yes`, `1e7` or `0012345` is no string, a `port: "80"` no number, and a field one level too
    deep or misspelt is unknown. A warning where the value is a word to be replaced first (`NUM_NODES`),
    and for what may be a file for `kubectl patch`.

        containers:
        - name: indexer
          imagePullPolcy: Always
    """
    for obj, faults in schema_faults(model):
        is_patch = model.kustomization is None and _is_patch(obj)
        for fault in faults:
            path = _path(obj, fault.pointer)
            value = dig(obj.doc, *path)
            placeholder = isinstance(value, str) and is_placeholder(value)
            names = re.findall(r"'([^']*)'", fault.text) if "additional properties" in fault.text else []
            for name in names or [""]:
                siblings = dig(obj.doc, *path)
                yield at(
                    obj.field(*path, *([name] if name else [])),
                    message=f"unknown field {dotted((*path, name))} of {obj.kind}"
                    if name
                    else f"{dotted(path) or obj.ref}: {fault.text}",
                    fix=f"remove {name}, or write it as `kubectl explain` has it"
                    if name and isinstance(siblings, dict)
                    else "write what `kubectl explain` says",
                    severity="warning" if placeholder or is_patch else "error",
                )


def _is_patch(obj: Obj) -> bool:
    """Whether it is a part of a workload: neither a selector nor labels that one could select."""
    return obj.kind in ("DaemonSet", "Deployment", "StatefulSet") and not (
        obj.get("spec", "selector") or obj.get("spec", "template", "metadata", "labels")
    )


def _path(obj: Obj, pointer: str) -> tuple[Step, ...]:
    """A JSON pointer as a path into the object."""
    path: list[Step] = []
    value: object = obj.doc
    for raw in pointer.split("/")[1:]:
        step: Step = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and str(step).isdigit():
            step = int(step)
        path.append(step)
        value = dig(value, step)
    return tuple(path)
