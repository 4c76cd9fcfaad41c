"""A Dockerfile read: stages, and what the image of one has by the time it runs, each with its line.

Follows the Dockerfile reference: parser directives, continuation lines with comments and blanks between,
heredocs, exec and shell forms, variable substitution from ARG and ENV. Nothing is executed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

import msgspec

from preflight.documents.scalars import unquoted
from preflight.repository.dockerfile_syntax import (
    Instruction,
    array,
    assignments,
    read,
    substitute,
    words,
)

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What a builder sets where no image says otherwise."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """An ENTRYPOINT or CMD. Shell form runs as `/bin/sh -c text`."""

    words: tuple[str, ...]
    """Exec form: the array. Shell form: the whole text as one."""
    shell: bool
    line: int


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """One COPY or ADD, variables substituted."""

    sources: tuple[str, ...]
    target: str
    """Absolute: relative ones are below the working directory; kept with a final `/` where written so."""
    source_stage: str | None
    """The stage, image or named context it copies from; None: the build context."""
    instruction: Instruction

    @property
    def line(self) -> int:
        """Where it starts."""
        return self.instruction.line


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One RUN: the shell text, or the exec form's words joined."""

    text: str
    workdir: str
    user: str | None
    instruction: Instruction

    @property
    def line(self) -> int:
        """Where it starts."""
        return self.instruction.line


class Set(msgspec.Struct, frozen=True):
    """A value and the line that set it."""

    value: str
    line: int


class Stage(msgspec.Struct, kw_only=True):
    """What an image built up to here has, what it inherits from earlier stages of the file included."""

    name: str | None
    base: str
    """What FROM names, variables substituted: an image, an earlier stage, or `scratch`."""
    line: int
    platform: str | None = None
    env: dict[str, Set] = {}
    user: Set | None = None
    workdir: Set = Set("/", 0)
    entrypoint: Command | None = None
    cmd: Command | None = None
    volumes: dict[str, int] = {}
    copies: list[Copy] = []
    runs: list[Run] = []


class Dockerfile(msgspec.Struct, frozen=True, kw_only=True):
    """A whole file. `stages` is empty only for a file without FROM."""

    stages: tuple[Stage, ...]

    @property
    def final(self) -> Stage | None:
        """The stage a build without a target ends with."""
        return self.stages[-1] if self.stages else None

    def stage(self, name: str) -> Stage | None:
        """The stage of that name or index."""
        for index, stage in enumerate(self.stages):
            if name.lower() == (stage.name or "").lower() or name == str(index):
                return stage
        return None


def parse(text: str) -> Dockerfile:
    """The Dockerfile of a text. What it does not understand it leaves out; it never raises for content."""
    stages: list[Stage] = []
    outer: dict[str, str | None] = {}
    scope: dict[str, str | None] = {}
    for instruction in read(text):
        if instruction.keyword == "FROM":
            stages.append(_from(instruction, outer, stages))
            scope = {"PATH": PATH, **{name: value.value for name, value in stages[-1].env.items()}}
        elif instruction.keyword == "ARG":
            for name, default in assignments(instruction.text, bare=True):
                value = None if default is None else substitute(default, scope if stages else outer)
                if not stages:
                    outer[name] = value
                elif name not in stages[-1].env:
                    scope[name] = outer.get(name) if value is None else value
        elif stages:
            _apply(instruction, stages[-1], scope)
    return Dockerfile(stages=tuple(stages))


def _from(instruction: Instruction, outer: Mapping[str, str | None], stages: list[Stage]) -> Stage:
    given = instruction.text.split()
    base = substitute(given[0], outer) if given else ""
    name = given[2] if len(given) > 2 and given[1].upper() == "AS" else None
    platform = instruction.flag("platform")
    parent = next((s for s in stages if s.name and s.name.lower() == base.lower()), None)
    stage = Stage(name=name, base=base, line=instruction.line, platform=platform)
    if parent is not None:
        stage.env, stage.volumes = dict(parent.env), dict(parent.volumes)
        stage.user, stage.workdir = parent.user, parent.workdir
        stage.entrypoint, stage.cmd = parent.entrypoint, parent.cmd
        stage.copies, stage.runs = list(parent.copies), list(parent.runs)
    return stage


def _apply(instruction: Instruction, stage: Stage, scope: dict[str, str | None]) -> None:
    text, line = instruction.text, instruction.line

    def put(raw: str) -> str:
        return substitute(raw, scope)

    match instruction.keyword:
        case "ENV":
            for name, raw in assignments(text):
                value = put(raw or "")
                stage.env[name] = Set(value, instruction.line_of(name))
                scope[name] = value
        case "USER":
            stage.user = Set(put(text), line)
        case "WORKDIR":
            stage.workdir = Set(_below(stage.workdir.value, put(unquoted(text))).rstrip("/") or "/", line)
        case "VOLUME":
            for word in array(text) or put(text).split():
                stage.volumes[word] = line
        case "ENTRYPOINT":
            stage.entrypoint, stage.cmd = _command(text, line), None
        case "CMD":
            stage.cmd = _command(text, line)
        case "COPY" | "ADD":
            given = array(text) or words(text)
            if len(given) > 1:
                stage.copies.append(
                    Copy(
                        sources=tuple(put(w) for w in given[:-1] if not w.startswith("<<")),
                        target=_below(stage.workdir.value, put(given[-1])),
                        source_stage=instruction.flag("from"),
                        instruction=instruction,
                    )
                )
        case "RUN":
            script = "\n".join([" ".join(array(text) or [text]), *instruction.heredocs])
            user = stage.user.value if stage.user else None
            stage.runs.append(
                Run(text=script, workdir=stage.workdir.value, user=user, instruction=instruction)
            )


def _command(text: str, line: int) -> Command:
    given = array(text)
    return Command(words=tuple(given or [text]), shell=not given, line=line)


def _below(workdir: str, path: str) -> str:
    """An absolute path, dots resolved, a final slash kept."""
    whole = "/" + posixpath.normpath(posixpath.join("/", workdir, path)).lstrip("/")
    tail = "/" if path.endswith(("/", "/.")) or path == "." else ""
    return whole.rstrip("/") + tail or "/"
