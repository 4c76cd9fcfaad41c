"""Containers whose Dockerfile the repository names: the image's last stage, and the command it starts."""

from __future__ import annotations

import posixpath
import re
import shlex
from functools import cached_property, lru_cache
from pathlib import Path

import msgspec

from preflight.cluster.environment import expand
from preflight.cluster.objects import Field
from preflight.cluster.workloads import Container
from preflight.findings import CheckError, Place
from preflight.model import Model, fact
from preflight.repository.app import AppKnowledge
from preflight.repository.build_context import Ignore, ignored, locate
from preflight.repository.dockerfile import Dockerfile, Run, Stage, parse
from preflight.repository.installed_packages import feeding
from preflight.repository.missing_packages import scripts

WRAPPERS = ("tini", "dumb-init", "catatonit", "exec", "env", "nice", "setpriv", "gosu", "su-exec")
SHELLS = ("sh", "bash", "ash", "dash")
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\\\": "\\", '\\"': '"', "\\'": "'", "%%": "%"}


class Start(msgspec.Struct, frozen=True):
    """What a container runs: the words, `$(NAME)` expanded, wrappers such as tini left out."""

    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """The name of what is run, without its folder."""
        return posixpath.basename(self.words[0]) if self.words else ""

    @property
    def script(self) -> str | None:
        """The text a shell is given with -c; None where no shell is."""
        if self.program not in SHELLS:
            return None
        for index, word in enumerate(self.words[1:], 1):
            if re.fullmatch(r"-[a-z]*c[a-z]*", word):
                return self.words[index + 1] if index + 1 < len(self.words) else None
        return None


class ContainerImage:
    """A container, and the image its Dockerfile makes."""

    def __init__(self, model: Model, container: Container, app: AppKnowledge, file: str) -> None:
        self.root = model.root
        self.container = container
        self.app = app
        self.file = file
        self.dockerfile, self.stage = _read(model.root, file)

    @cached_property
    def start(self) -> Start:
        """What the container runs, the image's ENTRYPOINT and CMD taken where the manifest gives none."""
        return start_of(self.container, self.stage)

    @cached_property
    def console_scripts(self) -> dict[str, str]:
        """`[project.scripts]` of the repository: program → `module:function`."""
        return scripts(self.root)

    @property
    def workdir(self) -> str:
        """The folder it starts in."""
        given = self.container.get("workingDir")
        return given if isinstance(given, str) and given else self.stage.workdir.value

    @cached_property
    def ignore(self) -> Ignore:
        """What of the build context never reaches the builder."""
        return ignored(self.file, self.root)

    @cached_property
    def runs(self) -> list[Run]:
        """The RUN instructions of the stages that reach the image."""
        return [run for stage in feeding(self.dockerfile, self.stage) for run in stage.runs]

    def variable(self, name: str) -> str:
        """A variable's value as the container starts: the manifest's, else the image's, else empty."""
        offered = self.container.env.get(name)
        if offered is not None and offered.value is not None:
            return offered.value
        given = self.stage.env.get(name)
        return given.value if given is not None else ""

    def place(self, line: int) -> Place:
        """A line of its Dockerfile."""
        return Place(self.file, line)

    def text_of(self, path: str) -> tuple[str, Place] | None:
        """What a file in the image holds and where that is written: a copied file of the repository, a
        heredoc, or what a RUN prints into it; None where that cannot be told."""
        for stage in feeding(self.dockerfile, self.stage):
            for copy in stage.copies:
                if copy.instruction.heredocs and posixpath.normpath(copy.target) == path:
                    return copy.instruction.heredocs[0] + "\n", self.place(copy.line)
            for run in stage.runs:
                printed = _printed(run.text, path)
                if printed is not None:
                    return printed, self.place(run.instruction.line_of(path))
        source = locate(self.dockerfile, self.stage, path, self.root)
        file = self.root / source if source is not None else None
        if source is None or file is None or not file.is_file() or file.stat().st_size > 100_000:
            return None
        return file.read_bytes().decode("utf-8", "replace"), Place(source, 1)


def start_of(container: Container, stage: Stage | None = None) -> Start:
    """What a container runs; without its image's last stage, what the manifest alone says."""
    values = {name: each.value for name, each in container.env.items()}
    command = [expand(word, values)[0] or word for word in container.command]
    args = [expand(word, values)[0] or word for word in container.args]
    if not command and stage is not None:
        entry, default = stage.entrypoint, stage.cmd
        if entry is not None:
            command = ["/bin/sh", "-c", *entry.words] if entry.shell else list(entry.words)
            args = [] if entry.shell else args
        if not args and default is not None and not (entry is not None and entry.shell):
            args = ["/bin/sh", "-c", *default.words] if default.shell else list(default.words)
    words = [*command, *args]
    while words and posixpath.basename(words[0]) in WRAPPERS:
        words = words[1:]
        while words and (words[0].startswith("-") or re.match(r"[A-Za-z_]\w*=", words[0])):
            words = words[1:]
    return Start(tuple(words))


def command_fields(container: Container) -> list[Field]:
    """The words of `command` and `args`, each with its place."""
    return [*container.fields("command.*"), *container.fields("args.*")]


@fact
def container_images(model: Model) -> dict[Container, ContainerImage]:
    """That of each container of the render whose Dockerfile is named. Raises `CheckError` where the file is
    not there."""
    found = {}
    for container in model.containers:
        app = model.app(container)
        if app is not None and app.config.dockerfile is not None:
            found[container] = ContainerImage(model, container, app, app.config.dockerfile)
    return found


def _read(root: Path, file: str) -> tuple[Dockerfile, Stage]:
    try:
        text = (root / file).read_text("utf-8", "replace")
    except OSError as error:
        raise CheckError(
            f'pyproject.toml: [tool.preflight.containers] dockerfile = "{file}": {error.strerror}'
        ) from None
    dockerfile = _parsed(text)
    if dockerfile.final is None:
        raise CheckError(f"{file}: a Dockerfile has a FROM, this one has none")
    return dockerfile, dockerfile.final


@lru_cache(maxsize=64)
def _parsed(text: str) -> Dockerfile:
    return parse(text)


def _printed(text: str, path: str) -> str | None:
    """What printf, echo or cat with a heredoc in a RUN write to `path`."""
    if path not in text:
        return None
    heredoc = re.search(rf"<<-?\s*[\"']?(\w+)[\"']?\s*>\s*{re.escape(path)}\s*\n(.*)", text, re.DOTALL)
    heredoc = heredoc or re.search(rf">\s*{re.escape(path)}\s*<<-?\s*[\"']?(\w+)[\"']?\s*\n(.*)", text, re.S)
    if heredoc is not None:
        return heredoc[2]
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    end = next((i for i, word in enumerate(words) if word.rstrip(";") in (path, f">{path}")), None)
    if end is None:
        return None
    until = end if words[end].startswith(">") else end - 1
    before = [i for i, word in enumerate(words[:until]) if word in ("printf", "echo")]
    if not before or (until == end - 1 and words[until] != ">"):
        return None
    arguments = words[before[-1] + 1 : until]
    if words[before[-1]] == "echo":
        told = " ".join(word for word in arguments if word not in ("-e", "-n"))
        # whether echo reads escapes without -e depends on the image's shell
        return None if "\\" in told and "-e" not in arguments else _escaped(told) + "\n"
    pieces = iter(arguments[1:])
    return re.sub(r"%s", lambda _: next(pieces, ""), _escaped(arguments[0])) if arguments else None


def _escaped(text: str) -> str:
    return re.sub(r"\\.|%%", lambda match: _ESCAPES.get(match[0], match[0]), text)
