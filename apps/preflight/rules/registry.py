"""The rules: how one is declared and found.

A rule is a generator function over the model, declared with `@rule`; its docstring is its documentation:
first line what it finds, then why it matters and an example. It yields what `at` makes:

    @rule("image-not-pinned", family="images", severity="warning", outcome="runs old code")
    def image_not_pinned(model: Model) -> Iterator[Violation]:
        \"\"\"An image without a tag, or with `latest`. ...\"\"\"
        for container in model.containers:
            if ...:
                yield at(container, "image", message="...", fix="...")

A module of a repository's own declares its rules in the same way and is named in `[tool.preflight] rules`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from preflight.cluster.objects import Located
from preflight.documents.paths import Step, dotted
from preflight.findings import CheckError, Outcome, Place, Severity

if TYPE_CHECKING:
    from preflight.model import Model

FAMILIES = (
    "references",
    "environment",
    "network",
    "images",
    "messaging",
    "lifecycle",
    "kustomize",
    "admission",
    "upgrades",
    "schema",
    "policy",
    "server",
)
"""The order in which families are listed; others follow."""
SHIPPED = ("preflight.rules", "preflight.packs")
"""Packages whose modules declare rules."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule yields: a finding without the rule's own id, severity and outcome (unless overridden)."""

    object: str
    container: str
    field: str
    place: Place
    message: str
    fix: str
    readers: tuple[str, ...] = ()
    """Containers that the message is about: those of violations that say the same of the same line are
    joined, and the message begins with them."""
    severity: Severity | None = None
    outcome: Outcome | None = None
    uncertain: bool = False
    """Whether it is about a value that is a placeholder, or encrypted: then it is not reported."""


def at(
    part: Located,
    *path: Step,
    message: str,
    fix: str,
    place: Place | None = None,
    readers: Sequence[str] = (),
    severity: Severity | None = None,
    outcome: Outcome | None = None,
    certain: bool = False,
) -> Violation:
    """A violation at `path` below `part`, at the source line of that field.

    A field that is absent is reported where `Obj.where` says: a container's `name:` line for what a
    container lacks, else the nearest enclosing line. `place` overrides the line (an env file's line, say)
    and not the field; `severity` and `outcome` override the rule's; for `readers` see `Violation`.
    What is about a value that is filled in later is dropped, unless it is `certain`.
    """
    whole = (*part.path, *path)
    return Violation(
        object=part.obj.ref,
        container=part.container_name,
        field=dotted(whole),
        place=place or part.where(*path),
        message=message,
        fix=fix,
        readers=tuple(readers),
        severity=severity,
        outcome=outcome,
        uncertain=not certain and part.obj.is_uncertain(*whole),
    )


RuleFunction = Callable[["Model"], Iterator[Violation]]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A registered rule; `doc` is what `preflight rules ID` prints."""

    id: str
    family: str
    severity: Severity
    outcome: Outcome
    doc: str
    module: str
    """Where it is declared."""
    unless: tuple[str, ...] = ()
    """Rules that take precedence: what they say of a field, this one does not say again."""
    function: RuleFunction | None = None
    """None for what is found by the run itself."""

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return self.doc.partition("\n")[0]


_RULES: dict[tuple[str, str], Rule] = {}
"""By module and id: repositories that are checked by one process may have rules of the same name."""


def rule(
    id: str, *, family: str, severity: Severity, outcome: Outcome, unless: Sequence[str] = ()
) -> Callable[[RuleFunction], RuleFunction]:
    """Register a rule under `id` (lower-case words joined by `-`, named after what is wrong).

    Raises `ValueError` at import where the module has the id already or the documentation is missing.
    """

    def register(function: RuleFunction) -> RuleFunction:
        declare(
            Rule(
                id=id,
                family=family,
                severity=severity,
                outcome=outcome,
                doc=function.__doc__ or "",
                module=function.__module__,
                unless=tuple(unless),
                function=function,
            )
        )
        return function

    return register


def declare(rule: Rule) -> None:
    """Register a rule that need not have a function; see `rule`."""
    rule = msgspec.structs.replace(rule, doc=_clean(rule.doc))
    key = rule.module, rule.id
    if key in _RULES and _RULES[key].doc != rule.doc:
        raise ValueError(f"rule {rule.id}: declared twice in {rule.module}")
    if not rule.doc.strip():
        raise ValueError(f"rule {rule.id}: a docstring documents it")
    _RULES[key] = rule


def rules(own: Sequence[str] = ()) -> list[Rule]:
    """Every rule of preflight, of its packs and of the modules named, by family, then in its file's order.

    Raises `CheckError` where one of these modules cannot be imported, or a name is taken.
    """
    for package in SHIPPED:
        _import(package)
    for name in own:
        try:
            _import(name)
        # whatever the repository's module raises, the line must say that it is that module's
        except Exception as error:
            raise CheckError(
                f"pyproject.toml: [tool.preflight] rules: {name} cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from error
    order = {family: number for number, family in enumerate(FAMILIES)}
    known = [rule for rule in _RULES.values() if _is_in(rule.module, (*SHIPPED, *own))]
    modules: dict[str, str] = {}
    for rule in known:
        if modules.setdefault(rule.id, rule.module) != rule.module:
            raise CheckError(f"two rules are called {rule.id}: in {modules[rule.id]} and in {rule.module}")
    return sorted(known, key=lambda rule: order.get(rule.family, len(order)))


def _is_in(module: str, packages: Sequence[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in packages)


def _import(name: str) -> None:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{name}."):
        importlib.import_module(module.name)


def _clean(doc: str) -> str:
    lines = doc.strip().splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    return "\n".join([*lines[:1], *(line[margin:].rstrip() for line in lines[1:])])
