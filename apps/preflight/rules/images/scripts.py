"""Scripts that a container starts: of the repository, in the image or mounted."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Obj
from preflight.cluster.workloads import Container
from preflight.documents.paths import dig, list_at
from preflight.facts.images import SHELLS, ContainerImage, command_fields, container_images
from preflight.facts.mounts import below, mounts, volume_files
from preflight.facts.servers import command_words, server_commands
from preflight.facts.settings import Written
from preflight.findings import Place
from preflight.model import Model
from preflight.repository.build_context import locate
from preflight.rules.images.commands import lines
from preflight.rules.images.python_code import OPAQUE
from preflight.rules.registry import Violation, at, rule


def _scripts(model: Model) -> Iterator[tuple[ContainerImage, str]]:
    """Containers that start a copied file of the repository, with its path there."""
    for image in container_images(model).values():
        first = image.start.words[0] if image.start.words else ""
        if "/" not in first:
            continue
        path = first if first.startswith("/") else posixpath.normpath(f"{image.workdir}/{first}")
        source = locate(image.dockerfile, image.stage, path, image.root)
        if source is not None and (image.root / source).is_file():
            yield image, source


@rule("script-not-executable", family="images", severity="error", outcome="RunContainerError")
def script_not_executable(model: Model) -> Iterator[Violation]:
    """A script that is started by its path without the permission to be executed.

    COPY keeps a file's mode: without its x bits, a `chmod` in the Dockerfile or `COPY --chmod`, the container
    does not start: `permission denied`. Files of ConfigMaps and Secrets are mounted with mode 0644 unless the
    volume or its item says otherwise. A shell reads such a file all the same (`sh /scripts/start.sh`).

        COPY docker/start.sh /start.sh         # COPY --chmod=755, or git update-index --chmod=+x
        ENTRYPOINT ["/start.sh"]
    """
    yield from _mounted(model)
    for image, source in _scripts(model):
        file = image.root / source
        name = posixpath.basename(source)
        changed = any("chmod" in run.text and (name in run.text or "-R" in run.text) for run in image.runs)
        copies = [copy for copy in image.stage.copies if name in copy.instruction.text]
        flagged = any(copy.instruction.flag("chmod") for copy in copies)
        if os.name == "posix" and not file.stat().st_mode & 0o111 and not changed and not flagged:
            yield at(
                image.container.field("image"),
                message=f"{source} is started and may not be executed",
                fix=f"git update-index --chmod=+x {source}, or COPY --chmod=755",
                place=image.place(copies[0].line if copies else image.stage.line),
            )


@rule("script-with-windows-lines", family="images", severity="error", outcome="RunContainerError")
def script_with_windows_lines(model: Model) -> Iterator[Violation]:
    """A script that is started, of the image or a ConfigMap, whose lines end as on Windows.

    The kernel looks for an interpreter with the carriage return in its name: `exec /start.sh: no such file or
    directory`, though the file is there.

        *.sh text eol=lf               # in .gitattributes
    """
    for container in model.containers:
        for line in lines(container):
            source, key = _mounted_at(model, container, posixpath.normpath(line.words[0])) or (None, "")
            first = ((data_of(source).get(key) or "") if source is not None else "").partition("\n")[0]
            if source is not None and first.startswith("#!") and first.endswith("\r"):
                yield at(
                    source.field("data", key),
                    message=f"{line.words[0]} is started, and its first line ends with a carriage return",
                    fix="keep its lines with LF: say eol=lf in .gitattributes",
                    outcome="RunContainerError" if line.paths[0][0] == "command" else line.outcome,
                )
    for image, file in _scripts(model):
        line_of_file = (image.root / file).read_bytes()[:200].partition(b"\n")[0]
        cured = any("dos2unix" in run.text or "\\r" in run.text for run in image.runs)
        if line_of_file.startswith(b"#!") and line_of_file.endswith(b"\r") and not cured:
            yield at(
                image.container.field("image"),
                message=f"{file} is started, and its first line ends with a carriage return",
                fix="keep its lines with LF: say eol=lf in .gitattributes",
                place=Place(file, 1),
            )


def _mounted_at(model: Model, container: Container, path: str) -> tuple[Obj, str] | None:
    """The ConfigMap or Secret, and its key, that is mounted as a file."""
    for mount in mounts(container):
        if below(path, mount.folder):
            files, _ = volume_files(model, container.workload, mount.volume)
            return files.get(str(mount.item.get("subPath", posixpath.relpath(path, mount.folder))))
    return None


def _mounted(model: Model) -> Iterator[Violation]:
    for container in model.containers:
        for line in lines(container):
            path, index, own = line.words[0], 0, True
            if posixpath.basename(path) in SHELLS and len(line.words) > 2:
                # a shell that is given nothing but the path of the script
                only = re.fullmatch(r"\s*(?:exec\s+)?(/[\w./-]+)(\s[^;&|\n]*)?\s*", line.words[2])
                is_script = re.fullmatch(r"-[a-z]*c", line.words[1]) and only
                path, index, own = (only[1] if is_script and only else ""), 2, False
            mode = _mode_of(container, path) if path.startswith("/") else None
            if mode is not None and not mode & 0o111:
                runs = own and line.paths[0][0] in ("command", "args")
                yield at(
                    container.field(*line.paths[index]),
                    message=f"{path} is a mounted file with mode {mode:04o}, which may not be executed",
                    fix="say defaultMode: 0755 at the volume, or run it by sh",
                    outcome="RunContainerError" if runs else line.outcome,
                )


def _mode_of(container: Container, path: str) -> int | None:
    """The mode of a file that a ConfigMap or Secret is mounted as; None where it is none."""
    path = posixpath.normpath(path)
    found = [mount for mount in mounts(container) if below(path, mount.folder)]
    mount = max(found, key=lambda each: len(each.folder), default=None)
    for kind in ("configMap", "secret", "projected"):
        volume = mount.volume.get(kind) if mount is not None else None
        if mount is None or not isinstance(volume, dict):
            continue
        name = mount.item.get("subPath") if path == mount.folder else posixpath.relpath(path, mount.folder)
        sources = [
            dig(source, each) for source in list_at(volume, "sources") for each in ("configMap", "secret")
        ]
        items = [item for source in (volume, *sources) for item in list_at(source, "items")]
        own = next((dig(item, "mode") for item in items if dig(item, "path") == name), None)
        mode = own if own is not None else volume.get("defaultMode", 0o644)
        return mode if isinstance(mode, int) else None
    return None


SCRIPT = re.compile(r"[\w./-]+\.(py|sh|js|mjs|cjs|ts|rb|pl|php|jar)")
"""A word that names a file to run."""


@rule("script-not-in-image", family="images", severity="error", outcome="CrashLoopBackOff")
def script_not_in_image(model: Model) -> Iterator[Violation]:
    """A file that the command runs, that the repository has and that no COPY takes into the image.

    `can't open file '/app/manage.py'`: a Dockerfile that copies the package alone leaves out what lies beside
    it. Files on volumes, and those a RUN mentions, are left alone.

        args: [python, manage.py, migrate]     # COPY web ./web
    """
    for container, image in container_images(model).items():
        word = _file_run(command_words(container, image)) or _configuration(model, container)
        path = posixpath.normpath(posixpath.join(image.workdir, word))
        if not word or not below(path, image.workdir):
            continue
        name = posixpath.relpath(path, image.workdir)
        source = locate(image.dockerfile, image.stage, path, image.root)
        texts = [run.text for run in image.runs]
        hidden = any(below(path, mount.folder) for mount in mounts(container))
        unsure = any(OPAQUE.search(text) or posixpath.basename(word) in text for text in texts)
        if hidden or unsure or (source is not None and (image.root / source).exists()):
            continue
        if (image.root / name).is_file():
            entry = image.stage.cmd or image.stage.entrypoint
            place = image.place(entry.line if entry is not None else image.stage.line)
            fields = (field for field in reversed(command_fields(container)) if word in str(field.doc))
            yield at(
                next(fields, Written(container, ("image",), place)),
                message=f"{name} is in the repository, and {image.file} copies it nowhere: the container "
                f"finds no {path}",
                fix=f"COPY {name} into {image.workdir}",
            )


INTERPRETER = re.compile(r"(/\S+/)?(python[\d.]*|node|deno|bun|ruby|perl|php|java|sh|bash|ash|dash)")


def _file_run(words: list[str]) -> str:
    """The file that a command line runs: what an interpreter is given, or a program named by its path."""
    if words and "/" in words[0] and not INTERPRETER.fullmatch(words[0]):
        return words[0]
    for index, word in enumerate(words[1:] if words and INTERPRETER.fullmatch(words[0]) else (), 1):
        if word in ("-m", "-c", "-e"):
            return ""
        if not word.startswith("-") and words[index - 1] not in ("-X", "-W"):
            return word if SCRIPT.fullmatch(word) else ""
    return ""


def _configuration(model: Model, container: Container) -> str:
    """The file of settings that a server's command line names."""
    command = server_commands(model).get(container)
    return (command.option(command.server.config) or "") if command is not None else ""
