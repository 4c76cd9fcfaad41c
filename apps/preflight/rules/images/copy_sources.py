"""Whether the Dockerfile can make the image at all: what it copies is there."""

from __future__ import annotations

import posixpath
import subprocess
from collections.abc import Iterator
from pathlib import Path

from preflight.facts.images import ContainerImage, container_images
from preflight.model import Model
from preflight.repository.build_context import MAGIC
from preflight.repository.dockerfile import Copy
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near


@rule("copy-source-missing", family="images", severity="error", outcome="ErrImagePull")
def copy_source_missing(model: Model) -> Iterator[Violation]:
    """A `COPY` of something that is not in the repository, or that .dockerignore keeps from the builder.

    The build ends there, so the image is never made and no node can pull it. What git ignores is taken to be
    made before the build; the context is the repository's root, or the Dockerfile's own folder.

        COPY requirments.txt .         # requirements.txt
    """
    for image in container_images(model).values():
        for copy in (each for stage in image.dockerfile.stages for each in stage.copies):
            for source in copy.sources:
                problem, fix = _problem(image, copy, source)
                if problem:
                    yield at(
                        image.container.field("image"),
                        message=f"COPY {source}: {problem}",
                        fix=fix,
                        place=image.place(copy.instruction.line_of(source)),
                    )
                    break


def _problem(image: ContainerImage, copy: Copy, source: str) -> tuple[str, str]:
    if copy.source_stage is not None:
        return _stage_problem(image, copy.source_stage)
    given = source.strip("/")
    if not given or "$" in copy.instruction.text or "://" in source or ".." in given.split("/"):
        return "", ""
    if source.startswith("git@") or copy.instruction.heredocs:
        return "", ""
    contexts = [image.root, (image.root / image.file).parent]
    path = posixpath.normpath(given)
    there = [folder for folder in contexts if _exists(folder, path)]
    if not there:
        if _is_generated(image.root, path):
            return "", ""
        folder = image.root / posixpath.dirname(path)
        others = [each.name for each in folder.iterdir()] if folder.is_dir() else []
        meant = near(posixpath.basename(path), others)
        return "it is not there" + (f"; did you mean {meant}?" if meant else ""), (
            f"write {posixpath.join(posixpath.dirname(path), meant)}" if meant else "name what is there"
        )
    ignore = image.ignore
    kept = (image.root / path).is_dir() and ignore.leaves_some_of(path)
    if path != "." and image.root in there and not MAGIC.search(path) and ignore.ignores(path) and not kept:
        return ".dockerignore keeps it from the builder", f"write !{path} into .dockerignore"
    return "", ""


def _stage_problem(image: ContainerImage, name: str) -> tuple[str, str]:
    names = [stage.name for stage in image.dockerfile.stages if stage.name]
    meant = None if image.dockerfile.stage(name) is not None else near(name, names)
    if meant is None:
        return "", ""
    return f"there is no stage {name}; did you mean {meant}?", f"write --from={meant}"


def _exists(folder: Path, path: str) -> bool:
    if MAGIC.search(path):
        return any(True for _ in folder.glob(path))
    return (folder / path).exists()


def _is_generated(root: Path, path: str) -> bool:
    """Whether git is told to ignore it: then something makes it."""
    try:
        # git found on PATH, asked about a path of the repository
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(root), "check-ignore", "--quiet", "--no-index", "--", path],  # noqa: S607
            capture_output=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
