"""Which build this is: the image's content tag where one is baked in, else the package's version."""

from __future__ import annotations

import os

from vhm import __version__


def build() -> str:
    """The build id, as it stands in the header `vhm-build` and in /health."""
    return os.environ.get("VHM_BUILD", "").strip() or __version__
