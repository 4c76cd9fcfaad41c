"""Patches of a kustomization: what they hold, and carrying them out."""

from __future__ import annotations

from pathlib import Path

from preflight.cluster.kinds import BUILT_IN_GROUPS
from preflight.documents.node import Node, split_list
from preflight.documents.parse import parse
from preflight.render.files import Reader
from preflight.render.trace import merge
from preflight.render.trace.edits import Edit, Missed
from preflight.render.trace.resource import Resource, Selector, Untraced

_IDENTITY: tuple[tuple[str, ...], ...] = (("kind",), ("metadata", "name"), ("metadata", "namespace"))


def documents(reader: Reader, folder: Path, source: Node, inline: bool | None) -> list[Node]:
    """The documents of a patch given as text or by path; `inline` None means either."""
    text = source.text()
    if inline is None:
        inline = "\n" in text or "{" in text
    if not inline:
        path = reader.resolve(folder, source)
        return reader.documents(path, source.place) if path is not None else []
    first = source.line + 1 if source.block else source.line
    stream = parse(text.encode("utf-8", "replace"), source.file, first)
    if not source.block:
        for document in stream.documents:
            _move(document, source.line)
    reader.streams.append(stream)
    return stream.documents


def carry_out(
    resources: list[Resource], documents: list[Node], entry: Node, target: Node | None, edit: Edit
) -> None:
    """Patch the objects selected: JSON 6902 operations, or documents merged (without a `target` each into
    the object it names). `edit` takes down what was matched and what was missed."""
    operations = documents[0].items() if documents else []
    patches = [] if operations else [one for document in documents for one in split_list(document)]
    edit.deletes = any(patch.text("$patch") == "delete" for patch in patches)
    if target is None:
        for patch in patches:
            _merge_by_name(resources, patch, edit, entry)
        return
    try:
        selector = Selector(target)
    except Untraced:
        edit.followed = False
        return
    edit.wants = selector.words
    selected = [resource for resource in resources if selector.matches(resource)]
    edit.matched = [each.ref for each in selected]
    if not selected:
        edit.missed.append(Missed(f"target {selector.words}", target.place))
    for workload in selected:
        if operations:
            workload.remember()
            try:
                merge.json_patch(workload.node, operations)
            except merge.DoesNotApply as error:
                edit.missed.append(Missed(f"path {error.path}", error.place, workload.ref))
        for patch in patches[:1]:
            _merge(workload, patch, entry)


def _merge_by_name(resources: list[Resource], patch: Node, edit: Edit, entry: Node) -> None:
    wanted = Resource(patch, patch.place)
    edit.wants = wanted.ref
    found = next(
        (
            resource
            for resource in resources
            if (resource.kind, resource.api_version) == (wanted.kind, wanted.api_version)
            and resource.known_as(wanted.namespace, wanted.name)
        ),
        None,
    )
    if found is None:
        edit.missed.append(Missed(f"target {wanted.ref}", patch.place))
        return
    edit.matched.append(found.ref)
    _merge(found, patch, entry)


def _merge(resource: Resource, patch: Node, entry: Node) -> None:
    """A strategic merge that keeps kind, name and namespace unless the entry's options say otherwise."""
    kept = {path: resource.node.get(*path) for path in _IDENTITY}
    resource.remember()
    built_in = resource.api_version.rpartition("/")[0] in BUILT_IN_GROUPS
    merged = merge.strategic(resource.node, patch, built_in=built_in)
    if merged is None:
        resource.deleted = True
        return
    for path, node in kept.items():
        option = "allowKindChange" if path == ("kind",) else "allowNameChange"
        if path != ("metadata", "namespace") and entry.text("options", option) == "true":
            continue
        holder = merged.get(*path[:-1])
        if holder is None or not isinstance(holder.value, dict):
            continue
        if node is None:
            holder.value.pop(path[-1], None)
        else:
            holder.value[path[-1]] = node


def _move(node: Node, line: int) -> None:
    """Put a whole document on one line: that of the quoted or folded text that holds it."""
    node.line = line
    for each in [*node.items(), *node.entries().values()]:
        _move(each, line)
