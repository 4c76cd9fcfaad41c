"""`configMapGenerator` and `secretGenerator`: what they write, from which line of which file."""

from __future__ import annotations

import base64
from pathlib import Path

from preflight.documents.node import Node
from preflight.documents.scalars import unquoted
from preflight.render.files import Reader
from preflight.render.trace.edits import Edit, Missed
from preflight.render.trace.resource import Resource, put


def entries_of(generator: Node, folder: Path, reader: Reader) -> dict[str, Node]:
    """Key → value of one generator: env files, then literals, then files."""
    found: dict[str, Node] = {}
    env_files = [*generator.items("envs")]
    if (single := generator.get("env")) is not None:
        env_files.append(single)
    for each in env_files:
        path = reader.resolve(folder, each)
        if path is not None and path.is_file():
            found |= env_lines(reader.read(path, each.place), reader.name(path))
    for literal in generator.items("literals"):
        key, equals, value = literal.text().partition("=")
        if key and equals:
            found[key] = Node(unquoted(value), literal.file, literal.line)
    for file in generator.items("files"):
        key, equals, name = file.text().partition("=")
        entry = Node(name if equals else file.text(), file.file, file.line)
        path = reader.resolve(folder, entry)
        if path is not None and path.is_file():
            data = reader.read(path, file.place)
            content = data.decode("utf-8", "surrogateescape")
            found[key if equals else path.name] = Node(content, reader.name(path), 1)
    return found


def env_lines(data: bytes, file: str) -> dict[str, Node]:
    """An env file as kustomize reads it: `#` lines and blank ones apart, everything after `=` is kept."""
    found = {}
    text = data.decode("utf-8-sig", "surrogateescape")
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r").lstrip()
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[key] = Node(value, file, number)
    return found


def generate(
    kind: str, generator: Node, options: Node | None, folder: Path, reader: Reader, edit: Edit
) -> Resource:
    """The object one generator makes, before it is added to or merged with others."""
    secret = kind == "Secret"
    pairs = entries_of(generator, folder, reader)
    edit.keys = {key: each.place for key, each in pairs.items()}
    data, binary = Node({}, generator.file, generator.line), Node({}, generator.file, generator.line)
    for key, each in pairs.items():
        text = str(each.value)
        raw = text.encode("utf-8", "surrogateescape")
        is_text = _is_text(raw)
        holder = data if secret or is_text else binary
        value = text if is_text and not secret else base64_lines(raw)
        holder.entries()[key] = Node(value, each.file, each.line)
    place = generator.place
    node = Node({}, place.file, place.line)
    put(node, ("apiVersion",), "v1", place)
    put(node, ("kind",), kind, place)
    name = generator.get("name") or generator
    put(node, ("metadata", "name"), name.text(), name.place)
    if generator.text("namespace"):
        namespace = generator.get("namespace") or generator
        put(node, ("metadata", "namespace"), namespace.text(), namespace.place)
    for field, holder in (("data", data), ("binaryData", binary)):
        if holder.entries():
            node.entries()[field] = holder
    if secret:
        of = generator.get("type")
        put(node, ("type",), of.text() if of is not None else "Opaque", of.place if of is not None else place)
    resource = Resource(node, place)
    _apply_options(resource, generator, options)
    return resource


def _apply_options(resource: Resource, generator: Node, options: Node | None) -> None:
    sources = [each for each in (options, generator.get("options")) if each is not None]
    for field in ("labels", "annotations"):
        for source in sources:
            for key, value in source.entries(field).items():
                put(resource.node, ("metadata", field, key), value.text(), value.place)
    for source in sources:
        immutable = source.get("immutable")
        if immutable is not None and immutable.value is True:
            put(resource.node, ("immutable",), True, immutable.place)
    resource.hashed = not any(source.text("disableNameSuffixHash") == "true" for source in sources)


def merge_generated(old: Resource, new: Resource, behavior: str, edit: Edit) -> None:
    """`behavior: merge` or `replace` over an object that is already there."""
    if behavior == "merge":
        known = old.node.entries("data").keys() | old.node.entries("binaryData").keys()
        edit.missed = [
            Missed(f"key {key}", place, old.ref) for key, place in edit.keys.items() if key not in known
        ]
    for field in ("labels", "annotations"):
        for key, value in old.node.entries("metadata", field).items():
            if key not in new.node.entries("metadata", field):
                put(new.node, ("metadata", field, key), value.text(), value.place)
    for path in (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")):
        kept = old.node.get(*path)
        if kept is not None:
            put(new.node, path, kept.text(), kept.place)
    if behavior == "merge":
        for field in ("data", "binaryData"):
            for key, value in old.node.entries(field).items():
                holder = new.node.entries().setdefault(field, Node({}, value.file, value.line))
                holder.entries().setdefault(key, value)
    old.node = new.node
    old.hashed = new.hashed


def base64_lines(raw: bytes) -> str:
    """Base64 as kustomize writes it: lines of 70 characters where there are more."""
    text = base64.b64encode(raw).decode()
    if len(text) < 70:
        return text
    return "".join(text[start : start + 70] + "\n" for start in range(0, len(text), 70))


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
