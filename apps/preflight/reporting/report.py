"""What one run found, as the formats and the exit code need it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from preflight.findings import Finding
from preflight.reporting.mask import Mask


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `findings` are what is left to be said, errors first, then by file and line."""

    root: Path
    """The repository the findings' files are relative to."""
    targets: tuple[str, ...]
    failures: tuple[str, ...] = ()
    """Why a target could not be looked at, one line each."""
    findings: tuple[Finding, ...]
    objects: int = 0
    """Kubernetes objects looked at."""
    rules: int = 0
    """Rules applied."""
    suppressed: int = 0
    """Findings that a comment or an annotation silenced."""
    baselined: int = 0
    """Findings that the baseline holds."""
    unshown: int = 0
    """Warnings that `--errors-only` leaves out of `findings`."""
    mask: Mask = msgspec.field(default_factory=Mask)
    """What keeps the values of Secrets out of the lines of source that are shown."""
    notes: tuple[str, ...] = ()
    """What else a person should know, one line each."""

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(1 for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return len(self.findings) - self.errors + self.unshown

    @property
    def crashed(self) -> bool:
        """Whether a rule failed, so that not all was looked for."""
        return any(finding.rule == "rule-crashed" for finding in self.findings)

    def errors_only(self) -> Report:
        """The same without its warnings, which are only counted."""
        errors = tuple(finding for finding in self.findings if finding.severity == "error")
        return msgspec.structs.replace(self, findings=errors, unshown=len(self.findings) - len(errors))
