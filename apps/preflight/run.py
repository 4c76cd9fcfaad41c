"""One run: targets to models, models to findings, findings to a report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
from msgspec import UNSET

from preflight.cluster.dry_run import refusals
from preflight.cluster.schemas import unavailable
from preflight.documents.paths import dotted
from preflight.facts.existence import are_alternatives, has_uncertain_names, is_template
from preflight.facts.schema_faults import asked
from preflight.facts.settings import ask_ahead
from preflight.findings import CheckError, Finding, Place, Severity
from preflight.model import Model
from preflight.render.checkout import Checkout
from preflight.render.load import load
from preflight.render.revision import tree_at
from preflight.render.targets import expand
from preflight.reporting import baseline as baselines
from preflight.reporting import suppressions
from preflight.reporting.excerpts import Sources
from preflight.reporting.mask import Mask
from preflight.reporting.report import Report
from preflight.repository.app import Apps
from preflight.repository.config import Config, find_root, load_config
from preflight.rules.registry import Rule, Violation, at
from preflight.rules.registry import rules as all_rules
from preflight.rules.retired import RETIRED, current, farewell
from preflight.spelling import closest, listed


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to look."""

    kubernetes_version: str | None = None
    """Overrides the repository's own."""
    only: tuple[str, ...] = ()
    """Rules or families to apply; empty: all."""
    skip: tuple[str, ...] = ()
    """Rules or families to leave out, besides those that the repository leaves out."""
    against: str | None = None
    """A git revision whose tree is installed now."""
    baseline: Path | None = None
    allow_remote: bool = False
    own_code: bool = True
    """Whether names of the repository are imported and its commands run."""
    context: str | None = None
    """A kubectl context whose API server is asked as well."""


class Observed(Finding, frozen=True, kw_only=True):
    """A finding in one place of one target, before those of one line are joined."""

    readers: tuple[str, ...] = ()


def run(targets: Sequence[str], options: Options | None = None, stdin: bytes | None = None) -> Report:
    """Check targets of one repository: kustomizations, files, folders, `-` for `stdin`.

    Raises `CheckError` with one line when it could not look.
    """
    options = options or Options()
    root = root_of(targets)
    config = load_config(root)
    if options.kubernetes_version is not None:
        config = _with_version(config, options.kubernetes_version)
    if not options.own_code:
        config = without_own_code(config)
    named = (*options.only, *options.skip, *config.skip, *config.severity)
    skipped = (*options.skip, *config.skip)
    notes = [farewell(name, skipped=name in skipped) for name in dict.fromkeys(named) if name in RETIRED]
    severity = {now: level for name, level in config.severity.items() if (now := current(name)) != name}
    config = msgspec.structs.replace(config, severity={**severity, **config.severity})
    observed: list[Observed] = []
    failures: list[str] = []
    with Apps(root, config.containers, config.import_roots) as apps:
        checkout = Checkout(root, config)
        look = partial(
            model_of,
            root=root,
            config=config,
            apps=apps,
            against=options.against or "",
            allow_remote=options.allow_remote,
            stdin=stdin,
            checkout=checkout,
        )
        expanded = expand(targets, checkout)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            looked = [pool.submit(_looked, look, target, apps, options) for target in expanded]
            known = known_rules(root, config)
            chosen = choose(known, only=options.only, skip=skipped)
        models = []
        for each in looked:
            try:
                models.append(each.result())
            except CheckError as error:
                if len(expanded) == 1:
                    raise
                failures.append(str(error))
        for model in models:
            notes += model.notes
            model.beside = tuple(
                other for other in models if other is not model and not are_alternatives(model, other)
            )
            found = observe(chosen, model)
            observed += confirmed(found, model, chosen, look)
    if options.context is not None:
        server = [rule for rule in chosen if rule.id == "refused-by-server"]
        for model in models if server else ():
            observed += _refused(server[0], model, options.context, observed)
    sources = Sources(root)
    written = suppressions.find(_files(models, observed), sources, models)
    left, silenced = suppressions.apply(
        observed, written, {rule.id for rule in chosen}, {rule.id for rule in known}
    )
    notes += [farewell(name) for name in sorted({each.rule for each in written} & RETIRED.keys() - {*named})]
    mask = Mask(obj for model in models for each in (model, model.before) if each for obj in each.objects)
    findings = [mask.finding(finding) for finding in join(left)]
    accepted = 0
    if any(rule.id == "not-in-schema" for rule in chosen) and (why := unavailable(config.minor)):
        notes.append(why)
    if options.baseline is not None:
        count = len(findings)
        held = baselines.read(options.baseline)
        findings, stale = baselines.subtract(findings, held)
        accepted = count - len(findings)
        if any(not each.message for each in held):
            notes.append(f"{options.baseline}: names rules that are gone; --write-baseline renews it")
        if stale:
            notes.append(f"{options.baseline}: {stale} did not come again; --write-baseline renews it")
    return Report(
        root=root,
        targets=tuple(expanded),
        failures=tuple(dict.fromkeys(failures)),
        findings=tuple(findings),
        objects=sum(len(model.objects) for model in models),
        rules=len(chosen),
        suppressed=silenced,
        baselined=accepted,
        mask=mask,
        notes=tuple(notes),
    )


