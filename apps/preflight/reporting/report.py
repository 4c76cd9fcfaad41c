"""What one run found, as the formats and the exit code need it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from preflight.findings import Finding


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `findings` are what is left to be said, sorted by file and line."""

    root: Path
    """The repository the findings' files are relative to."""
    targets: tuple[str, ...]
    findings: tuple[Finding, ...]
    objects: int = 0
    """Kubernetes objects looked at."""
    rules: int = 0
    """Rules applied."""
    suppressed: int = 0
    """Findings that a comment or an annotation silenced."""
    baselined: int = 0
    """Findings that the baseline holds."""
    notes: tuple[str, ...] = ()
    """What else a person should know, one line each."""

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(1 for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return len(self.findings) - self.errors
