"""The transformers of one kustomization that write fixed values into many objects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from preflight.cluster.image_reference import parse
from preflight.cluster.kinds import CLUSTER_SCOPED
from preflight.documents.node import Node
from preflight.render.trace.edits import Edit
from preflight.render.trace.resource import Resource, Untraced, anchored, put

METADATA = ("metadata",)
TEMPLATE = ("spec", "template", "metadata")
JOB = ("spec", "jobTemplate", "metadata")
JOB_TEMPLATE = ("spec", "jobTemplate", "spec", "template", "metadata")
POD_KINDS = ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job", "ReplicationController")

PLUGINS = ("AnnotationsTransformer", "LabelTransformer", "PatchTransformer")
"""Built-in transformers with a configuration of their own (`transformers: [labels.yaml]`) that are carried
out here; what others do is left to kustomize's render."""


def set_namespace(resources: Sequence[Resource], entry: Node) -> None:
    """`namespace:` onto every namespaced object, Namespace objects, and subjects named default."""
    for resource in resources:
        resource.remember()
        if resource.kind == "Namespace" and resource.api_version == "v1":
            put(resource.node, ("metadata", "name"), entry.text(), entry.place)
        if resource.kind not in CLUSTER_SCOPED:
            put(resource.node, ("metadata", "namespace"), entry.text(), entry.place)
        if resource.kind in ("RoleBinding", "ClusterRoleBinding"):
            for subject in resource.node.items("subjects"):
                if subject.text("name") == "default":
                    put(subject, ("namespace",), entry.text(), entry.place)


def add_affix(resources: Sequence[Resource], prefix: Node | None, suffix: Node | None) -> None:
    """`namePrefix:` and `nameSuffix:`; the name then is written by the last of them."""
    for resource in resources:
        if resource.kind in ("CustomResourceDefinition", "APIService", "Namespace"):
            continue
        for entry, before in ((prefix, True), (suffix, False)):
            if entry is None or not entry.text():
                continue
            resource.remember()
            name = entry.text() + resource.name if before else resource.name + entry.text()
            put(resource.node, ("metadata", "name"), name, entry.place)


def add_labels(resources: Sequence[Resource], entry: Node, pairs: dict[str, Node], common: bool) -> None:
    """One entry of `labels:`, or `commonLabels:` (which reaches selectors and templates)."""
    selectors = common or entry.text("includeSelectors") == "true"
    templates = selectors or entry.text("includeTemplates") == "true"
    for resource in resources:
        _write_pairs(resource.node, (*METADATA, "labels"), pairs)
        if templates:
            for path in _templates(resource.kind):
                _write_pairs(resource.node, (*path, "labels"), pairs)
            if resource.kind == "StatefulSet":
                for claim in resource.node.items("spec", "volumeClaimTemplates"):
                    _write_pairs(claim, (*METADATA, "labels"), pairs)
        if selectors:
            _label_selectors(resource, pairs)
        write_fields(resource, [] if common else entry.items("fields"), pairs)


def write_fields(resource: Resource, specs: Sequence[Node], pairs: dict[str, Node]) -> None:
    """Pairs into the mappings that field specs name."""
    group, _, version = resource.api_version.rpartition("/")
    own = {"kind": resource.kind, "group": group, "version": version}
    for spec in specs:
        if all(spec.text(field) in ("", text) for field, text in own.items()):
            create = spec.text("create") == "true"
            for found in _reach(resource.node, tuple(spec.text("path").split("/")), create):
                _write_pairs(found, (), pairs)


def _label_selectors(resource: Resource, pairs: dict[str, Node]) -> None:
    """Pairs into selectors. Into all that match labels: kustomize leaves some of them alone, and what is not
    in its render nobody asks for."""
    if resource.kind in ("Service", "ReplicationController") and resource.api_version == "v1":
        _write_pairs(resource.node, ("spec", "selector"), pairs)
    elif resource.kind in POD_KINDS and resource.kind != "Job":
        _write_pairs(resource.node, ("spec", "selector", "matchLabels"), pairs)
    for here in _below(resource.node):
        if "matchLabels" in here.entries():
            _write_pairs(here, ("matchLabels",), pairs)


