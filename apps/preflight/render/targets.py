"""What a folder means as a target: its kustomization, the roots below it, or the manifests it holds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from preflight.render.checkout import BUNDLE_BYTES, Checkout
from preflight.render.files import KUSTOMIZATION_NAMES, kustomization_file


def expand(targets: Iterable[str], checkout: Checkout) -> list[str]:
    """Each target, a folder without a kustomization replaced by what is applied of it.

    That is the kustomizations below it that no other one includes (never a Component), and the folders of
    manifests that none includes. Where there is neither the folder stays as it is.
    """
    found: dict[str, None] = {}
    for target in targets:
        folder = Path(target).resolve()
        if target == "-" or not folder.is_dir() or kustomization_file(folder) is not None:
            found[target] = None
            continue
        below = sorted({*checkout.roots(folder), *_loose(checkout, folder)})
        for each in below or [folder]:
            found[os.path.normpath(Path(target) / os.path.relpath(each, folder))] = None
    return list(found)


def _loose(checkout: Checkout, folder: Path) -> Iterator[Path]:
    """The folders of manifests that belong to no kustomization."""
    taken = checkout.kustomizations.keys()
    for path in checkout.files:
        if not path.is_relative_to(folder) or path.name in KUSTOMIZATION_NAMES or checkout.is_included(path):
            continue
        if not any(each in taken for each in path.parents) and _holds_objects(checkout, path):
            yield path.parent


def _holds_objects(checkout: Checkout, path: Path) -> bool:
    if path.name.startswith(".") or b"apiVersion" not in (data := checkout.files[path]):
        return False
    if len(data) > BUNDLE_BYTES and all(field.search(data) for field in OF_OBJECTS):
        return True
    return any(
        each.text("apiVersion") and each.get("metadata") is not None for each in checkout.objects(path)
    )


OF_OBJECTS = tuple(re.compile(rb"(?m)^%s:" % name) for name in (b"apiVersion", b"kind", b"metadata"))
"""What stands at the margin of a manifest in block style: a large one need not be read to know."""
