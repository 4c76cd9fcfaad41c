"""The rules: how one is declared, found and run.

A rule is a generator function over the model, declared with `@rule`; its docstring is its documentation:
first line what it finds, then why it matters and an example. It yields what `at` makes:

    @rule("image-not-pinned", family="images", severity="warning", outcome="runs old code")
    def image_not_pinned(model: Model) -> Iterator[Hit]:
        \"\"\"An image without a tag, or with `latest`. ...\"\"\"
        for container in model.containers:
            if ...:
                yield at(container, "image", message="...", fix="...")
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import UNSET

from preflight.findings import Finding, Outcome, Place, Severity

if TYPE_CHECKING:
    from preflight.model import Model
    from preflight.objects import Obj

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
"""One module of `preflight.rules` each."""

Step = str | int
"""One step of a path into a document: a mapping's key or a list's index."""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule yields: a finding without the rule's own id, severity and outcome (unless overridden)."""

    object: str
    container: str
    field: str
    place: Place
    message: str
    fix: str
    severity: Severity | None = None
    outcome: Outcome | None = None


class Located(Protocol):
    """A part of an object that knows where it is: `Obj`, `Workload`, `Container`, `Service`, ..."""

    @property
    def obj(self) -> Obj:
        """The object it is part of."""

    @property
    def path(self) -> tuple[Step, ...]:
        """Its path in that object's document."""

    @property
    def container_name(self) -> str:
        """The container's name, empty where it is no container."""


def at(
    part: Located,
    *path: Step,
    message: str,
    fix: str,
    place: Place | None = None,
    severity: Severity | None = None,
    outcome: Outcome | None = None,
) -> Hit:
    """A finding at `path` below `part`, at the source line of that field.

    A field that is absent is reported where `Obj.where` says: a container's `name:` line for what a
    container lacks, else the nearest enclosing line. `place` overrides the line (an env file's line, say)
    and not the field; `severity` and `outcome` override the rule's.
    """
    whole = (*part.path, *path)
    return Hit(
        object=part.obj.ref,
        container=part.container_name,
        field=dotted(whole),
        place=place or part.obj.where(*whole),
        message=message,
        fix=fix,
        severity=severity,
        outcome=outcome,
    )


def dotted(path: Iterable[Step]) -> str:
    """A path in the API's notation: `spec.containers[0].image`, `data[a.b]` for a key with dots."""
    text = ""
    for step in path:
        if isinstance(step, int) or "." in step or "/" in step:
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


RuleFunction = Callable[["Model"], Iterator[Hit]]


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
        for hit in self.function(model):
            yield Finding(
                rule=self.id,
                severity=hit.severity or self.severity,
                object=printable(hit.object),
                container=printable(hit.container) or UNSET,
                field=printable(hit.field),
                file=hit.place.file,
                line=hit.place.line,
                message=printable(hit.message),
                outcome=hit.outcome or self.outcome,
                fix=printable(hit.fix),
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
    """Every rule, by family in the order of `FAMILIES`, then in the order of its file."""
    for family in FAMILIES:
        importlib.import_module(f"preflight.rules.{family}")
    return sorted(_RULES.values(), key=lambda each: FAMILIES.index(each.family))


def _clean(doc: str | None) -> str:
    lines = (doc or "").strip().splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    return "\n".join([*lines[:1], *(line[margin:].rstrip() for line in lines[1:])])
