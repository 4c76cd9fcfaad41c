"""Edits of a kustomization that edit nothing: kustomize says nothing of them and exits 0."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from preflight.cluster import image_reference
from preflight.cluster.objects import Field, Obj
from preflight.documents.node import Node
from preflight.documents.paths import dig, strings, walk
from preflight.facts.existence import has_components_of_flux
from preflight.facts.selectors import is_the_clusters
from preflight.facts.settings import container_settings
from preflight.findings import Place
from preflight.model import Model
from preflight.render.files import kustomization_file
from preflight.render.trace import Edit
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import hint, near

LITERAL = re.compile(r"[\w./-]+")


@rule("edit-matches-nothing", family="kustomize", severity="error", outcome="applies nothing")
def edit_matches_nothing(model: Model) -> Iterator[Violation]:
    """An entry of `images`, `patches` or `replacements` that matches nothing.

    kustomize says nothing and exits 0: the pods keep what the base says. The name of an image must be the
    whole name in the base, registry included; where no container has nearly that name it is a warning, and so
    is a target that names no object (all of a kind), and all where Flux adds components to the kustomization.

        patches:
        - path: memory.yaml
          target: {kind: Deployment, name: resonanse}
    """
    whole = not has_components_of_flux(model)
    yield from _images(model, whole)
    names = [obj.ref for obj in model.objects]
    patches, replacements = _without_effect(model, "patch"), _edits(model, "replacement")
    for edit in (*patches, *(each for each in replacements if not _matches_elsewhere(model, each))):
        for missed in edit.missed:
            wanted = missed.what.removeprefix("target ")
            meant = near(wanted, names)
            what = "patch" if edit.kind == "patch" else "replacement"
            yield _hit(
                edit,
                missed.place,
                message=f"{what} target {wanted} matches no object{hint(meant)}",
                fix=f"name {meant}" if meant else f"name an object that exists, or remove the {what}",
                # what a patch is to delete is not there: so it was meant
                certain=whole and "/" in wanted and bool(LITERAL.fullmatch(wanted)) and not edit.deletes,
            )


def _images(model: Model, whole: bool) -> Iterator[Violation]:
    names = {image_reference.parse(container.image).name for container in model.containers}
    for edit in _without_effect(model, "image"):
        wanted = edit.wants.removeprefix("image ")
        same = (name for name in names if name.rpartition("/")[2] == wanted.rpartition("/")[2])
        meant = near(wanted, names) or next(same, None)
        if wanted in names:
            message = f"images entry {wanted}: no container of this kustomization's own resources has it"
            fix = "move the entry to a kustomization that includes the container"
        else:
            message = f"images entry {wanted}: no container has this image{hint(meant)}"
            fix = f"write name: {meant}" if meant else "name the image as the base writes it, or remove it"
        yield _hit(edit, edit.place, message=message, fix=fix, certain=whole and meant is not None)


@rule("replacement-of-hashed-name", family="kustomize", severity="warning", outcome="applies nothing")
def replacement_of_hashed_name(model: Model) -> Iterator[Violation]:
    """A replacement that copies the name of a generated ConfigMap or Secret without its hash.

    Hashes are appended after replacements have been carried out, and only the references that kustomize knows
    follow; anywhere else the copied name is that of an object that does not exist.

        replacements:
        - source: {kind: ConfigMap, name: settings}        # the name becomes settings-4k7hbm2h9t
          targets:
          - select: {kind: Deployment, name: app}
            fieldPaths: [spec.template.spec.containers.0.args.0]
    """
    for edit in _edits(model, "replacement"):
        if edit.name_at is None:
            continue
        for obj in model.objects:
            for path, value in walk(obj.doc):
                writer = obj.writer(*path) if value == edit.name_of else None
                if writer is not None and writer.place == edit.name_at:
                    yield at(
                        obj.field(*path),
                        place=edit.place,
                        message=f"the replacement copies the name {edit.name_of} without the hash that the "
                        "object's name ends with",
                        fix="set disableNameSuffixHash: true on that generator, or refer to the object by a "
                        "field kustomize renames",
                    )


@rule("labels-reach-policy-peers", family="kustomize", severity="error", outcome="ready but unreachable")
def labels_reach_policy_peers(model: Model) -> Iterator[Violation]:
    """Labels that kustomize adds to selectors, and so to a NetworkPolicy's peers in another namespace.

    `commonLabels`, and `labels` with `includeSelectors`, write them into every podSelector, those of peers
    included. The pods of another namespace do not have them: the policy lets nobody in (or out) any more. A
    warning where another part of the repository has something in that namespace.

        labels:
        - pairs: {team: shop}
          includeSelectors: true       # from: [{namespaceSelector: …, podSelector: {… , team: shop}}]
    """
    for policy in model.objects_of("NetworkPolicy"):
        for field, peer in _peers_elsewhere(model, policy):
            wanted = strings(dig(peer, "podSelector", "matchLabels"))
            for key, value in wanted.items():
                place = _label_entry(model, field.obj.writer(*field.path, "podSelector", "matchLabels", key))
                space = dig(peer, "namespaceSelector", "matchLabels", NAMESPACE_NAME)
                if place is None or _has_labels(model, space, wanted):
                    continue
                yield at(
                    policy.field(*field.path, "podSelector"),
                    place=place,
                    message=f"includeSelectors adds {key}: {value} to peers of NetworkPolicy {policy.name} "
                    f"in namespace {space}, whose pods do not have it",
                    fix="set includeSelectors: false (includeTemplates: true keeps it on pods)",
                    severity="warning"
                    if _is_used_elsewhere(model, space) and not is_the_clusters(space)
                    else None,
                )


NAMESPACE_NAME = "kubernetes.io/metadata.name"


def _peers_elsewhere(model: Model, policy: Obj) -> Iterator[tuple[Field, Any]]:
    """The peers of a policy that are pods of another namespace, which they name."""
    for pattern in ("spec.ingress.*.from.*", "spec.egress.*.to.*"):
        for field in policy.fields(pattern):
            space = dig(field.doc, "namespaceSelector", "matchLabels", NAMESPACE_NAME)
            if isinstance(space, str) and space != policy.namespace:
                yield field, field.doc


def _has_labels(model: Model, namespace: str, labels: dict[str, str]) -> bool:
    return any(
        each.namespace == namespace and labels.items() <= each.labels.items() for each in model.workloads
    )


def _is_used_elsewhere(model: Model, namespace: str) -> bool:
    """Whether pods of a namespace may come of what is not rendered here."""
    checkout = model.checkout
    own = (each.text("namespace") for each in checkout.kustomizations.values())
    objects = (each for path in checkout.files for each in checkout.objects(path))
    here = any(each.namespace == namespace for each in model.workloads)
    return not here and namespace in {*own, *(each.text("metadata", "namespace") for each in objects)}


def _label_entry(model: Model, writer: Node | None) -> Place | None:
    """The line by which a kustomization's own entry put a label into selectors; None where a manifest did."""
    if writer is None:
        return None
    folder = (model.checkout.root / writer.file).parent
    entries = model.checkout.kustomizations.get(folder)
    if entries is None or (folder / Path(writer.file).name) != kustomization_file(folder):
        return None
    for entry in entries.items("labels"):
        switch = entry.get("includeSelectors")
        if switch is not None and any(each.place == writer.place for each in entry.entries("pairs").values()):
            return switch.place
    common = entries.entries("commonLabels").values()
    return writer.place if any(each.place == writer.place for each in common) else None


