"""What is wrong with the suppressions themselves. They are read with the findings, in
`preflight.reporting.suppressions`: only what was found shows which of them are of use."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.model import Model
from preflight.rules.registry import Violation, rule


@rule("suppression-unused", family="suppressions", severity="warning", outcome="applies nothing")
def suppression_unused(model: Model) -> Iterator[Violation]:
    """A suppression that suppresses nothing.

    What it was written for has been mended or has moved, or the rule's name is misspelt. Left behind, it
    would silence the next fault on its line, which nobody has looked at.

        image: shop:1.4.2   # preflight: ignore[image-not-pinned] only for the demonstration
    """
    yield from ()


@rule("suppression-without-reason", family="suppressions", severity="warning", outcome="applies nothing")
def suppression_without_reason(model: Model) -> Iterator[Violation]:
    """A suppression that does not say why.

    It silences nothing until it does: whoever reads the manifest next must be able to tell whether it still
    holds.

        image: shop:latest  # preflight: ignore[image-not-pinned]
    """
    yield from ()
