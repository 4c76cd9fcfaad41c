"""A kustomization tree carried out in kustomize's order, each value keeping the line that wrote it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from preflight.documents.node import Node, split_list
from preflight.findings import CheckError, Place
from preflight.render.files import Reader, is_remote, kustomization_file
from preflight.render.trace import generators, patches, replacements, transformers
from preflight.render.trace.edits import Edit, EditKind, Tree
from preflight.render.trace.resource import Resource, Untraced

MOST_FOLDERS = 500
"""Kustomizations in one tree."""


class Built(msgspec.Struct):
    """A tree and the objects it makes, their names without hashes."""

    tree: Tree
    resources: list[Resource]
    remote: list[Node]
    """Entries that bring in what was not read."""
    outside: list[Node]
    """Entries that name a file outside their kustomization's folder."""
    is_component: bool


def build(folder: Path, root: Path, *, allow_remote: bool = False, reader: Reader | None = None) -> Built:
    """Read and carry out the kustomization of a folder, by a reader of one's own if it is given.

    Raises `CheckError` for what may not be read (outside the repository, remote) or is no YAML. What
    kustomize itself will refuse is left to kustomize.
    """
    builder = _Builder(reader or Reader(root, allow_remote))
    resources = builder.folder(folder.resolve(), [], ())
    reader = builder.reader
    duplicates = [duplicate for stream in reader.streams for duplicate in stream.duplicates]
    tree = Tree(
        files=list(dict.fromkeys(reader.files)),
        edits=builder.edits,
        complete=builder.complete and not builder.remote,
        duplicates=duplicates,
    )
    return Built(tree, resources, builder.remote, reader.outside, builder.is_component)


class _Builder:
    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.edits: list[Edit] = []
        self.remote: list[Node] = []
        self.folders = 0
        self.complete = True
        self.is_component = False

    def folder(self, folder: Path, given: list[Resource], above: tuple[Path, ...]) -> list[Resource]:
        """The objects of one kustomization; `given` are those a component starts from."""
        file = kustomization_file(folder)
        if file is None:
            return given
        self.folders += 1
        if folder in above or self.folders > MOST_FOLDERS:
            chain = " → ".join(self.reader.name(each) for each in (*above, folder)[-4:])
            raise CheckError(f"{self.reader.name(file)}: kustomizations in a cycle: {chain}")
        name = self.reader.name(file)
        file = file.resolve()
        if not file.is_relative_to(self.reader.root):
            raise CheckError(f"{name}: is a link to {file}, outside the repository {self.reader.root}")
        documents = self.reader.documents(file, Place(self.reader.name(file), 1))
        if not documents or not isinstance(documents[0].value, dict):
            return given
        if not above:
            self.is_component = documents[0].text("kind") == "Component"
        level = _Level(self, folder, self.reader.name(file), documents[0], (*above, folder))
        return level.run(list(given))