@rule("patch-adds-container", family="kustomize", severity="error", outcome="rejected by the API server")
def patch_adds_container(model: Model) -> Iterator[Violation]:
    """A patch for a container that is not there: it adds a second one, which has no image.

    Strategic merge joins containers by name. The API server refuses the result.

        containers:
        - name: indxer                # the base's is indexer
          resources: {limits: {memory: 1Gi}}
    """
    for container in model.containers:
        if container.image or not container.name:
            continue
        item = container.obj.writer(*container.path)
        if item is None or item.file == container.obj.origin.file:
            continue  # the schema's or the server's to say
        others = [each.name for each in container.workload.containers if each.image]
        meant = near(container.name, others) or (others[0] if len(others) == 1 else None)
        yield at(
            container.field("name"),
            message=f"the patch adds a second container {container.name}, which has no image{hint(meant)}",
            fix=f"write name: {meant}"
            if meant
            else "write the name of a container of the base, or give this one an image",
        )


@rule("merged-key-misspelt", family="kustomize", severity="error", outcome="applies nothing")
def merged_key_misspelt(model: Model) -> Iterator[Violation]:
    """A key that a generator with `behavior: merge` misspells.

    The base has it under nearly that name, and no container reads this one: it is added beside the
    base's, whose value stays. A warning where a container takes it whose settings are
    not known.

        configMapGenerator:
        - name: vhm-config
          behavior: merge
          literals: [QDRANT_URI=http://qdrant.example.org]     # QDRANT_URL
    """
    edits = model.kustomization.edits if model.kustomization is not None else ()
    lines = {missed.place for edit in edits if edit.kind == "generator" for missed in edit.missed}
    known = container_settings(model) if lines else {}
    for obj in model.objects_of("ConfigMap", "Secret") if lines else ():
        keys = obj.mapping("data")
        for key in keys:
            meant = near(key, keys.keys() - {key}) if obj.where("data", key) in lines else None
            takers = [
                container
                for container in (model.containers if meant is not None else ())
                if any(offer.source is obj and offer.key == key for offer in container.offers)
            ]
            if takers and not any(taker in known and known[taker].reads(key) for taker in takers):
                yield at(
                    obj.field("data", key),
                    message=f"behavior: merge adds the key {key}; the base has {meant}, whose value stays",
                    fix=f"write {meant}",
                    severity="error" if all(taker in known for taker in takers) else "warning",
                )


