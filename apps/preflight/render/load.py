"""From a target to objects with sources: a kustomization, a rendered file, a folder of manifests, stdin."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import msgspec

from preflight.cluster.objects import Obj, node_at
from preflight.documents.node import Node, split_list
from preflight.documents.parse import MOST_BYTES, Duplicate, YamlError, parse
from preflight.findings import CheckError, Place
from preflight.render import kustomize
from preflight.render.checkout import Checkout
from preflight.render.files import KUSTOMIZATION_NAMES, SUFFIXES, Reader, kustomization_file
from preflight.render.flux import variables_of
from preflight.render.placeholders import filled
from preflight.render.trace import Built, Tree, build
from preflight.render.trace.resource import Resource
from preflight.spelling import base_of

MOST_OBJECTS = 20_000
"""In one target; some rules compare every workload with every policy."""
YTT = re.compile(rb"(?m)^\s*#@\s*(?:load|data|def|if|for|overlay|schema)\b")
"""Comments by which ytt knows what to do: what such a file says is no manifest yet."""
TEMPLATE_NAME = re.compile(r"(?:^|[./])(?:template|tmpl|tpl)\.ya?ml$")
"""`template.yaml`, `web.tmpl.yaml`: names that say it themselves."""


class Loaded(msgspec.Struct):
    """What a target holds."""

    objects: list[Obj]
    duplicates: list[Duplicate]
    tree: Tree | None = None
    notes: list[str] = msgspec.field(default_factory=list)
    """What a person should know of how it was read, one line each."""


def load(
    target: str,
    root: Path,
    *,
    stdin: bytes | None = None,
    allow_remote: bool = False,
    checkout: Checkout | None = None,
) -> Loaded:
    """The objects of a target; raises `CheckError` with one line where it cannot be read.

    `stdin` is what `-` means; without it standard input itself is not touched. With `checkout` they are
    filled in as the repository's Flux fills them in.
    """
    loaded = _loaded(target, root, stdin=stdin, allow_remote=allow_remote)
    flux = None
    if checkout is not None and target != "-":
        path = Path(target).resolve()
        flux = variables_of(checkout, path if path.is_dir() else path.parent)
    loaded.objects = [filled(each, flux) for each in loaded.objects]
    return loaded


def _loaded(target: str, root: Path, *, stdin: bytes | None, allow_remote: bool) -> Loaded:
    if target == "-":
        return _streams([(stdin or b"", "-")])
    path = Path(target)
    if not path.exists():
        raise CheckError(f"{target}: no such file or folder")
    if path.is_file() and path.name in KUSTOMIZATION_NAMES:
        path = path.parent
    reader = Reader(root, allow_remote)
    if path.is_dir():
        if kustomization_file(path) is not None:
            return _kustomization(path, root, allow_remote)
        files = _manifests(path)
        if not files:
            raise CheckError(f"{target}: neither a kustomization nor manifests (*.yaml, *.yml, *.json) in it")
    else:
        files = [path]
    streams = [(reader.read(each, Place(target, 1)), reader.name(each.resolve())) for each in files]
    loaded = _streams(streams, of_folder=path.is_dir())
    if not loaded.objects and path.is_file():
        raise CheckError(f"{target}: holds no Kubernetes object (nothing with apiVersion and kind)")
    return loaded


def _manifests(folder: Path) -> list[Path]:
    return sorted(
        each
        for each in folder.iterdir()
        if each.suffix in SUFFIXES and not each.name.startswith(".") and each.is_file()
    )


def _streams(streams: Iterable[tuple[bytes, str]], *, of_folder: bool = False) -> Loaded:
    """The objects of some manifests. Of a folder's, files without an object are left out, and templates."""
    loaded = Loaded([], [])
    for data, name in streams:
        if of_folder and b"apiVersion" not in data:
            continue
        if of_folder and (YTT.search(data) or TEMPLATE_NAME.search(name)):
            loaded.notes.append(f"{name}: a template, left out: render it and check the result")
            continue
        try:
            stream = parse(data, name)
        except YamlError as error:
            if not of_folder or (b"{{" not in data and b"{%" not in data):
                raise
            loaded.notes.append(f"{error}: a template, left out: render it and check the result")
            continue
        loaded.duplicates += stream.duplicates
        for document in stream.documents:
            loaded.objects += [
                _obj(each, each, each.place) for each in split_list(document) if _is_object(each)
            ]
        if len(loaded.objects) > MOST_OBJECTS:
            raise CheckError(f"{name}: more than {MOST_OBJECTS} objects; check it in parts")
    return loaded


def _is_object(node: Node) -> bool:
    # a mapping in the place of the name is a template's expression: `name: {NAME}`
    name = node.get("metadata", "name")
    return bool(node.text("apiVersion") and node.text("kind")) and not isinstance(name and name.value, dict)


def _obj(node: Node, source: Node | None, origin: Place) -> Obj:
    # a mapping's plain value is a dict by construction
    return Obj(cast("dict[str, Any]", node.plain()), source, origin)