def _looked(look: Callable[[str], Model], target: str, apps: Apps, options: Options) -> Model:
    model = look(target)
    if not options.only:
        ask_ahead(model, apps)
        if not {"schema", "not-in-schema"} & {*options.skip, *model.config.skip}:
            asked(model)
    return model


def without_own_code(config: Config) -> Config:
    """The configuration without what would import or run code of the repository."""
    containers = {
        name: msgspec.structs.replace(each, settings=None, app=None, topics=None, tag=())
        for name, each in config.containers.items()
    }
    return msgspec.structs.replace(config, rules=(), containers=containers)


def known_rules(root: Path, config: Config) -> list[Rule]:
    """All rules, the repository's own included. Raises `CheckError` where `severity` names none of them."""
    if config.rules:
        for folder in reversed(config.import_roots):
            if (root / folder).is_dir() and str(root / folder) not in sys.path:
                sys.path.insert(0, str(root / folder))
    known = all_rules(config.rules)
    for name in filter(None, config.severity):
        _check_name(name, {rule.id for rule in known}, "[tool.preflight] severity: ")
    return known


def choose(known: Iterable[Rule], *, only: Collection[str] = (), skip: Collection[str] = ()) -> list[Rule]:
    """The rules to apply, by their names or their families'. Raises `CheckError` for what is no name.

    The name of a rule that is gone stands for the one that reports its fault now.
    """
    rules = list(known)
    names = {rule.id for rule in rules} | {rule.family for rule in rules}
    for name in (*only, *skip):
        _check_name(name, names)
    wanted = set(map(current, only)) if only else names
    unwanted = set(map(current, skip))
    return [
        rule for rule in rules if wanted & {rule.id, rule.family} and not unwanted & {rule.id, rule.family}
    ]


def _check_name(name: str, names: Collection[str], where: str = "") -> None:
    if name not in names and name not in RETIRED:
        near = closest(name, names)
        hint = f"did you mean {near}?" if near else "`preflight rules` lists them"
        raise CheckError(f"{where}no rule or family has the name {name!r}: {hint}")


def model_of(
    target: str,
    *,
    root: Path,
    config: Config,
    apps: Apps | None = None,
    against: str = "",
    allow_remote: bool = False,
    stdin: bytes | None = None,
    checkout: Checkout | None = None,
) -> Model:
    """The model of one target; raises `CheckError` where it cannot be read.

    `stdin` is what the target `-` means. With `against` (a git revision) `Model.before` is the same target
    as it was there, or None where it was not.
    """
    checkout = checkout or Checkout(root, config)
    loaded = load(target, root, stdin=stdin, allow_remote=allow_remote, checkout=checkout)
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
        apps=apps,
        before=before,
        checkout=checkout,
        notes=loaded.notes,
    )


