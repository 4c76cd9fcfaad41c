"""Strategic merge and JSON patches over nodes, so that what a patch wrote keeps the patch's line."""

from __future__ import annotations

from preflight.documents.node import Node
from preflight.findings import Place

MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "resourceClaims": ("name",),
    "schedulingGates": ("name",),
    "readinessGates": ("conditionType",),
    "secrets": ("name",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "webhooks": ("name",),
}
"""Lists that strategic merge joins by a key; every other list is replaced whole."""


def strategic(base: Node | None, patch: Node, *, built_in: bool, field: str = "") -> Node | None:
    """`patch` merged over `base`; None where the patch deletes it. `base` may be changed."""
    if isinstance(patch.value, dict):
        return _mapping(base, patch, built_in, field)
    if isinstance(patch.value, list):
        return _list(base, patch, built_in, field)
    return None if patch.value is None else patch.copy()


def _mapping(base: Node | None, patch: Node, built_in: bool, field: str) -> Node | None:
    entries = patch.entries()
    directive = patch.text("$patch")
    if directive == "delete":
        return None
    replaces = directive == "replace"
    if base is None or replaces or not isinstance(base.value, dict):
        target = Node({}, patch.file, patch.line)
    else:
        target = base
    inner = target.entries()
    for key, each in entries.items():
        if key.startswith("$"):
            continue
        merged = strategic(inner.get(key), each, built_in=built_in, field=key)
        if merged is None:
            inner.pop(key, None)
        else:
            inner[key] = merged
    return target


def _list(base: Node | None, patch: Node, built_in: bool, field: str) -> Node:
    items = [each for each in patch.items() if each.text("$patch") != "replace"]
    replaces = len(items) < len(patch.items())
    old = base.items() if base is not None else []
    keys = _keys(field, [*items, *old])
    if not built_in or not keys or replaces or not old:
        made = [strategic(None, each, built_in=built_in) for each in items]
        return Node([each for each in made if each is not None], patch.file, patch.line)
    first, rest = [], list(old)
    for item in items:
        index = next((i for i, one in enumerate(rest) if _same(one, item, keys)), None)
        merged = strategic(rest.pop(index) if index is not None else None, item, built_in=built_in)
        if merged is not None:
            first.append(merged)
    # kustomize puts what the patch names first, in the patch's order
    return Node([*first, *rest], old[0].file, base.line if base is not None else patch.line)


def _keys(field: str, items: list[Node]) -> tuple[str, ...]:
    if field == "ports":
        key = "containerPort" if any("containerPort" in item.entries() for item in items) else "port"
        return (key, "protocol")
    return MERGE_KEYS.get(field, ())


def _same(one: Node, other: Node, keys: tuple[str, ...]) -> bool:
    """Whether two items have the same key; a second part counts only where both give it."""
    first = keys[0]
    if one.get(first) is None or one.text(first) != other.text(first):
        return False
    return all(
        one.get(key) is None or other.get(key) is None or one.text(key) == other.text(key) for key in keys[1:]
    )


class DoesNotApply(Exception):
    """A JSON patch operation whose path is not there; kustomize fails on it."""

    def __init__(self, path: str, place: Place) -> None:
        super().__init__(path)
        self.path = path
        self.place = place


def json_patch(node: Node, operations: list[Node]) -> None:
    """Apply RFC 6902 operations in place. Raises `DoesNotApply` at the first that cannot be."""
    for each in operations:
        path = each.text("path")
        steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
        if not steps:
            raise DoesNotApply(path, each.place)
        verb = each.text("op")
        if verb in ("add", "replace"):
            value = each.get("value")
            _write(
                node,
                steps,
                value.copy() if value is not None else Node(None, each.file, each.line),
                verb,
                each,
            )
        elif verb == "remove":
            _remove(node, steps, each)
        elif verb in ("move", "copy"):
            source = [step.replace("~1", "/").replace("~0", "~") for step in each.text("from").split("/")[1:]]
            found = _remove(node, source, each) if verb == "move" else _find(node, source, each).copy()
            _write(node, steps, found, "add", each)


def _find(node: Node, steps: list[str], operation: Node) -> Node:
    for step in steps:
        inner = node.get(int(step)) if step.lstrip("-").isdecimal() and node.items() else node.get(step)
        if inner is None:
            raise DoesNotApply(operation.text("path"), operation.place)
        node = inner
    return node


def _write(node: Node, steps: list[str], value: Node, verb: str, operation: Node) -> None:
    parent = _find(node, steps[:-1], operation)
    last = steps[-1]
    if isinstance(parent.value, dict):
        if verb == "replace" and last not in parent.value:
            raise DoesNotApply(operation.text("path"), operation.place)
        parent.value[last] = value
    elif isinstance(parent.value, list):
        size = len(parent.value)
        if last == "-" and verb == "add":
            parent.value.append(value)
            return
        index = int(last) if last.isdecimal() else size + 1
        if index > size or (verb == "replace" and index == size):
            raise DoesNotApply(operation.text("path"), operation.place)
        if verb == "replace":
            parent.value[index] = value
        else:
            parent.value.insert(index, value)
    else:
        raise DoesNotApply(operation.text("path"), operation.place)


def _remove(node: Node, steps: list[str], operation: Node) -> Node:
    found = _find(node, steps, operation)
    parent = _find(node, steps[:-1], operation)
    if isinstance(parent.value, dict):
        del parent.value[steps[-1]]
    elif isinstance(parent.value, list):
        del parent.value[int(steps[-1])]
    return found
