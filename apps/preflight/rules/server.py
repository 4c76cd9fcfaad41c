"""What the API server itself refuses; `preflight.run` asks it where a cluster is named."""

from __future__ import annotations

from preflight.rules.registry import declare

declare(
    "refused-by-server",
    family="server",
    severity="error",
    outcome="rejected by the API server",
    module=__name__,
    doc="""An object that the API server of the named cluster does not take.

    Asked by `kubectl apply --dry-run=server`, so that admission of that cluster counts as well, and what
    cannot be changed on objects that are there. The values of Secrets are replaced before they leave. What
    another rule says of the same field is not said again.

        preflight check --server --context staging overlays/staging
    """,
)