def findings_of(model: Model, *, only: Collection[str] = (), skip: Collection[str] = ()) -> list[Finding]:
    """What the rules find on one model and nothing silences; `only` and `skip` are rules or families."""
    observed = observe(choose(all_rules(), only=only, skip=skip), model)
    written = suppressions.find(_files([model], observed), Sources(model.root), [model])
    left, _ = suppressions.apply(observed, written, set(), set())
    return join(left)


def observe(rules: Iterable[Rule], model: Model) -> list[Observed]:
    """What these rules find on one model, in each of its places; see `Rule.unless`."""
    found = {rule: list(dict.fromkeys(_apply(rule, model))) for rule in rules}
    said = {
        (each.rule, each.object, each.container, each.field) for several in found.values() for each in several
    }
    return [
        each
        for rule, several in found.items()
        for each in several
        if not any((other, each.object, each.container, each.field) in said for other in rule.unless)
    ]


MOST_WHOLES = 8
"""Kustomizations that a part is looked at in."""


def confirmed(
    observed: Sequence[Observed], model: Model, rules: Iterable[Rule], look: Callable[[str], Model]
) -> list[Observed]:
    """What is left of a part's findings where it is looked at as it is applied.

    A base, a Component or a manifest that kustomizations of the repository include is completed by them: a
    finding that none of these has is none, and one that a whole has is said as the whole says it. What no
    whole could be asked about is a warning.
    """
    wholes = {each: _wholes(model, each) for each in observed}
    if not any(wholes.values()):
        if model.checkout.is_component(model.path):
            return [msgspec.structs.replace(each, severity="warning") for each in observed]
        return list(observed)
    names = {each.rule for each in observed}
    chosen = [rule for rule in rules if rule.id in names or {*rule.unless} & names]
    found: dict[Observed, Observed] = {}
    asked = 0
    unasked = False
    for whole in sorted({each for several in wholes.values() for each in several}):
        if all(each in found for each in observed if wholes[each]):
            break
        if asked == MOST_WHOLES:
            unasked = True
            break
        asked += 1
        try:
            here = observe(chosen, look(str(whole)))
        except CheckError:
            unasked = True
            continue
        for each in observed:
            same = [other for other in here if _is_same(each, other)]
            if same and whole in wholes[each] and each not in found:
                found[each] = min(same, key=lambda other: other.severity)
    left = []
    for each in observed:
        if each in found:
            left.append(msgspec.structs.replace(found[each], targets=each.targets))
        elif not wholes[each]:
            left.append(each)
        elif unasked:
            left.append(msgspec.structs.replace(each, severity="warning"))
    return left


def _wholes(model: Model, finding: Observed) -> list[Path]:
    checkout = model.checkout
    return checkout.wholes(model.path) or (
        checkout.wholes(checkout.root / finding.file) if model.kustomization is None else []
    )


def _is_same(one: Observed, other: Observed) -> bool:
    return (one.rule, one.file, one.line) == (other.rule, other.file, other.line)


JOINING = ("messaging", "network", "references")
"""Families that join objects by names and labels."""


def _apply(rule: Rule, model: Model) -> Iterable[Observed]:
    try:
        for each in rule.function(model) if rule.function is not None else ():
            if each.uncertain:
                continue
            unsure = is_template(model) or (rule.family in JOINING and has_uncertain_names(model))
            yield _observed(rule, model, each, "warning" if unsure else None)
    except CheckError:
        raise
    # a fault of the rule must not look like a clean manifest, nor keep the other rules from being applied
    except Exception as error:
        yield _crashed(rule, model, error)


def _observed(rule: Rule, model: Model, found: Violation, severity: Severity | None = None) -> Observed:
    severity = severity or found.severity or rule.severity
    return Observed(
        rule=rule.id,
        severity=model.config.severity.get(rule.id) or severity,
        object=printable(found.object),
        container=printable(found.container) or UNSET,
        field=printable(found.field),
        file=found.place.file,
        line=found.place.line,
        message=printable(found.message),
        outcome=found.outcome or rule.outcome,
        fix=printable(found.fix),
        targets=(model.target,),
        readers=tuple(map(printable, found.readers)),
    )


