"""What the code of a container imports, beside what its image installs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from preflight.repository.app import AppKnowledge
from preflight.repository.build_context import python_path
from preflight.repository.config import project_of
from preflight.repository.dockerfile import Dockerfile, Stage
from preflight.repository.installed_packages import declared, feeding, installed
from preflight.repository.probe.distributions import canonical
from preflight.repository.python_imports import Code, Import

BARE = re.compile(r"(^|/)(python|debian|ubuntu|alpine|busybox|uv|scratch)([:@-]|$)")
"""Images that bring no Python distributions of their own."""


class MissingPackage(msgspec.Struct, frozen=True, kw_only=True):
    """An import that fails in the image."""

    needed: Import
    distributions: tuple[str, ...]
    """Which of these would provide it."""


def scripts(root: Path) -> dict[str, str]:
    """The console scripts of the repository's own project: name → `module:function`."""
    project = project_of(root).get("project")
    found = project.get("scripts") if isinstance(project, dict) else None
    return {str(name): str(target) for name, target in found.items()} if isinstance(found, dict) else {}


def code_of(dockerfile: Dockerfile, stage: Stage, root: Path) -> Code:
    """The repository's code with the folders an image's PYTHONPATH adds."""
    return Code(root, python_path(dockerfile, stage, root))


def lacks(
    app: AppKnowledge, dockerfile: Dockerfile, file: str, root: Path, modules: Iterable[str]
) -> Iterator[MissingPackage]:
    """Imports of these modules, not in a `try` for their failure, that the image's distributions do not
    provide. Nothing where the image may hold more than its Dockerfile shows, or where it cannot be told which
    distribution provides a module."""
    stage = dockerfile.final
    if stage is None:
        return
    image = installed(dockerfile, file, root)
    if not image.complete or not image.distributions or not _is_bare(dockerfile, stage):
        return
    reached = code_of(dockerfile, stage, root).reach(modules)
    needed: dict[str, Import] = {}
    for each in sorted((i for i in reached.outside if not i.optional), key=lambda i: i.late):
        needed.setdefault(each.module, each)
    unsure = [name for name in needed if canonical(name) not in image.distributions]
    if not unsure:
        return
    providers = app.providers(unsure)
    have = app.closure(image.distributions)
    project = set(declared(root))
    for name in unsure:
        own = {canonical(name)} & project
        found = tuple(providers.get(name) or sorted(own))
        if found and not have & set(found):
            yield MissingPackage(needed=needed[name], distributions=found)


def _is_bare(dockerfile: Dockerfile, stage: Stage) -> bool:
    names = {each.name.lower() for each in dockerfile.stages if each.name}
    bases = {each.base for each in feeding(dockerfile, stage)}
    return all(base.lower() in names or BARE.search(base) for base in bases)
