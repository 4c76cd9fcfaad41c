"""The render of each overlay is committed, so that a change of it is seen in review.

uv run python tests/manifests/golden.py     writes the files anew
"""

from __future__ import annotations

from pathlib import Path

from manifests import golden


def test_the_render_is_the_committed_one(overlay: str, kustomize: Path) -> None:
    assert golden.path(overlay).read_text() == golden.rendered(kustomize, overlay), (
        "look at the difference; if it is meant: uv run python tests/manifests/golden.py"
    )
