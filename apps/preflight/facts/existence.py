"""What may exist though the render does not hold it: made elsewhere, by the cluster, or by a controller.

A reference that meets nothing is a fault only as far as this can be told from here. It is an error where
the render holds a name so near that a slip is likely, the same name in another namespace, or makes all the
names of that kind itself; else it is a warning, and nothing at all for what is built in or `provided`.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

import msgspec

from preflight.cluster.kinds import BUILT_IN_GROUPS, CLUSTER_SCOPED
from preflight.cluster.objects import Obj
from preflight.documents.paths import walk
from preflight.findings import Severity
from preflight.model import Model, fact
from preflight.spelling import base_of, near

DEPLOYERS = ("Application", "ApplicationSet", "HelmChart", "HelmRelease", "Kustomization", "TerraformRun")
"""Custom kinds that may create anything in any namespace."""

BUILT_IN = {
    "ConfigMap": ("kube-root-ca.crt", "istio-ca-root-cert", "openshift-service-ca.crt"),
    "ServiceAccount": ("default",),
    "Namespace": ("default", "kube-system", "kube-public", "kube-node-lease"),
    "Role": ("extension-apiserver-authentication-reader",),
    "ClusterRole": ("admin", "cluster-admin", "edit", "view"),
    "PriorityClass": (),
    "Service": ("kubernetes",),
}
MADE_COMPLETE = ("ConfigMap", "Service", "Role")
"""Kinds seldom made by hand beside the manifests: where a namespace's others are in the render, all are."""


class Missing(msgspec.Struct, frozen=True):
    """A name that the render does not hold: how bad that is, and what was probably meant."""

    severity: Severity
    hint: str
    """Empty, or a clause for the message, starting with `;`."""
    meant: str = ""
    """The name to write instead, where one is likely."""
    elsewhere: str = ""
    """The namespace that has an object of this name."""


KUSTOMIZATIONS = frozenset({"Kustomization", "kustomization.yaml", "kustomization.yml"})
ENTRY = re.compile(r"^\s*-\s+[\"']?(\.{1,2}/[^\s\"'#]+|[\w.-]+(?:/[\w.-]+)*)[\"']?\s*(?:#.*)?$", re.M)
"""An item of a kustomization that may be a path."""
ASIDE = ("node_modules", "test", "testdata", "tests", "vendor")
"""Folders whose kustomizations are not what is applied."""
MOST_FOLDERS = 20_000


def missing(model: Model, kind: str, namespace: str, name: str) -> Missing | None:
    """What to say of a reference to a name; None where it exists or may well exist."""
    if not name or model.find(kind, namespace, name) is not None or is_given(model, kind, name):
        return None
    if may_be_created(model, namespace, name):
        return None
    others = model.objects_of(kind)
    here = [each.name for each in others if each.namespace in (namespace, "")]
    here += [ref.partition("/")[2] for ref in model.config.provided if ref.startswith(f"{kind}/")]
    base = base_of(name)
    if meant := next((each for each in here if base_of(each) == base), None) or near(name, here):
        return Missing("error", f"; did you mean {meant}?", meant)
    bare = near(base, map(base_of, here))
    if bare:
        return Missing("error", f"; did you mean {bare}?", bare)
    if kind not in CLUSTER_SCOPED:
        elsewhere = next((each for each in others if base_of(each.name) == base), None)
        if elsewhere is not None and (is_floating(elsewhere) or (namespace == "default" and _floats(model))):
            return None
        if elsewhere is not None:
            space = elsewhere.namespace
            return Missing("error", f"; it is in namespace {space}", elsewhere=space)
    settled = others and not any(is_floating(each) for each in others)
    whole = is_whole(model) and not is_part(model)
    if kind in MADE_COMPLETE and settled and whole and not _deployers(model):
        return Missing("error", "")
    return Missing("warning", "")


def is_floating(obj: Obj) -> bool:
    """Whether an object names no namespace of its own: it goes where `kubectl apply -n` says."""
    return bool(obj.namespace) and not obj.get("metadata", "namespace")


@fact
def _floats(model: Model) -> bool:
    return any(is_floating(each) for each in model.objects)


def is_given(model: Model, kind: str, name: str) -> bool:
    """Whether the cluster has it by itself, or the repository says that it is provided."""
    if name in BUILT_IN.get(kind, ()) or model.config.provides(kind, name):
        return True
    if kind in ("ClusterRole", "Role", "PriorityClass", "Namespace") and name.startswith(
        ("system:", "system-")
    ):
        return True
    return kind == "Namespace" and name.startswith("kube-")


def is_whole(model: Model) -> bool:
    """Whether the render is one thing applied at once, and no folder of loose manifests."""
    return model.kustomization is not None or not model.path.is_dir()


def is_part(model: Model) -> bool:
    """Whether another kustomization of the repository builds on this one, and may add what it lacks."""
    return model.kustomization is not None and _is_included(model.root, model.path)


@lru_cache(maxsize=64)
def _is_included(root: Path, target: Path) -> bool:
    for seen, (folder, names, files) in enumerate(os.walk(root)):
        names[:] = [name for name in names if not name.startswith(".") and name not in ASIDE]
        for file in KUSTOMIZATIONS & set(files) if seen < MOST_FOLDERS else ():
            text = (Path(folder) / file).read_text("utf-8", "replace")
            for entry in ENTRY.findall(text):
                # a resolved path is compared, never opened
                if Path(os.path.normpath(Path(folder) / entry)) == target:
                    return True
    return False


def are_applied_together(model: Model, one: Obj, other: Obj) -> bool:
    """Whether two objects are surely in the cluster at once: files of a folder may be alternatives."""
    return is_whole(model) or one.origin.file == other.origin.file


def is_custom(obj: Obj) -> bool:
    """Whether the object is of a kind that is not Kubernetes' own."""
    return obj.group not in BUILT_IN_GROUPS


def may_be_created(model: Model, namespace: str, name: str) -> bool:
    """Whether a custom resource of the render may create an object of this name: it mentions the name, or
    the name starts with its own."""
    for obj, mentioned in _custom(model):
        same = obj.namespace in (namespace, "") or not namespace
        if same and (
            name in mentioned or name == obj.name or name.startswith((f"{obj.name}-", f"{obj.name}."))
        ):
            return True
    return False


def _deployers(model: Model) -> bool:
    return any(obj.kind in DEPLOYERS for obj, _ in _custom(model))


@fact
def _custom(model: Model) -> list[tuple[Obj, frozenset[str]]]:
    found = []
    for obj in model.objects:
        if is_custom(obj):
            texts = frozenset(value for _, value in walk(obj.doc) if isinstance(value, str))
            found.append((obj, texts))
    return found
