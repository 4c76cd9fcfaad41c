"""Findings silenced on purpose: by a comment at the source line, or an annotation on the object.

    image: debug:latest   # preflight: ignore[image-not-pinned] thrown away after the demonstration
    # preflight: ignore[image-not-pinned, no-probe] on a line of its own silences the next line

    metadata: {annotations: {preflight.ignore/image-not-pinned: thrown away after the demonstration}}

A reason is required. In an env file only the form on its own line is a comment: there kustomize keeps what
follows a value as part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import UNSET

from preflight.findings import Finding, Place
from preflight.model import Model
from preflight.reporting.excerpts import Sources
from preflight.rules.retired import RETIRED, current, farewell
from preflight.spelling import closest

COMMENT = re.compile(r"(?P<before>^|.*?\s)(?:#|//)\s*preflight:\s*ignore\[(?P<rules>[^\]]*)\](?P<reason>.*)$")
ANNOTATION = "preflight.ignore/"
UNUSED, UNREASONED = "suppression-unused", "suppression-without-reason"


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """One rule silenced in one place."""

    rule: str
    reason: str
    place: Place
    """Where it is written."""
    line: int = 0
    """The line it silences; 0 for an annotation, which silences `object`."""
    object: str = ""

    def silences(self, finding: Finding) -> bool:
        """Whether this finding is meant; a suppression without a reason silences nothing."""
        if not self.reason or current(self.rule) != finding.rule:
            return False
        if self.object:
            return self.object == finding.object
        return (self.place.file, self.line) == (finding.file, finding.line)


def find(files: Iterable[str], sources: Sources, models: Iterable[Model]) -> list[Suppression]:
    """Every suppression in these source files, and on the objects of these models."""
    found = [each for file in dict.fromkeys(files) for each in _comments(file, sources.lines(file))]
    for model in models:
        for obj in model.objects:
            for key, reason in obj.annotations.items():
                if key.startswith(ANNOTATION):
                    place = obj.where("metadata", "annotations", key)
                    found.append(
                        Suppression(
                            rule=key.removeprefix(ANNOTATION),
                            reason=reason.strip(),
                            place=place,
                            object=obj.ref,
                        )
                    )
    return list(dict.fromkeys(found))


def _comments(file: str, lines: list[str]) -> Iterator[Suppression]:
    env_file = file.endswith((".env", ".properties"))
    for index, text in enumerate(lines):
        if "preflight:" not in text or not (match := COMMENT.match(text)):
            continue
        alone = not match["before"].strip()
        if env_file and not alone:
            continue
        line = index + 1
        if alone:
            line += next(
                (n for n, after in enumerate(lines[index + 1 :], 1) if not after.lstrip().startswith("#")), 1
            )
        for rule in match["rules"].split(","):
            yield Suppression(
                rule=rule.strip(),
                reason=match["reason"].strip(" -:"),
                place=Place(file, index + 1),
                line=line,
            )


def apply(
    findings: Iterable[Finding], suppressions: list[Suppression], ran: set[str], known: set[str]
) -> tuple[list[Finding], int]:
    """What is left of the findings, with what is wrong with the suppressions themselves, and how many were
    silenced. `ran` are the rules that were applied (one that was not cannot show its use), `known` all."""
    left: list[Finding] = []
    used: set[Suppression] = set()
    count = 0
    for finding in findings:
        silencing = [each for each in suppressions if each.silences(finding)]
        used.update(silencing)
        count += bool(silencing)
        if not silencing:
            left.append(finding)
    for suppression in suppressions:
        if not suppression.reason and UNREASONED in ran:
            left.append(_unreasoned(suppression))
        elif (
            suppression not in used
            and UNUSED in ran
            and (current(suppression.rule) in ran or current(suppression.rule) not in known)
        ):
            left.append(_unused(suppression, known))
    return left, count


def _unused(suppression: Suppression, known: set[str]) -> Finding:
    if suppression.rule in known:
        message = f"nothing of {suppression.rule} is found here any more"
        fix = "take the suppression away"
    elif suppression.rule in RETIRED:
        message = farewell(suppression.rule)
        fix = "take the suppression away: nothing is found here"
    else:
        near = closest(suppression.rule, known)
        message = f"no rule has the name {suppression.rule!r}"
        fix = f"write {near}" if near else "take it away; `preflight rules` lists them all"
    return _finding(UNUSED, suppression, message, fix)


def _unreasoned(suppression: Suppression) -> Finding:
    return _finding(
        UNREASONED,
        suppression,
        f"{suppression.rule} is ignored without a reason, so it is not ignored",
        "write the reason after the bracket, or as the annotation's value",
    )


def _finding(rule: str, suppression: Suppression, message: str, fix: str) -> Finding:
    return Finding(
        rule=rule,
        severity="warning",
        object=suppression.object or suppression.place.file,
        container=UNSET,
        field=f"metadata.annotations[{ANNOTATION}{suppression.rule}]" if suppression.object else "",
        file=suppression.place.file,
        line=suppression.place.line,
        message=message,
        outcome="applies nothing",
        fix=fix,
    )
