"""What is wrong with the check itself; `preflight.run` finds it."""

from __future__ import annotations

from preflight.rules.registry import declare

declare(
    "suppression-unused",
    family="suppressions",
    severity="warning",
    outcome="applies nothing",
    module=__name__,
    doc="""A suppression that suppresses nothing.

    What it was written for has been mended or has moved, or the rule's name is misspelt. Left behind, it
    would silence the next fault on its line, which nobody has looked at.

        image: shop:1.4.2   # preflight: ignore[image-not-pinned] only for the demonstration
    """,
)
declare(
    "suppression-without-reason",
    family="suppressions",
    severity="warning",
    outcome="applies nothing",
    module=__name__,
    doc="""A suppression that does not say why.

    It silences nothing until it does: whoever reads the manifest next must be able to tell whether it still
    holds.

        image: shop:latest  # preflight: ignore[image-not-pinned]
    """,
)
declare(
    "rule-crashed",
    family="suppressions",
    severity="error",
    outcome="not checked",
    module=__name__,
    doc="""A rule that failed on these manifests: what it looks for was not looked for.

    All other rules were applied; the exit code is 2.

        [tool.preflight]
        skip = ["image-not-pinned"]        # until it is mended
    """,
)