def _refused(rule: Rule, model: Model, context: str, observed: list[Observed]) -> list[Observed]:
    """What the server refuses and no rule has said of that field or of what is in it."""
    said = [(each.object, each.field) for each in observed if each.severity == "error"]
    found = []
    for refusal in refusals(model.objects, context):
        field = dotted(refusal.path)
        known = (other.startswith(field) for ref, other in said if ref == refusal.obj.ref and field)
        if not any(known):
            message = f"{refusal.obj.ref}: {refusal.text}"
            refused = at(refusal.obj, *refusal.path, message=message, fix="write what the server asks for")
            found.append(_observed(rule, model, refused))
    return found


def _crashed(rule: Rule, model: Model, error: Exception) -> Observed:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    # where it happened, and not the error's text, which may hold a Secret's value
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""
    first = model.objects[0].origin if model.objects else Place(model.target, 1)
    return Observed(
        rule="rule-crashed",
        severity="error",
        object=first.file,
        field="",
        file=first.file,
        line=first.line,
        message=f"the rule {rule.id} failed on {model.target}: {type(error).__name__} in {where}",
        outcome="not checked",
        fix=f"leave it out until it is mended: --skip {rule.id}",
        targets=(model.target,),
    )


def printable(text: str) -> str:
    """A text on one line and without control characters: manifests may hold any, terminals obey some."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def join(observed: Iterable[Finding]) -> list[Finding]:
    """Findings that say the same of one line as one; errors first, then by file, line and rule."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for each in observed:
        key = (each.file, each.line, each.rule, each.severity, each.message, each.outcome, each.fix)
        groups.setdefault(key, []).append(each)
    joined = []
    for group in groups.values():
        first = group[0]
        readers = dict.fromkeys(name for each in group if isinstance(each, Observed) for name in each.readers)
        joined.append(
            Finding(
                rule=first.rule,
                severity=first.severity,
                object=first.object,
                container=first.container,
                field=first.field,
                file=first.file,
                line=first.line,
                message=f"{listed(readers)} {first.message}" if readers else first.message,
                outcome=first.outcome,
                fix=first.fix,
                count=len({(each.object, each.container, each.field) for each in group}),
                targets=tuple(dict.fromkeys(name for each in group for name in each.targets)),
            )
        )
    return sorted(joined, key=_order)


def root_of(targets: Sequence[str]) -> Path:
    """The repository all targets belong to. Raises `CheckError` for a path that is not there."""
    roots = {find_root(Path("." if target == "-" else target)) for target in targets}
    for target in targets:
        if target != "-" and not Path(target).exists():
            raise CheckError(f"{target}: no such file or folder")
    if len(roots) != 1:
        names = ", ".join(str(root) for root in sorted(roots)) or "none given"
        raise CheckError(f"the paths belong to several repositories ({names}): check one at a time")
    return roots.pop()


def _with_version(config: Config, version: str) -> Config:
    try:
        return msgspec.convert(
            msgspec.to_builtins(msgspec.structs.replace(config, kubernetes_version=version)), Config
        )
    except msgspec.ValidationError:
        raise CheckError(f"--kubernetes-version: got {version!r}, expected a version such as 1.34") from None


def _files(models: Iterable[Model], findings: Iterable[Finding]) -> list[str]:
    files: dict[str, None] = {}
    for model in models:
        if model.kustomization is not None:
            files |= dict.fromkeys(model.kustomization.files)
        files |= dict.fromkeys(obj.origin.file for obj in model.objects)
    files |= dict.fromkeys(finding.file for finding in findings)
    return [file for file in files if file and file != "-"]


def _order(finding: Finding) -> tuple[str, str, int, str, str, str, str]:
    severity, file, line, rule = finding.severity, finding.file, finding.line, finding.rule
    return severity, file, line, rule, finding.object, finding.field, finding.message
