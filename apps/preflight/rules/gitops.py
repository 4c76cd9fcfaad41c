"""What Flux and Argo CD make of a repository: the variables they fill in, the paths they apply."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.objects import Obj
from preflight.documents.paths import Step, dig, list_at
from preflight.model import Model
from preflight.render.placeholders import OPTION
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import hint, near


@rule("flux-variable-not-set", family="kustomize", severity="error", outcome="applies nothing")
def flux_variable_not_set(model: Model) -> Iterator[Violation]:
    """A `${name}` that Flux's postBuild substitution fills in with nothing, or cannot read.

    The controller expands every `${name}` of what it applies, scripts in ConfigMaps and commands included, as
    soon as its Kustomization has one variable (or the strategy Always). A name that no source gives becomes
    empty; from Flux 2.9 on the reconciliation fails. An expression that is no variable (`${list[@]}`) fails
    in every version. While a source of variables is not in the repository, only what the script itself sets
    is said, as a warning.

        data:
          backup.sh: |
            tar -cf "/backup/${stamp}.tar" /data     # $stamp, or $${stamp}
    """
    for obj in model.objects:
        for each in obj.unfilled:
            name = each.name
            if name:
                message = (
                    f"Flux replaces ${{{name}}}, which nothing sets: it becomes empty, and from Flux 2.9 on"
                )
                fix = f"write ${name} or $${{{name}}} for the shell, or set {name} in postBuild"
            else:
                message = "Flux cannot read this ${...} as a variable, and"
                fix = "write $${ for the shell"
            yield at(
                obj.field(*each.path),
                place=each.place,
                message=f"{message} the reconciliation fails",
                fix=f"{fix}, or annotate the object {OPTION}: disabled",
                severity="error" if each.certain else "warning",
                certain=True,
            )


@rule("source-path-missing", family="references", severity="warning", outcome="applies nothing")
def source_path_missing(model: Model) -> Iterator[Violation]:
    """A path that an Application of Argo CD or a Kustomization of Flux applies, and that is not there.

    The path counts from the root of the source, taken for this repository; it may be another.
    Nothing is said of templates, of charts, and where nothing of the path is here.

        source:
          path: overlays/prod        # the folder is overlays/production
    """
    for obj in model.objects:
        for path in _paths(obj):
            text = obj.get(*path)
            if not isinstance(text, str) or any(mark in text for mark in ("{{", "${")):
                continue
            folder = model.root / text.lstrip("/")
            if folder.exists() or not folder.parent.is_dir() or folder.parent == model.root:
                continue
            names = [each.name for each in folder.parent.iterdir() if each.is_dir()]
            meant = near(folder.name, names) or next(
                (each for each in names if each.startswith(folder.name)), None
            )
            yield at(
                obj.field(*path),
                message=f"there is no folder {text} in this repository{hint(meant)}",
                fix=f"write {folder.parent.relative_to(model.root) / meant}"
                if meant
                else "name a folder that is there",
            )


def _paths(obj: Obj) -> Iterator[tuple[Step, ...]]:
    """The paths of sources in what deploys from a repository."""
    if obj.group == "kustomize.toolkit.fluxcd.io" and obj.kind == "Kustomization":
        yield ("spec", "path")
    if obj.group == "argoproj.io" and obj.kind in ("Application", "ApplicationSet"):
        base: tuple[Step, ...] = ("spec",) if obj.kind == "Application" else ("spec", "template", "spec")
        if obj.get(*base, "source", "chart") is None:
            yield (*base, "source", "path")
        for index, source in enumerate(list_at(obj.doc, *base, "sources")):
            if dig(source, "chart") is None:
                yield (*base, "sources", index, "path")
