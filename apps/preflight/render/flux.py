"""Flux's Kustomizations in a repository: what each applies, and with which variables it fills that in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from preflight.documents.node import Node
from preflight.findings import CheckError, Place
from preflight.render.checkout import Checkout
from preflight.render.files import KUSTOMIZATION_NAMES, Reader
from preflight.render.trace import patches
from preflight.render.trace.edits import Edit
from preflight.render.trace.resource import Resource

GROUP = "kustomize.toolkit.fluxcd.io"


class FluxKustomization(msgspec.Struct, kw_only=True, frozen=True):
    """One Kustomization of Flux as its parents have it applied."""

    name: str
    place: Place
    folder: Path
    """What it applies: `spec.path` from the root of its source, taken for this repository."""
    substitutes: bool
    """Whether it has a `postBuild`."""
    always: bool
    """`substituteStrategy: Always`: expressions are expanded even where no variable is given."""
    variables: dict[str, str | None]
    """By name; None for a value that is not known here: a Secret's, one that is filled in itself."""
    components: bool
    """Whether it adds components to the kustomization."""
    complete: bool
    """Whether all sources of variables, its own and the other Kustomizations', are in this repository."""


def flux_kustomizations(checkout: Checkout) -> list[FluxKustomization]:
    """All that the repository holds, each with the patches of the ones that apply it."""
    if flux_kustomizations not in checkout.facts:
        found = [read for each in _effective(checkout) if (read := _read(checkout, each)) is not None]
        # what one has from outside, others may be given by the same way
        if not all(each.complete for each in found):
            found = [msgspec.structs.replace(each, complete=False) for each in found]
        checkout.facts[flux_kustomizations] = found
    known: list[FluxKustomization] = checkout.facts[flux_kustomizations]
    return known


def _effective(checkout: Checkout) -> list[Resource]:
    """The objects, those of parents first carried out on those of children."""
    written = {each.place: Resource(each, each.place) for each in _written(checkout)}
    files = {checkout.root / place.file for place in written}
    holding = files.union(*map(checkout.above, files))
    made = {place: _children(checkout, each, holding) for place, each in written.items()}
    children = {child.origin for several in made.values() for child in several}
    waiting = [each for place, each in written.items() if place not in children]
    found: dict[Place, Resource] = dict(written)
    seen = set()
    while waiting:
        parent = waiting.pop()
        if parent.origin in seen:
            continue
        seen.add(parent.origin)
        found[parent.origin] = parent
        below = _children(checkout, parent, holding)
        _patch(checkout, parent, below)
        waiting += below
    return list(found.values())


def _is_kustomization(resource: Resource) -> bool:
    return resource.kind == "Kustomization" and resource.api_version.startswith(f"{GROUP}/")


def _folder(checkout: Checkout, resource: Resource) -> Path | None:
    """What a Kustomization applies of this repository, None where its source is another.

    A source is another where the path is not here. The root is in every repository: it counts where the
    source is a GitRepository, the only one or one that other paths show to be this.
    """
    folder = (checkout.root / resource.node.text("spec", "path").lstrip("/")).resolve()
    if not folder.is_relative_to(checkout.root) or not folder.is_dir():
        return None
    source = resource.node.text("spec", "sourceRef", "kind"), resource.node.text("spec", "sourceRef", "name")
    own = _own_sources(checkout)
    is_own = source[0] == "GitRepository" and (source in own or not own)
    return folder if folder != checkout.root or is_own else None


def _own_sources(checkout: Checkout) -> set[tuple[str, str]]:
    if _own_sources not in checkout.facts:
        checkout.facts[_own_sources] = {
            (each.text("spec", "sourceRef", "kind"), each.text("spec", "sourceRef", "name"))
            for each in _written(checkout)
            if each.text("spec", "path").strip("./")
            and (checkout.root / each.text("spec", "path").lstrip("/")).is_dir()
        }
    own: set[tuple[str, str]] = checkout.facts[_own_sources]
    return own


def _written(checkout: Checkout) -> Iterator[Node]:
    """The Kustomizations of Flux as their files have them."""
    for path, data in checkout.files.items():
        for each in checkout.objects(path) if GROUP.encode() in data else ():
            if _is_kustomization(Resource(each, each.place)):
                yield each


