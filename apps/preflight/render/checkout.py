"""The repository around a target: its kustomizations, which builds on which, and what its manifests hold."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from preflight.cluster.kinds import BUILT_IN_GROUPS, CLUSTER_SCOPED
from preflight.documents.node import Node, split_list
from preflight.documents.parse import parse
from preflight.findings import CheckError, Place
from preflight.render.files import KUSTOMIZATION_NAMES, SUFFIXES, Reader, is_remote, kustomization_file
from preflight.render.trace import Built, build
from preflight.render.trace.resource import Resource
from preflight.repository.config import Config

ASIDE = frozenset(
    {"e2e", "examples-test", "fixtures", "node_modules", "test", "test-data", "testdata", "tests", "vendor"}
)
"""Folders whose manifests are not what is applied."""
MOST_FILES = 20_000
MOST_BYTES = 1024 * 1024
"""Of one file that is looked through; larger ones are bundles of definitions."""

BUNDLE_BYTES = 64 * 1024
"""From this size on a file with CustomResourceDefinitions is taken to hold nothing else."""

Key = tuple[str, str, str]
"""Kind, namespace, name."""


class Checkout:
    """The files of one repository, read when they are first asked for.

    Folders of tests and fixtures, hidden ones, and what the repository says to `exclude` are passed over:
    they hold nothing that is applied.
    """

    def __init__(self, root: Path, config: Config) -> None:
        self.root = root.resolve()
        self.config = config
        self.facts: dict[object, Any] = {}
        """What others have worked out of it once."""
        self._documents: dict[Path, list[Node]] = {}
        self._objects: dict[Path, list[Node]] = {}
        self._built: dict[Path, Built | None] = {}
        self._holders: dict[tuple[str, str], list[tuple[Path, Node, set[str]]]] = {}
        self._mentions: dict[str, list[tuple[Path, Node]]] = {}

    @cached_property
    def files(self) -> dict[Path, bytes]:
        """The manifests and kustomizations with their text; charts' templates are left out."""
        found: dict[Path, bytes] = {}
        for name, names, files in os.walk(self.root):
            folder = Path(name)
            names[:] = sorted(each for each in names if self._is_looked_into(folder / each))
            if "Chart.yaml" in files:
                names[:] = [each for each in names if each not in ("templates", "charts", "crds")]
            for file in sorted(files):
                path = folder / file
                if not file.endswith(SUFFIXES) and file not in KUSTOMIZATION_NAMES:
                    continue
                if len(found) >= MOST_FILES or not _is_read(path) or self._is_excluded(path):
                    continue
                found[path] = path.read_bytes()
        return found

    def _is_looked_into(self, folder: Path) -> bool:
        if folder.name.startswith(".") or folder.name in ASIDE or folder.is_symlink():
            return False
        return not self._is_excluded(folder)

    def _is_excluded(self, path: Path) -> bool:
        return self.config.excludes(PurePosixPath(path.relative_to(self.root).as_posix()))

    def documents(self, path: Path) -> list[Node]:
        """The documents of a file, not to be changed. Raises `CheckError` where it is no YAML."""
        if path not in self._documents:
            self._documents[path] = parse(self.text(path), self.name(path)).documents
        return self._documents[path]

    def text(self, path: Path) -> bytes:
        """What a file holds; nothing where it is too large."""
        return self.files[path] if path in self.files else path.read_bytes() if _is_read(path) else b""

    def objects(self, path: Path) -> list[Node]:
        """The documents of a manifest that have a kind; none where it is no YAML."""
        if path not in self._objects:
            self._objects[path] = []
            with contextlib.suppress(CheckError):
                self._objects[path] = [
                    each
                    for document in self.documents(path)
                    for each in split_list(document)
                    if each.text("kind")
                ]
        return self._objects[path]

    def objects_of(self, *kinds: str) -> Iterator[tuple[Path, Node]]:
        """Every object of these kinds that a manifest holds."""
        for path, data in self.files.items():
            if any(kind.encode() in data for kind in kinds):
                yield from ((path, each) for each in self.objects(path) if each.text("kind") in kinds)

    @cached_property
    def is_for_openshift(self) -> bool:
        """Whether a manifest names OpenShift's API groups, annotations or labels."""
        return any(b"openshift.io/" in data for data in self.files.values())

    def name(self, path: Path) -> str:
        """A path from the root, with `/`."""
        return Path(os.path.relpath(path, self.root)).as_posix()

    @cached_property
    def kustomizations(self) -> dict[Path, Node]:
        """Each folder that has a kustomization, with what that says."""
        found = {}
        for path in self.files:
            if path.name in KUSTOMIZATION_NAMES and path == kustomization_file(path.parent):
                with contextlib.suppress(CheckError):
                    documents = self.documents(path)
                    if documents and isinstance(documents[0].value, dict):
                        found[path.parent] = documents[0]
        return found

    @cached_property
    def _users(self) -> dict[Path, list[Path]]:
        """A file or folder → the folders of the kustomizations that name it."""
        users: dict[Path, list[Path]] = defaultdict(list)
        for folder, entries in self.kustomizations.items():
            for field in ("resources", "bases", "components"):
                for each in entries.items(field):
                    if each.text() and not is_remote(each.text()):
                        users[(folder / each.text()).resolve()].append(folder)
        return users

    def is_component(self, folder: Path) -> bool:
        """Whether the kustomization of a folder is a Component."""
        entries = self.kustomizations.get(folder)
        return entries is not None and entries.text("kind") == "Component"

    def is_included(self, path: Path) -> bool:
        """Whether a kustomization of the repository builds on this file or folder."""
        return bool(self._users.get(path))

    def roots(self, below: Path) -> list[Path]:
        """The kustomizations at or below a folder that no other one includes; never a Component."""
        return sorted(
            folder
            for folder in self.kustomizations
            if folder.is_relative_to(below) and not self.is_included(folder) and not self.is_component(folder)
        )

    def above(self, path: Path) -> set[Path]:
        """The kustomizations that contain this file or folder, itself apart."""
        found: set[Path] = set()
        waiting = [path]
        while waiting:
            users = {*self._users.get(waiting.pop(), ())} - found - {path}
            found |= users
            waiting += users
        return found

    def wholes(self, path: Path) -> list[Path]:
        """Those of them that nobody includes."""
        return sorted(
            each for each in self.above(path) if not self.is_included(each) and not self.is_component(each)
        )

    def namespaces(self, path: Path, own: str) -> set[str]:
        """The namespaces an object of a file may be applied to; "" stands for one that nobody names.

        `own` is what its manifest says; the kustomizations that include the file may say another.
        """
        found = set()
        waiting = [(path, own, 0)]
        while waiting:
            path, space, depth = waiting.pop()
            users = self._users.get(path, ()) if depth < 20 else ()
            waiting += [
                (user, self.kustomizations[user].text("namespace") or space, depth + 1) for user in users
            ]
            if not users:
                found.add(space)
        return found

    def keys(self, path: Path) -> set[Key]:
        """What a kustomization renders, or a manifest holds: kind, namespace and name of each object."""
        return {(each.kind, each.namespace, each.name) for each in self.rendered(path)}

    def rendered(self, path: Path) -> list[Resource]:
        """The objects of a kustomization's folder or of a manifest, read without running kustomize; none
        where the kustomization cannot be read."""
        if path not in self.kustomizations:
            return [Resource(each, each.place) for each in self.objects(path)]
        built = self.built(path)
        return built.resources if built is not None else []

    def built(self, folder: Path) -> Built | None:
        """The kustomization of a folder, carried out without kustomize; None where it cannot be read."""
        if folder not in self._built:
            self._built[folder] = None
            with contextlib.suppress(CheckError):
                self._built[folder] = build(folder, self.root, reader=_QuickReader(self))
        return self._built[folder]

    def holders(self, kind: str, namespace: str | None, name: str) -> Iterator[tuple[Path, Node]]:
        """The files that hold an object, or a generator of one, of this kind and name.

        `namespace` None means any; an object that names none may be applied to any.
        """
        key = (kind, name)
        if key not in self._holders:
            self._holders[key] = [*self._named(kind, name)]
        for path, node, spaces in self._holders[key]:
            if namespace is None or kind in CLUSTER_SCOPED or spaces & {namespace, ""}:
                yield path, node

    def _named(self, kind: str, name: str) -> Iterator[tuple[Path, Node, set[str]]]:
        texts = [each.encode() for each in self._spellings(name)]
        generator = {"ConfigMap": "configMapGenerator", "Secret": "secretGenerator"}.get(kind)
        for path, data in self.files.items():
            if not any(text in data for text in texts):
                continue
            if path.parent in self.kustomizations and path.name in KUSTOMIZATION_NAMES:
                entries = self.kustomizations[path.parent]
                for each in entries.items(generator) if generator else ():
                    if each.text("name").encode() in texts:
                        space = entries.text("namespace") or each.text("namespace")
                        yield path, each, self.namespaces(path.parent, space)
                continue
            for each in self.objects(path):
                if each.text("kind") == kind and each.text("metadata", "name").encode() in texts:
                    yield path, each, self.namespaces(path, each.text("metadata", "namespace"))

    def _spellings(self, name: str) -> list[str]:
        """The name, and what may be left of it without a kustomization's prefix and suffix."""
        found = {name}
        for prefix, suffix in self._affixes:
            if name.startswith(prefix) and name.endswith(suffix):
                found.add(name[len(prefix) : len(name) - len(suffix)])
        return [each for each in found if each]

    @cached_property
    def _affixes(self) -> set[tuple[str, str]]:
        return {
            (entries.text("namePrefix"), entries.text("nameSuffix"))
            for entries in self.kustomizations.values()
            if entries.text("namePrefix") or entries.text("nameSuffix")
        }

    def mentions(self, name: str) -> list[tuple[Path, Node]]:
        """Objects of custom kinds that have this name in a field of names: they may create what bears it."""
        if name not in self._mentions:
            text = name.encode()
            self._mentions[name] = [
                (path, each)
                for path, data in self.files.items()
                for each in (self.objects(path) if text in data else ())
                if each.text("apiVersion").rpartition("/")[0] not in (*BUILT_IN_GROUPS, *MAKE_NO_NAMES)
                and any(scalar.text() == name and _is_name(where) for where, scalar in each.scalars())
            ]
        return self._mentions[name]


MAKE_NO_NAMES = ("keda.sh", "kustomize.config.k8s.io")
"""Groups of custom kinds that make nothing another object names."""


def _is_name(path: tuple[str | int, ...]) -> bool:
    """Whether a field holds names: `name`, `secretName`, an item of a list; not a `type` or a `kind`."""
    last = path[-1] if path else ""
    return isinstance(last, int) or (last.lower().endswith("name") and "/" not in last)


class _QuickReader(Reader):
    """Reads each file once for all kustomizations, and bundles of definitions, the bulk of many a repository,
    not at all."""

    def __init__(self, checkout: Checkout) -> None:
        super().__init__(checkout.root, allow_remote=True)
        self.checkout = checkout

    def documents(self, path: Path, asked: Place) -> list[Node]:
        """Copies of the file's documents: they are edited."""
        data = self.checkout.text(path)
        if len(data) > BUNDLE_BYTES and b"kind: CustomResourceDefinition" in data:
            return []
        return [each.copy() for each in self.checkout.documents(path)]


def _is_read(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= MOST_BYTES
