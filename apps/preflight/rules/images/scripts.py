"""The entrypoint script of an image, as the repository holds it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from preflight.facts.images import ContainerImage, container_images
from preflight.findings import Place
from preflight.model import Model
from preflight.repository.build_context import locate
from preflight.rules.registry import Violation, at, rule


def _scripts(model: Model) -> Iterator[tuple[ContainerImage, str]]:
    """Containers that start a copied file of the repository, with its path there; each file once."""
    said = set()
    for image in container_images(model).values():
        first = image.start.words[0] if image.start.words else ""
        if "/" not in first:
            continue
        path = first if first.startswith("/") else posixpath.normpath(f"{image.workdir}/{first}")
        source = locate(image.dockerfile, image.stage, path, image.root)
        if source is not None and source not in said and (image.root / source).is_file():
            said.add(source)
            yield image, source


@rule("script-not-executable", family="images", severity="error", outcome="RunContainerError")
def script_not_executable(model: Model) -> Iterator[Violation]:
    """An entrypoint script without the permission to be executed.

    COPY keeps a file's mode. Without its x bits, a `chmod` in the Dockerfile or `COPY --chmod`, the container
    does not start: `permission denied`.

        COPY docker/start.sh /start.sh         # COPY --chmod=755, or git update-index --chmod=+x
        ENTRYPOINT ["/start.sh"]
    """
    for image, source in _scripts(model):
        file = image.root / source
        name = posixpath.basename(source)
        changed = any("chmod" in run.text and (name in run.text or "-R" in run.text) for run in image.runs)
        flagged = any(
            copy.instruction.flag("chmod") for copy in image.stage.copies if name in copy.instruction.text
        )
        if os.name == "posix" and not file.stat().st_mode & 0o111 and not changed and not flagged:
            copied = next(
                (c.line for c in image.stage.copies if name in c.instruction.text), image.stage.line
            )
            yield at(
                image.container,
                "image",
                message=f"{source} is started and may not be executed",
                fix=f"git update-index --chmod=+x {source}, or COPY --chmod=755",
                place=image.place(copied),
            )


@rule("script-with-windows-lines", family="images", severity="error", outcome="RunContainerError")
def script_with_windows_lines(model: Model) -> Iterator[Violation]:
    """An entrypoint script whose lines end as on Windows.

    The kernel looks for an interpreter with the carriage return in its name: `exec /start.sh: no such file or
    directory`, though the file is there.

        *.sh text eol=lf               # in .gitattributes
    """
    for image, source in _scripts(model):
        head = (image.root / source).read_bytes()[:200]
        first = head.partition(b"\n")[0]
        cured = any("dos2unix" in run.text or "\\r" in run.text for run in image.runs)
        if first.startswith(b"#!") and first.endswith(b"\r") and not cured:
            yield at(
                image.container,
                "image",
                message=f"{source} is started, and its first line ends with a carriage return",
                fix="keep its lines with LF: say eol=lf in .gitattributes",
                place=Place(source, 1),
            )
