"""Rules that are gone: their names stay valid, and say what reports the fault now."""

from __future__ import annotations

SERVER = "the API server (`preflight check --server`)"
NOBODY = "nothing: it was advice"

RETIRED: dict[str, str] = {
    "service-link-stops-broker": "service-link-stops-image",
}
"""The name that was → the rule that reports it now, or who does otherwise."""
