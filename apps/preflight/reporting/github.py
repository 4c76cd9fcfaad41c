"""Workflow commands that GitHub shows beside the changed lines."""

from __future__ import annotations

from preflight.findings import Finding
from preflight.reporting.report import Report
from preflight.reporting.summary import subject, total


def github(report: Report) -> str:
    """One annotation a finding, and the total in the log. GitHub shows ten errors and ten warnings a step;
    the rest stays in the log."""
    lines = [_annotation(finding) for finding in report.findings]
    return "\n".join([*lines, total(report)]) + "\n"


def _annotation(finding: Finding) -> str:
    where = f"file={_property(finding.file)},line={finding.line}," if finding.file != "-" else ""
    body = f"{finding.message} → {finding.outcome} ({subject(finding)})\nfix: {finding.fix}"
    return f"::{finding.severity} {where}title={_property(finding.rule)}::{_data(body)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