def _children(checkout: Checkout, parent: Resource, holding: set[Path]) -> list[Resource]:
    """The Kustomizations of Flux that another one applies, copied, as kustomize makes them. `holding` are the
    files that hold any, and the folders whose kustomizations contain such a file."""
    folder = _folder(checkout, parent)
    return [
        Resource(each.node.copy(), each.origin)
        for path in (_applied(checkout, folder) if folder is not None else ())
        if path in holding
        for each in checkout.rendered(path)
        if _is_kustomization(each) and each.origin != parent.origin
    ]


def _applied(checkout: Checkout, folder: Path) -> Iterator[Path]:
    """The kustomization of a folder; without one, those below it and the manifests that belong to none, as
    the controller writes them into one of its own."""
    if folder in checkout.kustomizations:
        yield folder
        return
    taken = [each for each in checkout.kustomizations if each.is_relative_to(folder)]
    highest = [each for each in taken if not any(other in each.parents for other in taken)]
    yield from highest
    for path in checkout.files:
        is_manifest = path.is_relative_to(folder) and path.name not in KUSTOMIZATION_NAMES
        if is_manifest and not any(each in path.parents for each in highest):
            yield path


def _patch(checkout: Checkout, parent: Resource, children: list[Resource]) -> None:
    """Carry out the patches of one Kustomization on those that it applies."""
    reader = Reader(checkout.root, allow_remote=False)
    for entry in parent.node.items("spec", "patches"):
        source = entry.get("patch")
        if source is None:
            continue
        edit = Edit(kind="patch", place=entry.place, file=entry.file, field="spec.patches", wants="")
        try:
            documents = patches.documents(reader, checkout.root, source, inline=True)
            patches.carry_out(children, documents, entry, entry.get("target"), edit)
        except CheckError:
            continue


def _read(checkout: Checkout, resource: Resource) -> FluxKustomization | None:
    folder = _folder(checkout, resource)
    if folder is None:
        return None
    after = resource.node.get("spec", "postBuild")
    variables: dict[str, str | None] = {}
    complete = True
    for each in after.items("substituteFrom") if after is not None else ():
        given = _given(checkout, each.text("kind"), each.text("name"))
        complete = complete and given is not None
        variables |= given or {}
    for name, value in after.entries("substitute").items() if after is not None else ():
        text = value.text().replace("\n", "")
        variables[name] = None if "${" in text else text
    return FluxKustomization(
        name=resource.name,
        place=resource.origin,
        folder=folder,
        substitutes=after is not None,
        always=after is not None and after.text("substituteStrategy") == "Always",
        variables=variables,
        components=bool(resource.node.items("spec", "components")),
        complete=complete,
    )


def _given(checkout: Checkout, kind: str, name: str) -> dict[str, str | None] | None:
    """The variables of a ConfigMap or Secret, None where the repository does not hold it. Where several files
    hold one of this name (one a cluster), what they differ in is not known."""
    found: list[dict[str, str | None]] = []
    for path, node in checkout.holders(kind, None, name):
        if node.text("kind") == kind:
            found.append(_data(kind, node))
        else:
            found += [
                _data(kind, each.node)
                for each in checkout.rendered(path.parent)
                if each.kind == kind and each.name.endswith(name)
            ]
    if not found:
        return None
    names = {key for each in found for key in each}
    return {
        key: found[0].get(key) if all(each.get(key) == found[0].get(key) for each in found) else None
        for key in names
    }


def _data(kind: str, node: Node) -> dict[str, str | None]:
    values = {key: each.text().replace("\n", "") for key, each in node.entries("data").items()}
    if kind == "Secret":
        # their names are enough: no value of a Secret may show
        return dict.fromkeys([*values, *node.entries("stringData")])
    return {
        key: None if "${" in value or value.startswith("ENC[") else value for key, value in values.items()
    }


def variables_of(checkout: Checkout, folder: Path) -> FluxKustomization | None:
    """What fills in the render of a folder; None where no Kustomization of the repository applies just it.

    Several of them (one a cluster) leave what they differ in unknown.
    """
    exact = [each for each in flux_kustomizations(checkout) if each.folder == folder]
    if not exact:
        return None
    first = exact[0]
    if len(exact) == 1:
        return first
    names = {name for each in exact for name in each.variables}
    shared = {
        name: first.variables.get(name)
        if all(each.variables.get(name, "") == first.variables.get(name, "") for each in exact)
        else None
        for name in names
    }
    return msgspec.structs.replace(
        first,
        substitutes=any(each.substitutes for each in exact),
        always=any(each.always for each in exact),
        variables=shared,
        components=any(each.components for each in exact),
        complete=all(each.complete for each in exact),
    )
