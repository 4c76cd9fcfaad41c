"""A repository's declaration of its metrics → the names a scrape would show."""

from __future__ import annotations

from typing import Any

SUFFIXES = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "summary": ("", "_sum", "_count", "_created"),
    "info": ("_info",),
}
"""What the type of a metric adds to its name."""


def names(declared: Any) -> list[str]:
    """The series of a registry of prometheus_client, of what holds one as `registry`, or of a function
    without arguments that returns either. Raises TypeError for anything else."""
    registry = declared() if callable(declared) and not hasattr(declared, "collect") else declared
    registry = getattr(registry, "registry", registry)
    if not hasattr(registry, "collect"):
        raise TypeError("metrics are a registry of prometheus_client, got " + type(declared).__name__)
    found = set()
    for family in registry.collect():
        found |= {family.name + suffix for suffix in SUFFIXES.get(family.type, ("",))}
        found |= {sample.name for sample in family.samples}
    return sorted(found)
