"""Words that several formats say."""

from __future__ import annotations

from msgspec import UNSET

from preflight.findings import Finding
from preflight.reporting.report import Report


def subject(finding: Finding) -> str:
    """The object, and the container where one is meant."""
    if finding.container is UNSET:
        return finding.object
    return f"{finding.object}, container {finding.container}"


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
        )
        if count
    ]
    more = f" ({'; '.join([looked, *silent])})"
    if not report.findings:
        return "Nothing found" + more
    counts = [(report.errors, "error"), (report.warnings, "warning")]
    return "Found " + " and ".join(number(count, noun) for count, noun in counts if count) + more