def _kustomization(folder: Path, root: Path, allow_remote: bool) -> Loaded:
    built = build(folder, root, allow_remote=allow_remote)
    # every path has been looked at, unless a plugin reads some of its own
    outside = built.outside if built.tree.complete or built.remote else []
    try:
        objects = _rendered(built, folder, root, allow_remote, lift=bool(outside))
    except CheckError as error:
        # kustomize refuses a key written twice, and does not say in which file
        for each in built.tree.duplicates:
            raise CheckError(
                f"{each.second}: {each.key} is written twice in one mapping, first in line {each.first.line}"
            ) from None
        if built.is_component:
            raise CheckError(
                f"{error} (a Component is nothing by itself: check a kustomization that takes it)"
            ) from None
        raise
    return Loaded(
        objects=objects,
        duplicates=built.tree.duplicates,
        tree=built.tree,
        notes=[
            f"{each.file}:{each.line}: {each.text()} lies outside its kustomization's folder: kubectl does "
            "not build this; Flux does, and kustomize with --load-restrictor LoadRestrictionsNone"
            for each in outside
        ],
    )


def _rendered(built: Built, folder: Path, root: Path, allow_remote: bool, *, lift: bool) -> list[Obj]:
    """The objects as kustomize renders them. It is asked where they come from only if the reading of the tree
    does not say so of each: that can take it ten times as long."""
    objects: list[Obj] = []
    for origins in (False, True) if built.tree.complete else (True,):
        output, wrapper = kustomize.render(
            folder, component=built.is_component, allow_remote=allow_remote, lift=lift, origins=origins
        )
        matcher = _Matcher(built, root, wrapper)
        objects = [
            matcher.match(each, origins)
            for document in parse(output, "(render)").documents
            for each in split_list(document)
            if _is_object(each)
        ]
        if len(matcher.matched) == len(objects):
            break
    matcher.settle()
    return objects


class _Matcher:
    """Finds each rendered object's sources by its name."""

    def __init__(self, built: Built, root: Path, wrapper: Path) -> None:
        self.root = root
        self.wrapper = wrapper
        self.remote = built.remote
        self.by_name: dict[tuple[str, str, str], list[Resource]] = defaultdict(list)
        for each in built.resources:
            self.by_name[(each.kind, each.namespace, each.name)].append(each)
        self.matched: list[tuple[Obj, Resource]] = []
        self.lines: dict[Path, list[Node]] = {}

    def match(self, node: Node, origins: bool) -> Obj:
        origin = _take_origin(node) if origins else ""
        doc = cast("dict[str, Any]", node.plain())
        obj = Obj(doc, None, Place("", 1))
        resource = self._resource(obj)
        if resource is not None:
            obj.source, obj.origin = resource.node, resource.origin
            self.matched.append((obj, resource))
        else:
            obj.origin = self._place(origin, obj)
        return obj

    def _resource(self, obj: Obj) -> Resource | None:
        found = self.by_name.get((obj.kind, obj.namespace, obj.name), [])
        if not found:
            candidates = self.by_name.get((obj.kind, obj.namespace, base_of(obj.name)), [])
            found = [each for each in candidates if each.hashed]
        same = [each for each in found if each.api_version == obj.api_version] or found
        return same[0] if same else None

    def settle(self) -> None:
        """Let references to objects that were renamed (prefix, suffix, hash) count as what they became."""
        former: dict[str, set[str]] = defaultdict(set)
        for obj, resource in self.matched:
            names = {name for _, name in resource.names} | {resource.name}
            if names != {obj.name}:
                former[obj.name] |= names
        if not former:
            return
        for obj, _ in self.matched:
            if obj.source is not None:
                _rename(obj.source, obj.doc, former)

    def _place(self, written: str, obj: Obj) -> Place:
        """The first line of an object that the reading of the tree did not make, by its origin as written."""
        origin: dict[str, str] = {}
        with contextlib.suppress(YamlError):
            for document in parse(written.encode(), "(origin)").documents:
                origin = {key: each.text() for key, each in document.entries().items()}
        name = origin.get("path") or origin.get("configuredIn")
        if name and not origin.get("repo"):
            path = (self.wrapper / name).resolve()
            if path.is_relative_to(self.root.resolve()) and path.is_file():
                reader = Reader(self.root, allow_remote=False)
                return Place(reader.name(path), self._line(path, obj))
        if self.remote:
            return self._bringer(origin).place
        return Place(name or "-", 1)

    def _bringer(self, origin: dict[str, str]) -> Node:
        """The entry that brings in a remote object: the one that names its repository, else the first."""
        repo = origin.get("repo", "").removesuffix(".git")
        return next((each for each in self.remote if repo and repo in each.text()), self.remote[0])

    def _line(self, path: Path, obj: Obj) -> int:
        if path not in self.lines:
            self.lines[path] = []
            if path.stat().st_size <= MOST_BYTES:
                with contextlib.suppress(YamlError):
                    documents = parse(path.read_bytes(), path.name).documents
                    self.lines[path] = [each for doc in documents for each in split_list(doc)]
        for each in self.lines[path]:
            if each.text("kind") == obj.kind and each.text("metadata", "name") in obj.name:
                return each.line
        return 1


def _take_origin(node: Node) -> str:
    """Remove the wrapper's origin annotation from a rendered object and return its text."""
    annotations = node.entries("metadata", "annotations")
    found = annotations.pop(kustomize.ORIGIN, None)
    if found is None:
        return ""
    if not annotations:
        node.entries("metadata").pop("annotations", None)
    return found.text()


def _rename(source: Node, doc: Any, former: dict[str, set[str]]) -> None:
    """Give scalars that were a renamed object's name the name it has in the render."""
    inner = source.value
    if isinstance(inner, dict | list):
        for step in doc if isinstance(doc, dict) else range(len(doc)) if isinstance(doc, list) else ():
            each = node_at(source, doc, step)
            if each is not None:
                _rename(each, doc[step], former)
    elif isinstance(doc, str) and inner != doc and inner in former.get(doc, ()):
        source.value = doc
