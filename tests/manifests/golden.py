"""Writes the committed render of every overlay anew: `uv run python tests/manifests/golden.py`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import tools
from manifests.overlays import OVERLAYS, render


def path(overlay: str) -> Path:
    """Where the overlay's committed render is."""
    return Path(__file__).parent / "golden" / f"{overlay}.yaml"


def rendered(kustomize: Path, overlay: str) -> str:
    """The render, without the worker image's tag and digest: they change with every change of the app."""
    return re.sub(r"(vhm-worker):\S+", r"\1:TAG", render(kustomize, overlay))


if __name__ == "__main__":
    for overlay in OVERLAYS:
        path(overlay).parent.mkdir(exist_ok=True)
        path(overlay).write_text(rendered(tools.binary("kustomize"), overlay))
        print(path(overlay))
