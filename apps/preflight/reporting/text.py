"""The terminal: one line a finding, the source line with a caret, what the pod would do, and the fix."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from preflight.findings import Finding
from preflight.reporting.excerpts import Sources
from preflight.reporting.report import Report
from preflight.reporting.summary import by_rule, subject, total

RED, YELLOW, GREEN, BLUE, CYAN, BOLD, DIM = "1;31", "1;33", "1;32", "1;34", "36", "1", "2"

Paint = Callable[[str, str], str]


def text(report: Report, colour: bool | None = None) -> str:
    """The report for people: each finding, how many each rule has where there are many, the total.

    `colour` None: as the terminal and NO_COLOR have it.
    """
    paint: Paint = _coloured if (wants_colour() if colour is None else colour) else _plain
    sources = Sources(report.root, report.mask)
    width = max((len(str(finding.line)) for finding in report.findings), default=1)
    blocks = [
        _block(finding, sources, width, paint, _shown(report.root, finding.file))
        for finding in report.findings
    ]
    last = paint(total(report), (RED if report.errors else YELLOW) if report.findings else GREEN)
    notes = [paint("note: ", BLUE) + note for note in report.notes]
    return "\n\n".join([*blocks, "\n".join([*by_rule(report), *notes, last])]) + "\n"


def wants_colour() -> bool:
    """Whether standard output is a terminal that shows colours; NO_COLOR and FORCE_COLOR overrule."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _shown(root: Path, file: str) -> str:
    """The file as it is named from here, so that a terminal can open it."""
    if file == "-":
        return file
    inside = Path.cwd().is_relative_to(root.resolve())
    short = os.path.relpath(root / file)
    return short if inside or not short.startswith("..") else str(root / file)


def _block(finding: Finding, sources: Sources, width: int, paint: Paint, file: str) -> str:
    strong = RED if finding.severity == "error" else YELLOW
    excerpt = sources.excerpt(finding)
    place = f"{file}:{finding.line}" + (f":{excerpt.start + 1}" if excerpt else "")
    head = (
        f"{paint(place, BOLD)}: {paint(f'{finding.severity}[{finding.rule}]', strong)} "
        f"{paint(finding.message, BOLD)}"
    )
    bar, gap = paint("|", BLUE), " " * width
    says = f"{paint(finding.outcome, strong)}{paint(':', DIM)} {subject(finding)}"
    lines = [head]
    if excerpt is None:
        lines.append(f" {gap} {paint('=', BLUE)} {says}")
    else:
        under = " " * excerpt.start + paint("^" * (excerpt.end - excerpt.start), strong)
        lines.append(f" {gap} {bar}" + (f" {paint(excerpt.before, DIM)}" if excerpt.before else ""))
        lines.append(f" {paint(str(finding.line).rjust(width), BLUE)} {bar} {excerpt.text}")
        lines.append(f" {gap} {bar} {under} {says}")
    lines.append(f" {gap} {paint('=', BLUE)} {paint('fix:', CYAN)} {finding.fix}")
    return "\n".join(lines)


def _coloured(words: str, code: str) -> str:
    return f"\x1b[{code}m{words}\x1b[0m"


def _plain(words: str, code: str) -> str:
    return words