def add_annotations(resources: Sequence[Resource], pairs: dict[str, Node]) -> None:
    """`commonAnnotations:` onto objects and pod templates."""
    for resource in resources:
        for path in (METADATA, *_templates(resource.kind)):
            _write_pairs(resource.node, (*path, "annotations"), pairs)


def _templates(kind: str) -> tuple[tuple[str, ...], ...]:
    if kind == "CronJob":
        return (JOB, JOB_TEMPLATE)
    return (TEMPLATE,) if kind in POD_KINDS else ()


def _write_pairs(node: Node, path: tuple[str, ...], pairs: dict[str, Node]) -> None:
    for key, value in pairs.items():
        put(node, (*path, key), value.text(), value.place)


def _reach(node: Node, path: tuple[str, ...], create: bool) -> Iterator[Node]:
    """The mappings at a path that passes through every item of the lists on its way."""
    if isinstance(node.value, list):
        for item in node.value:
            yield from _reach(item, path, create)
    elif not path:
        yield node
    elif isinstance(node.value, dict):
        step = path[0].removesuffix("[]")
        inner = node.value.get(step)
        if inner is None and create:
            inner = node.value[step] = Node({}, node.file, node.line)
        if inner is not None:
            yield from _reach(inner, path[1:], create)


def set_replicas(resources: Sequence[Resource], entry: Node, edit: Edit) -> None:
    """One entry of `replicas:`."""
    count = entry.get("count")
    for resource in resources:
        named = any(name == entry.text("name") for _, name in [*resource.names, ("", resource.name)])
        if named and resource.kind in ("Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"):
            edit.matched.append(resource.ref)
            if count is not None and not isinstance(count.value, dict | list):
                put(resource.node, ("spec", "replicas"), count.value, count.place)


def set_image(resources: Sequence[Resource], entry: Node, edit: Edit) -> None:
    """One entry of `images:`. Raises `Untraced` where its name is an expression not followed here."""
    suffix = r"(:[a-zA-Z0-9_.{}-]*)?(@sha256:[a-zA-Z0-9_.{}-]*)?"
    name = anchored(entry.text("name"))
    pattern = re.compile(f"(?:{entry.text('name')}){suffix}\\Z") if name is not None else None
    if pattern is None:
        raise Untraced
    writer = next((entry.get(f) for f in ("digest", "newTag", "tagSuffix", "newName") if entry.text(f)), None)
    for resource in resources:
        if resource.kind == "CustomResourceDefinition":
            continue
        found = False
        for holder, field in _images(resource.node):
            image = holder.text(field)
            if len(image) < 1000 and pattern.match(image):
                found = True
                place = writer.place if writer is not None else holder.entries()[field].place
                put(holder, (field,), _renamed(image, entry), place)
        if found:
            edit.matched.append(resource.ref)


def _images(node: Node) -> Iterator[tuple[Node, str]]:
    """Every `image` of containers and init containers anywhere, and of image volumes."""
    for here in _below(node):
        for key, each in here.entries().items():
            for item in each.items():
                if key in ("containers", "initContainers") and item.text("image"):
                    yield item, "image"
                elif key == "volumes" and item.text("image", "reference"):
                    yield item.entries()["image"], "reference"


def _below(node: Node) -> Iterator[Node]:
    """A node, and every mapping and list in it."""
    yield node
    for each in (*node.items(), *node.entries().values()):
        if isinstance(each.value, dict | list):
            yield from _below(each)


def _renamed(image: str, entry: Node) -> str:
    given = parse(image)
    name, tag, digest = entry.text("newName") or given.name, entry.text("newTag"), entry.text("digest")
    if not tag and not digest:
        suffix = entry.text("tagSuffix")
        tag, digest = given.tag + suffix, "" if suffix else given.digest
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def write_pairs(resources: Sequence[Resource], config: Node) -> None:
    """A LabelTransformer or AnnotationsTransformer."""
    field = "labels" if config.text("kind") == "LabelTransformer" else "annotations"
    for resource in resources:
        write_fields(resource, config.items("fieldSpecs"), config.entries(field))
