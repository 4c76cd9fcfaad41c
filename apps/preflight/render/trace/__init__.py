"""The kustomization tree read by its own rules, so that each value's last writer is known.

`Tree.edits` tells what each `images`, `patches`, `replacements`, generator entry matched, so that entries
without effect are found without rendering again.
"""

from preflight.render.trace.edits import Edit, Missed, Tree
from preflight.render.trace.tree import Built, build

__all__ = ["Built", "Edit", "Missed", "Tree", "build"]
