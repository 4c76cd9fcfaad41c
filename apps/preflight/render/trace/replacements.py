"""`replacements`: values copied from one object's field to others'."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from preflight.documents.node import Node
from preflight.documents.scalars import resolve
from preflight.render.trace.edits import Edit, Missed
from preflight.render.trace.resource import Resource, Selector, Untraced

_STEP = re.compile(r"\[[^\]]*\]|(?:\\.|[^.\[\\]|(?<=[^.])\[(?=\]))+")


def split(path: str) -> list[str]:
    """A field path's steps: `spec.containers.[name=a].env.0` and `a\\.b` for a dot in a key."""
    steps = _STEP.findall(path)
    return [step if step.startswith("[") else step.replace("\\.", ".") for step in steps]


def replace(resources: Sequence[Resource], entry: Node, edit: Edit) -> None:
    """One replacement. Raises `Untraced` where it does what is not worked out here."""
    value = _value(resources, entry, edit)
    for target in entry.items("targets"):
        select = target.get("select")
        if select is None:
            raise Untraced
        selector = Selector(select)
        rejects = [Selector(item) for item in target.items("reject")]
        found = False
        for resource in resources:
            if not selector.matches(resource) or any(reject.matches(resource) for reject in rejects):
                continue
            found = True
            edit.matched.append(resource.ref)
            paths = target.items("fieldPaths")
            if not paths:
                _write(resource.node, "metadata.name", value, target, select)
            for path in paths:
                _write(resource.node, path.text(), value, target, path)
        if not found:
            edit.missed.append(Missed(f"target {selector.words}", select.place))


def _value(resources: Sequence[Resource], entry: Node, edit: Edit) -> Node:
    given = entry.get("sourceValue")
    if given is not None:
        return given
    source = entry.get("source")
    if source is None:
        raise Untraced
    matches = [resource for resource in resources if _is_source(source, resource)]
    if len(matches) != 1:
        raise Untraced
    field = source.text("fieldPath") or "metadata.name"
    found = list(_reach(matches[0].node, split(field)))
    if len(found) != 1 or isinstance(found[0].value, dict | list):
        raise Untraced
    value = found[0]
    if field == "metadata.name" and matches[0].hashed:
        edit.name_of, edit.name_at = value.text(), value.place
    delimiter = source.text("options", "delimiter")
    if delimiter:
        parts = value.text().split(delimiter)
        index = _index(source)
        if not 0 <= index < len(parts):
            raise Untraced
        return Node(parts[index], value.file, value.line)
    return value


def _index(entry: Node) -> int:
    """`options.index` of a source or target."""
    index = entry.get("options", "index")
    if index is None or index.value is None:
        return 0
    if not isinstance(index.value, int):
        raise Untraced
    return index.value


def _is_source(source: Node, resource: Resource) -> bool:
    """A source is named exactly, not by expressions."""
    group, _, version = resource.api_version.rpartition("/")
    names = [*resource.names, (resource.namespace, resource.name)]
    plain = {"group": group, "version": version, "kind": resource.kind}
    return (
        all(source.text(field) in ("", text) for field, text in plain.items())
        and any(source.text("name") in ("", name) for _, name in names)
        and any(source.text("namespace") in ("", namespace) for namespace, _ in names)
    )


def _write(node: Node, path: str, value: Node, target: Node, written: Node) -> None:
    steps = split(path)
    delimiter = target.text("options", "delimiter")
    found = list(_reach(node, steps))
    if not found and target.text("options", "create") == "true":
        found = _create(node, steps, value)
    for each in found:
        if isinstance(each.value, dict | list):
            raise Untraced
        was_text = isinstance(each.value, str)
        if delimiter:
            parts = each.text().split(delimiter)
            index = _index(target)
            if index < 0:
                parts.insert(0, value.text())
            elif index >= len(parts):
                parts.append(value.text())
            else:
                parts[index] = value.text()
            each.value, each.file, each.line = delimiter.join(parts), written.file, written.line
        else:
            text = value.text()
            each.value = text if was_text or isinstance(value.value, str) else resolve(text)
            each.file, each.line = value.file, value.line


def _reach(node: Node, steps: list[str]) -> Iterator[Node]:
    if not steps:
        yield node
        return
    step, rest = steps[0], steps[1:]
    if step == "*":
        for each in [*node.items(), *node.entries().values()]:
            yield from _reach(each, rest)
    elif step.startswith("["):
        key, _, wanted = step[1:-1].partition("=")
        for each in node.items():
            if (each.text(key) if key else each.text()) == wanted:
                yield from _reach(each, rest)
    else:
        inner = node.get(int(step)) if step.isdecimal() and node.items() else node.get(step)
        if inner is not None:
            yield from _reach(inner, rest)


def _create(node: Node, steps: list[str], value: Node) -> list[Node]:
    for index, step in enumerate(steps):
        if step.startswith("[") or step == "*" or not isinstance(node.value, dict):
            raise Untraced
        inner = node.value.get(step)
        if inner is None:
            last = index == len(steps) - 1
            inner = node.value[step] = Node("" if last else {}, value.file, value.line)
        node = inner
    return [node]
