"""The rules: how one is declared, found and run.

A rule is a generator function over the model, declared with `@rule`; its docstring is its documentation:
first line what it finds, then why it matters and an example. It yields what `at` makes:

    @rule("image-not-pinned", family="images", severity="warning", outcome="runs old code")
    def image_not_pinned(model: Model) -> Iterator[Violation]:
        \"\"\"An image without a tag, or with `latest`. ...\"\"\"
        for container in model.containers:
            if ...:
                yield at(container, "image", message="...", fix="...")
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from preflight import rules as families
from preflight.cluster.objects import Located
from preflight.documents.paths import Step, dotted
from preflight.findings import Finding, Outcome, Place, Severity

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
    "suppressions",
)
"""One module or package of `preflight.rules` each."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule yields: a finding without the rule's own id, severity and outcome (unless overridden)."""

    object: str
    container: str
    field: str
    place: Place
    message: str
    fix: str
    severity: Severity | None = None
    outcome: Outcome | None = None


def at(
    part: Located,
    *path: Step,
    message: str,
    fix: str,
    place: Place | None = None,
    severity: Severity | None = None,
    outcome: Outcome | None = None,
) -> Violation:
    """A finding at `path` below `part`, at the source line of that field.

    A field that is absent is reported where `Obj.where` says: a container's `name:` line for what a
    container lacks, else the nearest enclosing line. `place` overrides the line (an env file's line, say)
    and not the field; `severity` and `outcome` override the rule's.
    """
    whole = (*part.path, *path)
    return Violation(
        object=part.obj.ref,
        container=part.container_name,
        field=dotted(whole),
        place=place or part.obj.where(*whole),
        message=message,
        fix=fix,
        severity=severity,
        outcome=outcome,
    )


RuleFunction = Callable[["Model"], Iterator[Violation]]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A registered rule; `doc` is what `preflight rules ID` prints."""

    id: str
    family: str
    severity: Severity
    outcome: Outcome
    doc: str
    function: RuleFunction

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return self.doc.partition("\n")[0]

    def run(self, model: Model) -> Iterator[Finding]:
        """Its findings on this model."""
        for violation in self.function(model):
            yield Finding(
                rule=self.id,
                severity=violation.severity or self.severity,
                object=printable(violation.object),
                container=printable(violation.container) or UNSET,
                field=printable(violation.field),
                file=violation.place.file,
                line=violation.place.line,
                message=printable(violation.message),
                outcome=violation.outcome or self.outcome,
                fix=printable(violation.fix),
            )


def printable(text: str) -> str:
    """A text on one line and without control characters: manifests may hold any, terminals obey some."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


_RULES: dict[str, Rule] = {}


def rule(
    id: str, *, family: str, severity: Severity, outcome: Outcome
) -> Callable[[RuleFunction], RuleFunction]:
    """Register a rule under `id` (lower-case words joined by `-`, named after what is wrong).

    Raises `ValueError` at import where the id is taken, the family unknown or the documentation missing.
    """

    def register(function: RuleFunction) -> RuleFunction:
        doc = _clean(function.__doc__)
        if id in _RULES and _RULES[id].function.__qualname__ != function.__qualname__:
            raise ValueError(f"rule {id}: registered twice")
        if family not in FAMILIES:
            raise ValueError(f"rule {id}: no family {family!r}")
        if not doc:
            raise ValueError(f"rule {id}: a docstring documents it")
        _RULES[id] = Rule(
            id=id, family=family, severity=severity, outcome=outcome, doc=doc, function=function
        )
        return function

    return register


def rules() -> list[Rule]:
    """Every rule, by family in the order of `FAMILIES`, then by file and in its order."""
    for module in pkgutil.walk_packages(families.__path__, f"{families.__name__}."):
        importlib.import_module(module.name)
    return sorted(_RULES.values(), key=lambda each: FAMILIES.index(each.family))


def _clean(doc: str | None) -> str:
    lines = (doc or "").strip().splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    return "\n".join([*lines[:1], *(line[margin:].rstrip() for line in lines[1:])])
