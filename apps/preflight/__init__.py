"""What would go wrong when manifests are applied, said before they are and at the line to edit.

`check(target)` is the library's face; the command line is `preflight`. Rules live one family a file in
`preflight.rules`, each a short generator over the `preflight.model.Model`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from preflight.findings import CheckError, Finding, Place

if TYPE_CHECKING:
    from preflight.run import Options

__all__ = ["CheckError", "Finding", "Place", "check"]


def check(path: str | Path, options: Options | None = None) -> list[Finding]:
    """The findings on a kustomization, a rendered file or a folder of manifests, by file and line.

    Raises `CheckError` with one line when it could not look. `options` are `preflight.run.Options`.
    """
    # a model and all its rules are worth importing only when something is checked
    from preflight.run import run

    return list(run([str(path)], options).findings)
