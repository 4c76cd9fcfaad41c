"""What may exist though the render does not hold it: made elsewhere, by the cluster, or by a controller.

A dangling reference is an error only where nothing else can be meant: the render holds a name that is one
edit away in the same namespace and no file of the repository has the exact one, it has the name in another
namespace only, or it generates the names of that kind itself and the kind is no Secret. What another part of
the repository holds is a warning that names the file; what is built in, `provided` or given in the same call
is no finding.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from preflight.cluster.kinds import BUILT_IN_GROUPS, CLUSTER_SCOPED, POD_TEMPLATE
from preflight.cluster.objects import Obj
from preflight.documents.paths import walk
from preflight.findings import Severity
from preflight.model import Model, fact
from preflight.render.files import KUSTOMIZATION_NAMES
from preflight.render.flux import variables_of
from preflight.render.placeholders import PLACEHOLDER
from preflight.spelling import base_of, is_slip, near, suffixed

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


class Missing(msgspec.Struct, frozen=True):
    """A name that the render does not hold: how bad that is, and what was probably meant."""

    severity: Severity
    hint: str
    """Empty, or a clause for the message, starting with `;`."""
    meant: str = ""
    """The name to write instead, where one is likely."""
    elsewhere: str = ""
    """The namespace that has an object of this name."""


def missing(model: Model, kind: str, namespace: str, name: str) -> Missing | None:
    """What to say of a reference to a name; None where it exists or may well exist."""
    if not name or model.find(kind, namespace, name) is not None or is_given(model, kind, name):
        return None
    if PLACEHOLDER.search(name):
        return None
    if any(_has(each, kind, namespace, name) for each in (model, *model.beside)):
        return None
    others = [each for one in (model, *model.beside) for each in one.objects_of(kind)]
    here = [each.name for each in others if each.namespace in (namespace, "")]
    here += [ref.partition("/")[2] for ref in model.config.provided if ref.startswith(f"{kind}/")]
    base = base_of(name)
    hashed = next((each for each in here if each != name and base_of(each) == base), None)
    if hashed is not None:
        return Missing("error", f"; did you mean {hashed}?", hashed)
    if holder := _holder(model, kind, namespace, name):
        return Missing("warning", f"; {holder} has it, which is not part of this render")
    if told := _told(model, name):
        return Missing("warning", f"; container {told} is told this name and may make it")
    meant = near(name, here) or near(base, map(base_of, here)) or suffixed(name, here)
    if meant:
        certain = (is_slip(name, meant) or is_slip(base, meant)) and not is_in_repository(model, kind, name)
        return Missing("error" if certain else "warning", f"; did you mean {meant}?", meant)
    if kind not in CLUSTER_SCOPED:
        own = model.objects_of(kind)
        elsewhere = next((each for each in own if base_of(each.name) == base), None)
        if elsewhere is not None and (is_floating(elsewhere) or (namespace == "default" and _floats(model))):
            return None
        if elsewhere is not None:
            space = elsewhere.namespace
            return Missing("error", f"; it is in namespace {space}", elsewhere=space)
    # Secrets are made by hand beside those that are generated
    generated = (
        kind != "Secret"
        and any(
            base_of(each.name) != each.name
            for each in model.objects_of(kind)
            if each.namespace in (namespace, "")
        )
        and model.kustomization is not None
    )
    if generated and not is_part(model) and not _deployers(model):
        return Missing("error", "")
    return Missing("warning", "")


def _has(model: Model, kind: str, namespace: str, name: str) -> bool:
    return model.find(kind, namespace, name) is not None or may_be_created(model, namespace, name)


def _holder(model: Model, kind: str, namespace: str, name: str) -> str:
    """The file of another part of the repository that holds an object of this name, or a custom resource
    that may create one; empty where there is none."""
    answers = [*model.checkout.holders(kind, namespace, name), *model.checkout.mentions(name)]
    for path, node in answers:
        if is_beside(model, path):
            return f"{node.file}:{node.line}"
    return ""


def _told(model: Model, name: str) -> str:
    """The container whose command, arguments or environment name the object: its program may make it."""
    word = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])")
    for container in model.containers:
        values = (str(value.doc) for value in container.fields("env.*.value"))
        if any(word.search(text) for text in (*container.command, *container.args, *values)):
            return container.name
    return ""


def is_beside(model: Model, path: Path) -> bool:
    """Whether what a file holds may be applied beside this render, and not in its place.

    Kustomizations and files that render an object of the same kind, namespace and name are alternatives; a
    kustomization that such an alternative includes, and that renders none of them, may be applied by itself.
    """
    checkout = model.checkout
    start = (
        path.parent if path.parent in checkout.kustomizations and path.name in KUSTOMIZATION_NAMES else path
    )
    above = checkout.wholes(model.path)
    wholes = checkout.wholes(start) or [start]
    if any(whole in above for whole in wholes):
        return True
    parts = {each for each in checkout.above(start) if not checkout.is_component(each)}
    return any(
        part != model.path and not (checkout.keys(part) & _keys(model)) for part in sorted({*wholes, *parts})
    )


def are_alternatives(one: Model, other: Model) -> bool:
    """Whether two targets render the same object, so that one is applied in the other's place."""
    return bool(_keys(one) & _keys(other))


@fact
def _keys(model: Model) -> set[tuple[str, str, str]]:
    """The objects by which alternatives are known; parts of one application may share these kinds."""
    return {
        (each.kind, each.namespace, base_of(each.name))
        for each in model.objects
        if each.kind not in ("CustomResourceDefinition", "Namespace")
    }


def is_in_repository(model: Model, kind: str, name: str) -> bool:
    """Whether an object of this name is anywhere in the repository, or a custom resource of another part that
    may create it; what this render itself says of the name is the reference that is looked at."""
    if next(model.checkout.holders(kind, None, name), None) is not None:
        return True
    own = {obj.origin for obj in model.objects}
    return any(node.place not in own for _, node in model.checkout.mentions(name))


@fact
def has_uncertain_names(model: Model) -> bool:
    """Whether names, namespaces or labels of the render are filled in later, so that what meets what is not
    known here."""
    return any(
        step in ("labels", "matchLabels", "name", "namespace", "selector")
        for obj in model.objects
        for path in obj.uncertain
        for step in path
    )


@fact
def is_template(model: Model) -> bool:
    """Whether a template engine is to process the render before it is applied: no object can be called
    `{{ … }}`."""
    return is_whole(model) and any("{{" in obj.name or "{{" in obj.namespace for obj in model.objects)


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
    """Whether another kustomization of the repository builds on this one, or Flux adds components to it, and
    may add what it lacks."""
    checkout = model.checkout
    return model.kustomization is not None and (
        checkout.is_included(model.path) or checkout.is_component(model.path) or has_components_of_flux(model)
    )


def has_components_of_flux(model: Model) -> bool:
    """Whether Flux adds components to the kustomization, whose objects its edits may be for."""
    flux = variables_of(model.checkout, model.path)
    return flux is not None and flux.components


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
        if is_custom(obj) and obj.kind not in POD_TEMPLATE:
            texts = frozenset(value for _, value in walk(obj.doc) if isinstance(value, str))
            found.append((obj, texts))
    return found
