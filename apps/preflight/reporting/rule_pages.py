"""`preflight rules`: the rules' own documentation."""

from __future__ import annotations

from itertools import groupby

from preflight.findings import CheckError
from preflight.rules.registry import rules
from preflight.rules.retired import RETIRED, farewell
from preflight.spelling import closest


def listed() -> str:
    """Every rule with its severity and first line, by family."""
    known = rules()
    width = max((len(rule.id) for rule in known), default=0)
    lines = []
    for family, members in groupby(known, key=lambda rule: rule.family):
        lines.append(family)
        lines += [f"  {rule.id.ljust(width)}  {rule.severity.ljust(7)}  {rule.summary}" for rule in members]
        lines.append("")
    lines.append(
        f"{len(known)} rules. `preflight rules ID` says what one finds and why it matters, with an example."
    )
    return "\n".join(lines) + "\n"


def page(id: str) -> str:
    """One rule's documentation. Raises `CheckError` when there is none of that name."""
    known = {rule.id: rule for rule in rules()}
    if id in RETIRED:
        raise CheckError(farewell(id))
    if id not in known:
        near = closest(id, known)
        hint = f"did you mean {near}?" if near else "`preflight rules` lists them"
        raise CheckError(f"no rule has the name {id!r}: {hint}")
    rule = known[id]
    return (
        f"{rule.id} ({rule.family}, {rule.severity}; the cluster would say: {rule.outcome})\n\n{rule.doc}\n"
    )
