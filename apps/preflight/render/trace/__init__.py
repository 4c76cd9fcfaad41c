"""The kustomization tree read by its own rules, so that each value's last writer is known.

`Tree.edits` tells what each `images`, `patches`, `replacements`, generator entry matched, so that entries
without effect are found without rendering again.
"""

from preflight.kustomization.build import Built, build
from preflight.kustomization.records import Edit, Missed, Tree

__all__ = ["Built", "Edit", "Missed", "Tree", "build"]
