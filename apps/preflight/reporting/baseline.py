"""Findings a repository has accepted for now, so that only new ones fail: `--baseline FILE`.

The file is a JSON list, sorted, one finding an entry, without lines: a finding whose line moved is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from preflight.findings import CheckError, Finding
from preflight.rules.retired import RETIRED, current


class Entry(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """What a finding is known by."""

    file: str
    object: str
    rule: str
    field: str
    container: str = ""
    message: str = ""


def entry(finding: Finding) -> Entry:
    """The finding without its line."""
    return Entry(
        file=finding.file,
        object=finding.object,
        rule=finding.rule,
        field=finding.field,
        container=finding.container or "",
        message=finding.message,
    )


def write(findings: Iterable[Finding]) -> bytes:
    """The content of a baseline that holds these findings."""
    entries = sorted(entry(finding) for finding in findings)
    return msgspec.json.format(msgspec.json.encode(entries), indent=2) + b"\n"


def read(path: Path) -> Counter[Entry]:
    """What a baseline holds; a rule that is gone by the name of the one that reports its fault now, whose
    message is another. Raises CheckError with one line when it cannot be read."""
    try:
        return Counter(map(_renamed, msgspec.json.decode(path.read_bytes(), type=list[Entry])))
    except OSError as error:
        raise CheckError(f"{path}: {error.strerror}; --write-baseline makes one") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CheckError(f"{path}: not a baseline: {error}; --write-baseline makes one") from None


def _renamed(entry: Entry) -> Entry:
    if entry.rule not in RETIRED:
        return entry
    return msgspec.structs.replace(entry, rule=current(entry.rule), message="")


def subtract(findings: Iterable[Finding], held: Counter[Entry]) -> tuple[list[Finding], int]:
    """The findings the baseline does not hold, and how many of its entries were not met again."""
    left = Counter(held)
    new: list[Finding] = []
    for finding in findings:
        exact = entry(finding)
        held_as = [key for key in (exact, msgspec.structs.replace(exact, message="")) if left[key] > 0]
        if held_as:
            left[held_as[0]] -= 1
        else:
            new.append(finding)
    return new, sum(left.values())