class _Level:
    """One kustomization file at work."""

    def __init__(
        self, builder: _Builder, folder: Path, file: str, entries: Node, above: tuple[Path, ...]
    ) -> None:
        self.builder = builder
        self.reader = builder.reader
        self.dir = folder
        self.file = file
        self.entries = entries
        self.above = above

    def run(self, resources: list[Resource]) -> list[Resource]:
        self._refuse_what_fetches()
        for field in ("resources", "bases"):
            for item in self.entries.items(field):
                resources += self._resource(item)
        self._generators(resources)
        for component in self.entries.items("components"):
            path = self._path(component)
            if path is not None and path.is_dir():
                resources = self.builder.folder(path, resources, self.above)
        self._transformers(resources)
        return [resource for resource in resources if not resource.deleted]

    def _refuse_what_fetches(self) -> None:
        for field in ("helmCharts", "helmChartInflationGenerator"):
            for item in self.entries.items(field):
                raise CheckError(
                    f"{item.file}:{item.line}: {field} is not rendered here; "
                    "render the chart and check the result: helm template ... | preflight check -"
                )
        for field in ("crds", "configurations"):
            for each in self.entries.items(field):
                self.reader.resolve(self.dir, each)
        schema = self.entries.get("openapi", "path")
        if schema is not None:
            self.reader.resolve(self.dir, schema)
        for field in ("generators", "transformers", "validators"):
            for each in self.entries.items(field):
                for config in self._plugin_configs(each):
                    self._refuse_remote_paths(config)
                    if config.text("kind") not in transformers.PLUGINS:
                        self.builder.complete = False

    def _plugin_configs(self, entry: Node) -> list[Node]:
        """The configurations one entry of `generators:` or `transformers:` gives, inline or by path."""
        if "\n" in entry.text():
            return patches.documents(self.reader, self.dir, entry, inline=True)
        path = self.reader.resolve(self.dir, entry)
        if path is None:
            return []
        if path.is_dir():
            return [each.node for each in self.builder.folder(path, [], self.above)]
        return self.reader.documents(path, entry.place)

    def _refuse_remote_paths(self, config: Node) -> None:
        for path, each in config.scalars():
            if any(step in ("files", "envs", "env", "path", "paths") for step in path):
                text = each.text().rpartition("=")[2]
                if "\n" not in text:
                    self.reader.resolve(self.dir, Node(text, each.file, each.line))

    def _path(self, entry: Node) -> Path | None:
        if is_remote(entry.text()):
            self.builder.remote.append(entry)
        return self.reader.resolve(self.dir, entry)

    def _resource(self, entry: Node) -> list[Resource]:
        path = self._path(entry)
        if path is None:
            return []
        if path.is_dir():
            return self.builder.folder(path, [], self.above)
        documents = self.reader.documents(path, entry.place)
        return [Resource(each, each.place) for document in documents for each in split_list(document)]

    def _edit(self, kind: EditKind, field: str, entry: Node, wants: str) -> Edit:
        edit = Edit(kind=kind, place=entry.place, file=self.file, field=field, wants=wants)
        self.builder.edits.append(edit)
        return edit

    def _generators(self, resources: list[Resource]) -> None:
        options = self.entries.get("generatorOptions")
        for field, kind in (("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")):
            for index, each in enumerate(self.entries.items(field)):
                edit = self._edit("generator", f"{field}[{index}]", each, f"{kind}/{each.text('name')}")
                made = generators.generate(kind, each, options, self.dir, self.reader, edit)
                behavior = each.text("behavior")
                old = next(
                    (
                        one
                        for one in resources
                        if one.kind == kind and one.known_as(made.namespace, made.name)
                    ),
                    None,
                )
                if old is not None and behavior in ("merge", "replace"):
                    edit.matched.append(old.ref)
                    generators.merge_generated(old, made, behavior, edit)
                else:
                    edit.matched.append(made.ref)
                    resources.append(made)

    def _transformers(self, resources: list[Resource]) -> None:
        for index, each in enumerate(self.entries.items("patchesStrategicMerge")):
            self._patch(resources, f"patchesStrategicMerge[{index}]", each)
        for index, each in enumerate(self.entries.items("patches")):
            self._patch(resources, f"patches[{index}]", each)
        namespace = self.entries.get("namespace")
        if namespace is not None and namespace.text():
            transformers.set_namespace(resources, namespace)
        transformers.add_affix(resources, self.entries.get("namePrefix"), self.entries.get("nameSuffix"))
        for label in self.entries.items("labels"):
            transformers.add_labels(resources, label, label.entries("pairs"), common=False)
        common = self.entries.get("commonLabels")
        if common is not None:
            transformers.add_labels(resources, common, common.entries(), common=True)
        transformers.add_annotations(resources, self.entries.entries("commonAnnotations"))
        for index, each in enumerate(self.entries.items("patchesJson6902")):
            self._patch(resources, f"patchesJson6902[{index}]", each)
        for index, each in enumerate(self.entries.items("replicas")):
            edit = self._edit("replica", f"replicas[{index}]", each, f"a workload named {each.text('name')}")
            transformers.set_replicas(resources, each, edit)
        for field in ("images", "imageTags"):
            for index, each in enumerate(self.entries.items(field)):
                edit = self._edit("image", f"{field}[{index}]", each, f"image {each.text('name')}")
                with _followed(edit):
                    transformers.set_image(resources, each, edit)
        self._replacements(resources)
        for transformer in self.entries.items("transformers"):
            for config in self._plugin_configs(transformer):
                self._plugin(resources, config)

    def _plugin(self, resources: list[Resource], config: Node) -> None:
        """A built-in transformer given by a configuration of its own."""
        kind = config.text("kind")
        if kind == "PatchTransformer":
            self._patch(resources, "transformers", config)
        elif kind in transformers.PLUGINS:
            transformers.write_pairs(resources, config)

    def _replacements(self, resources: list[Resource]) -> None:
        for index, each in enumerate(self.entries.items("replacements")):
            items = [each]
            named = each.get("path")
            if named is not None:
                path = self.reader.resolve(self.dir, named)
                documents = self.reader.documents(path, named.place) if path is not None else []
                items = [one for doc in documents for one in (doc.items() or [doc])]
            for item in items:
                edit = self._edit("replacement", f"replacements[{index}]", item, "its targets")
                with _followed(edit):
                    replacements.replace(resources, item, edit)

    def _patch(self, resources: list[Resource], name: str, entry: Node) -> None:
        """An entry that holds a patch or its path; one of `patchesStrategicMerge` is either itself."""
        inline = entry.get("patch")
        source = inline or entry.get("path") or entry
        if isinstance(source.value, str):
            edit = self._edit("patch", name, entry, "its target")
            is_inline = None if source is entry else source is inline
            documents = patches.documents(self.reader, self.dir, source, is_inline)
            patches.carry_out(resources, documents, entry, entry.get("target"), edit)


@contextlib.contextmanager
def _followed(edit: Edit) -> Iterator[None]:
    """Take down where an effect is not worked out."""
    try:
        yield
    except Untraced:
        edit.followed = False
