"""What `preflight.run` itself finds: what is wrong with the check, and what a cluster refuses."""

from __future__ import annotations

from preflight.findings import Outcome, Severity
from preflight.rules.registry import Rule, declare

ROWS: tuple[tuple[str, str, Severity, Outcome, str], ...] = (
    (
        "suppression-unused",
        "suppressions",
        "warning",
        "applies nothing",
        """A suppression that suppresses nothing.

        What it was written for has been mended or has moved, or the rule's name is misspelt. Left behind, it
        would silence the next fault on its line, which nobody has looked at.

            image: shop:1.4.2   # preflight: ignore[image-not-pinned] only for the demonstration
        """,
    ),
    (
        "suppression-without-reason",
        "suppressions",
        "warning",
        "applies nothing",
        """A suppression that does not say why.

        It silences nothing until it does: whoever reads the manifest next must be able to tell whether it
        still holds.

            image: shop:latest  # preflight: ignore[image-not-pinned]
        """,
    ),
    (
        "rule-crashed",
        "suppressions",
        "error",
        "not checked",
        """A rule that failed on these manifests: what it looks for was not looked for.

        All other rules were applied; the exit code is 2.

            [tool.preflight]
            skip = ["image-not-pinned"]        # until it is mended
        """,
    ),
    (
        "refused-by-server",
        "server",
        "error",
        "rejected by the API server",
        """An object that the API server of the named cluster does not take.

        Asked by `kubectl apply --dry-run=server`, so that admission of that cluster counts as well, and what
        cannot be changed on objects that are there. The values of Secrets are replaced before they leave.
        What another rule says of the same field is not said again.

            preflight check --server --context staging overlays/staging
        """,
    ),
)

for _id, _family, _severity, _outcome, _doc in ROWS:
    declare(Rule(id=_id, family=_family, severity=_severity, outcome=_outcome, doc=_doc, module=__name__))
