"""Words that several formats say."""

from __future__ import annotations

from collections import Counter

from msgspec import UNSET

from preflight.findings import Finding
from preflight.reporting.report import Report


def subject(finding: Finding) -> str:
    """The object, the container where one is meant, and how many other places there are."""
    first = finding.object
    if finding.container is not UNSET:
        first += f", container {finding.container}"
    return first if finding.count == 1 else f"{first} and {number(finding.count - 1, 'other place')}"


MANY = 10
"""Findings from which on it helps to see them by rule."""


def by_rule(report: Report) -> list[str]:
    """Where there are many findings: how many each rule has, most first, errors before warnings."""
    counts = Counter((finding.severity, finding.rule) for finding in report.findings)
    if len(report.findings) < MANY:
        return []
    width = len(str(max(counts.values())))
    return [
        f"{str(count).rjust(width)} {severity}[{rule}]"
        for (severity, rule), count in sorted(
            counts.items(), key=lambda each: (each[0][0], -each[1], each[0])
        )
    ]


def number(count: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def total(report: Report) -> str:
    """The last line: what was found, or that nothing was, and how much was looked at."""
    looked = f"{number(report.objects, 'object')}, {number(report.rules, 'rule')}"
    silent = [
        said
        for count, said in (
            (report.suppressed, f"{report.suppressed} suppressed"),
            (report.baselined, f"{report.baselined} in the baseline"),
            (report.unshown, f"{number(report.unshown, 'warning')} not shown"),
        )
        if count
    ]
    more = f" ({'; '.join([looked, *silent])})"
    if not report.errors and not report.warnings:
        return "Nothing found" + more
    counts = [(report.errors, "error"), (report.warnings, "warning")]
    return "Found " + " and ".join(number(count, noun) for count, noun in counts if count) + more
