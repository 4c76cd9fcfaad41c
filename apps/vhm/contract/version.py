"""The version of vhm, written here and nowhere else, and the build that a process runs."""

from __future__ import annotations

import os

__version__ = "0.1.0"


def build() -> str:
    """The image's content tag where VHM_BUILD names one, else the version.

    It stands in the header `vhm-build`, in /health and in the metric `vhm_build_info`.
    """
    return os.environ.get("VHM_BUILD", "").strip() or __version__