@rule("key-twice", family="kustomize", severity="warning", outcome="applies nothing")
def key_twice(model: Model) -> Iterator[Violation]:
    """A key written twice in one mapping.

    kubectl takes the last and says nothing; kustomize refuses it.

        env:
          LOG_LEVEL: INFO
          LOG_LEVEL: DEBUG
    """
    for duplicate in model.duplicates if model.kustomization is None else ():
        yield Violation(
            object="",
            container="",
            field=duplicate.key,
            place=duplicate.first,
            message=f"key {duplicate.key} is written again in line {duplicate.second.line}, and that value "
            "counts",
            fix="remove one of the two",
        )


def _edits(model: Model, kind: str) -> Iterator[Edit]:
    """The entries of a kind that were followed, where every object is known."""
    tree = model.kustomization
    # a Component alone has nothing to edit
    if tree is not None and tree.complete and not model.checkout.is_component(model.path):
        yield from (edit for edit in tree.edits if edit.kind == kind and edit.followed)


def _without_effect(model: Model, kind: str) -> Iterator[Edit]:
    """The entries that match nothing, here or wherever else their kustomization is used."""
    # files that a tool is yet to fill (`flux bootstrap`) render to nothing, and edits wait for them
    for edit in _edits(model, kind):
        if not edit.matched and model.objects and not _matches_elsewhere(model, edit):
            yield edit


def _matches_elsewhere(model: Model, edit: Edit) -> bool:
    """Whether an entry of a Component has an effect in another kustomization that takes the Component."""
    checkout = model.checkout
    folder = (checkout.root / edit.file).parent
    if not checkout.is_component(folder):
        return False
    return any(
        (other.file, other.field) == (edit.file, edit.field) and other.matched
        for whole in checkout.wholes(folder)
        if whole != model.path and (built := checkout.built(whole)) is not None
        for other in built.tree.edits
    )


def _hit(edit: Edit, place: Place, *, message: str, fix: str, certain: bool) -> Violation:
    return Violation(
        object=f"Kustomization/{edit.file.rpartition('/')[0] or '.'}",
        container="",
        field=edit.field,
        place=place,
        message=message,
        fix=fix,
        severity="error" if certain else "warning",
    )
