"""The render against Kubernetes' own schemas, and API versions that the target version no longer serves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.kinds import is_built_in
from preflight.cluster.objects import Obj
from preflight.cluster.schemas import find_schemas
from preflight.documents.paths import Step, dig, dotted
from preflight.facts.schema_faults import schema_faults
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import hint, is_placeholder, near

REMOVED: dict[tuple[str, str], tuple[int, str]] = {
    **dict.fromkeys(
        (
            (version, kind)
            for version in ("extensions/v1beta1", "apps/v1beta1", "apps/v1beta2")
            for kind in ("Deployment", "DaemonSet", "ReplicaSet", "StatefulSet")
        ),
        (16, "apps/v1"),
    ),
    ("extensions/v1beta1", "NetworkPolicy"): (16, "networking.k8s.io/v1"),
    ("extensions/v1beta1", "PodSecurityPolicy"): (16, "Pod Security labels on the namespace"),
    ("extensions/v1beta1", "Ingress"): (22, "networking.k8s.io/v1"),
    ("networking.k8s.io/v1beta1", "Ingress"): (22, "networking.k8s.io/v1"),
    ("networking.k8s.io/v1beta1", "IngressClass"): (22, "networking.k8s.io/v1"),
    **dict.fromkeys(
        (
            ("rbac.authorization.k8s.io/v1beta1", kind)
            for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
        ),
        (22, "rbac.authorization.k8s.io/v1"),
    ),
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"): (22, "apiextensions.k8s.io/v1"),
    ("apiregistration.k8s.io/v1beta1", "APIService"): (22, "apiregistration.k8s.io/v1"),
    **dict.fromkeys(
        (
            ("admissionregistration.k8s.io/v1beta1", kind)
            for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
        ),
        (22, "admissionregistration.k8s.io/v1"),
    ),
    ("certificates.k8s.io/v1beta1", "CertificateSigningRequest"): (22, "certificates.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", "Lease"): (22, "coordination.k8s.io/v1"),
    ("scheduling.k8s.io/v1beta1", "PriorityClass"): (22, "scheduling.k8s.io/v1"),
    **dict.fromkeys(
        (
            ("storage.k8s.io/v1beta1", kind)
            for kind in ("CSIDriver", "CSINode", "StorageClass", "VolumeAttachment")
        ),
        (22, "storage.k8s.io/v1"),
    ),
    ("batch/v1beta1", "CronJob"): (25, "batch/v1"),
    ("policy/v1beta1", "PodDisruptionBudget"): (25, "policy/v1"),
    ("policy/v1beta1", "PodSecurityPolicy"): (25, "Pod Security labels on the namespace"),
    ("discovery.k8s.io/v1beta1", "EndpointSlice"): (25, "discovery.k8s.io/v1"),
    ("events.k8s.io/v1beta1", "Event"): (25, "events.k8s.io/v1"),
    ("node.k8s.io/v1beta1", "RuntimeClass"): (25, "node.k8s.io/v1"),
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler"): (25, "autoscaling/v2"),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler"): (26, "autoscaling/v2"),
    **{
        (f"flowcontrol.apiserver.k8s.io/{version}", kind): (minor, "flowcontrol.apiserver.k8s.io/v1")
        for version, minor in (("v1beta1", 26), ("v1beta2", 29), ("v1beta3", 32))
        for kind in ("FlowSchema", "PriorityLevelConfiguration")
    },
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity"): (27, "storage.k8s.io/v1"),
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
                obj,
                "apiVersion",
                message=f"apiVersion {obj.api_version} of {obj.kind} is not served since Kubernetes "
                f"1.{minor}",
                fix=f"use {instead}",
            )


@rule("unknown-kind", family="schema", severity="error", outcome="rejected by the API server")
def unknown_kind(model: Model) -> Iterator[Violation]:
    """A kind that its API version does not have, in one of Kubernetes' own API groups.

    `kubectl apply` answers `no matches for kind`. A warning for OpenShift's kinds, which `v1` had there once
    and `oc` may still take.

        apiVersion: v1
        kind: Deployment      # apps/v1
    """
    schemas = find_schemas(model.config.minor)
    if schemas is None:
        return
    for obj in model.objects:
        own = is_built_in(obj.group) and not obj.group.startswith(
            ("gateway.", "metrics.", "snapshot.", "node.")
        )
        # `v1beta1` without a group is no version of the API, but of a file for some program
        own = own and (bool(obj.group) or obj.api_version == "v1")
        removed = (obj.api_version, obj.kind) in REMOVED
        if own and not removed and _served(obj.group) and not schemas.knows(obj.api_version, obj.kind):
            meant = near(obj.kind, KINDS)
            version = next((v for v in VERSIONS if schemas.knows(v, meant or obj.kind)), None)
            yield at(
                obj,
                "kind",
                message=f"apiVersion {obj.api_version} has no kind {obj.kind}{hint(meant)}",
                fix=f"write {version}, {meant or obj.kind}" if version else "see `kubectl api-resources`",
                severity="warning" if obj.kind in OF_OPENSHIFT else None,
            )


OF_OPENSHIFT = (
    "BuildConfig", "DeploymentConfig", "ImageStream", "OAuthClient", "Project", "ProjectRequest", "Route",
    "SecurityContextConstraints", "Template",
)  # fmt: skip
VERSIONS = (
    "v1",
    "apps/v1",
    "batch/v1",
    "networking.k8s.io/v1",
    "policy/v1",
    "rbac.authorization.k8s.io/v1",
    "autoscaling/v2",
    "storage.k8s.io/v1",
    "scheduling.k8s.io/v1",
    "apiextensions.k8s.io/v1",
    "coordination.k8s.io/v1",
)
KINDS = (
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Job",
    "Namespace",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "ReplicaSet",
    "Role",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
    "StorageClass",
)


def _served(group: str) -> bool:
    """Whether every API server serves this group itself; others are added by custom resources."""
    return group == "" or any(version.startswith(f"{group}/") for version in VERSIONS)


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
                    obj,
                    *path,
                    *([name] if name else []),
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
