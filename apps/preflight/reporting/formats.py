"""How a report is written: for people, for programs, for code scanning, for a pull request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from preflight.reporting.github import github
from preflight.reporting.report import Report
from preflight.reporting.sarif import sarif
from preflight.reporting.text import text

Format = Literal["text", "json", "sarif", "github"]


def json(report: Report) -> str:
    """A JSON list of the findings; see `preflight.findings.Finding`."""
    return msgspec.json.format(msgspec.json.encode(report.findings), indent=2).decode() + "\n"


WRITERS: dict[Format, Callable[[Report], str]] = {
    "text": text,
    "json": json,
    "sarif": sarif,
    "github": github,
}
