"""One run: targets to models, models to findings, findings to a report."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec

from preflight.cluster.schemas import unavailable
from preflight.findings import CheckError, Finding
from preflight.model import Model
from preflight.render.load import load
from preflight.render.revision import tree_at
from preflight.reporting import baseline as baselines
from preflight.reporting import suppressions
from preflight.reporting.excerpts import Sources
from preflight.reporting.report import Report
from preflight.repository.app import Apps
from preflight.repository.config import Config, find_root, load_config
from preflight.rules.registry import FAMILIES, Rule
from preflight.rules.registry import rules as all_rules


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to look."""

    kubernetes_version: str | None = None
    """Overrides the repository's own."""
    only: tuple[str, ...] = ()
    """Rules or families to apply; empty: all."""
    skip: tuple[str, ...] = ()
    """Rules or families to leave out."""
    against: str | None = None
    """A git revision whose tree is installed now."""
    baseline: Path | None = None
    allow_remote: bool = False


def run(targets: Sequence[str], options: Options | None = None, stdin: bytes | None = None) -> Report:
    """Check targets of one repository: kustomizations, files, folders, `-` for `stdin`.

    Raises `CheckError` with one line when it could not look.
    """
    options = options or Options()
    known = all_rules()
    chosen = choose(known, options)
    root = root_of(targets)
    config = load_config(root)
    if options.kubernetes_version is not None:
        config = _with_version(config, options.kubernetes_version)
    found: dict[Finding, None] = {}
    with Apps(root, config.containers) as apps:
        models = [
            model_of(
                target,
                root=root,
                config=config,
                apps=apps,
                against=options.against or "",
                allow_remote=options.allow_remote,
                stdin=stdin,
            )
            for target in targets
        ]
        apps.load()
        for model in models:
            for rule in chosen:
                found |= dict.fromkeys(_apply(rule, model))
    sources = Sources(root)
    written = suppressions.find(_files(models, found), sources, models)
    ids = {rule.id for rule in known}
    left, silenced = suppressions.apply(found, written, {rule.id for rule in chosen}, ids)
    accepted, notes = 0, []
    if any(rule.id == "not-in-schema" for rule in chosen) and (why := unavailable(config.minor)):
        notes.append(why)
    if options.baseline is not None:
        count = len(left)
        left, stale = baselines.subtract(left, baselines.read(options.baseline))
        accepted = count - len(left)
        if stale:
            notes.append(f"{options.baseline}: {stale} did not come again; --write-baseline renews it")
    return Report(
        root=root,
        targets=tuple(targets),
        findings=tuple(sorted(left, key=_order)),
        objects=sum(len(model.objects) for model in models),
        rules=len(chosen),
        suppressed=silenced,
        baselined=accepted,
        notes=tuple(notes),
    )


def choose(known: Iterable[Rule], options: Options) -> list[Rule]:
    """The rules to apply. Raises `CheckError` for a name that is neither a rule's nor a family's."""
    rules = list(known)
    names = {rule.id for rule in rules} | set(FAMILIES)
    for name in (*options.only, *options.skip):
        if name not in names:
            near = difflib.get_close_matches(name, sorted(names), 1)
            hint = f"did you mean {near[0]}?" if near else "`preflight rules` lists them"
            raise CheckError(f"no rule or family has the name {name!r}: {hint}")
    wanted = set(options.only) or names
    return [
        rule
        for rule in rules
        if wanted & {rule.id, rule.family} and not set(options.skip) & {rule.id, rule.family}
    ]


def model_of(
    target: str,
    *,
    root: Path,
    config: Config,
    apps: Apps | None = None,
    against: str = "",
    allow_remote: bool = False,
    stdin: bytes | None = None,
) -> Model:
    """The model of one target; raises `CheckError` where it cannot be read.

    `stdin` is what the target `-` means. With `against` (a git revision) `Model.before` is the same target
    as it was there, or None where it was not.
    """
    loaded = load(target, root, stdin=stdin, allow_remote=allow_remote)
    if target == "-" and not loaded.objects:
        raise CheckError("standard input: holds no Kubernetes object (nothing with apiVersion and kind)")
    before = None
    if against and target != "-":
        with tree_at(against, root) as old:
            path = old / Path(target).resolve().relative_to(root.resolve())
            if path.exists():
                past = load(str(path), old, allow_remote=allow_remote)
                before = Model(root=old, config=config, target=target, objects=past.objects)
    return Model(
        root=root,
        config=config,
        target=target,
        objects=loaded.objects,
        kustomization=loaded.tree,
        duplicates=loaded.duplicates,
        renderer=loaded.renderer,
        apps=apps,
        before=before,
    )


def findings_of(model: Model, *, only: Collection[str] = (), skip: Collection[str] = ()) -> list[Finding]:
    """What the rules find on one model, by file, line and rule; `only` and `skip` are rules or families."""
    chosen = choose(all_rules(), Options(only=tuple(only), skip=tuple(skip)))
    return sorted({finding for rule in chosen for finding in _apply(rule, model)}, key=_order)


def root_of(targets: Sequence[str]) -> Path:
    """The repository all targets belong to. Raises `CheckError` for a path that is not there."""
    roots = {find_root(Path("." if target == "-" else target)) for target in targets}
    for target in targets:
        if target != "-" and not Path(target).exists():
            raise CheckError(f"{target}: no such file or folder")
    if len(roots) != 1:
        listed = ", ".join(str(root) for root in sorted(roots)) or "none given"
        raise CheckError(f"the paths belong to several repositories ({listed}): check one at a time")
    return roots.pop()


def _with_version(config: Config, version: str) -> Config:
    try:
        return msgspec.convert(
            msgspec.to_builtins(msgspec.structs.replace(config, kubernetes_version=version)), Config
        )
    except msgspec.ValidationError:
        raise CheckError(f"--kubernetes-version: got {version!r}, wants a version such as 1.34") from None


def _apply(rule: Rule, model: Model) -> list[Finding]:
    try:
        return list(rule.run(model))
    except CheckError:
        raise
    # a fault of the rule must not look like a clean manifest, nor be a traceback for whoever wrote it
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise CheckError(
            f"{model.target}: the rule {rule.id} failed ({text}); --skip {rule.id} leaves it out"
        ) from error


def _files(models: Iterable[Model], findings: Iterable[Finding]) -> list[str]:
    files: dict[str, None] = {}
    for model in models:
        if model.kustomization is not None:
            files |= dict.fromkeys(model.kustomization.files)
        files |= dict.fromkeys(obj.origin.file for obj in model.objects)
    files |= dict.fromkeys(finding.file for finding in findings)
    return [file for file in files if file and file != "-"]


def _order(finding: Finding) -> tuple[str, int, str, str, str, str]:
    return finding.file, finding.line, finding.rule, finding.object, finding.field, finding.message
