"""Which distributions an image installs: requirement files, pip and uv commands of its Dockerfile."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import msgspec

from preflight.findings import Place
from preflight.repository.build_context import locate
from preflight.repository.config import project_of
from preflight.repository.dockerfile import Dockerfile, Run, Stage
from preflight.repository.probe.distributions import canonical

LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==[0-9]")
SEPARATORS = ("&&", "||", ";", "|", "&")


VALUED = (
    "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-t", "--target", "--prefix", "--python",
    "-p", "--root", "-f", "--find-links", "--platform", "--python-version", "--cache-dir",
    "--build-constraint", "--timeout", "--retries", "--trusted-host",
)  # fmt: skip
"""Options of pip and uv that take the next word."""


class Installed(msgspec.Struct, kw_only=True):
    """What an image has by its Dockerfile."""

    distributions: dict[str, Place] = {}
    """Canonical name → where it is asked for."""
    files: list[str] = []
    """Requirement files read, relative to the repository root."""
    complete: bool = True
    """False when something is installed in a way that is not understood here: then nothing is missing."""


def read(text: str, folder: Path, seen: frozenset[Path] = frozenset()) -> Iterator[tuple[str, int]]:
    """Distributions of a requirement file with their lines; `-r` lines are followed within its folder."""
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start if pending else number
        pending += line.partition(" #")[0].strip() if not line.lstrip().startswith("#") else ""
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        entry, pending = pending, ""
        if match := re.match(r"(?:-r|--requirement)[ =](\S+)", entry):
            other = folder / match.group(1)
            if other.is_file() and other not in seen:
                for name, _ in read(other.read_text("utf-8", "replace"), other.parent, seen | {other}):
                    yield name, start
        elif not entry.startswith("-") and (own := _name(entry)):
            yield own, start


@lru_cache(maxsize=4096)
def _name(entry: str) -> str | None:
    """The distribution of a requirement line, if it is one that Linux takes; of any version of Python."""
    from packaging.requirements import InvalidRequirement, Requirement  # slow to import

    try:
        requirement = Requirement(entry.partition(" --")[0])
    except InvalidRequirement:
        return None
    marker = requirement.marker
    if marker is not None and "python" not in str(marker) and not marker.evaluate(dict(LINUX)):
        return None
    return canonical(requirement.name)


def declared(root: Path) -> list[str]:
    """The distributions a repository's own project depends on, dependency groups and extras included."""
    project = project_of(root)
    table = project.get("project", {})
    lists = [table.get("dependencies", []), *table.get("optional-dependencies", {}).values()]
    lists += project.get("dependency-groups", {}).values()
    names = {_name(item) for each in lists for item in each if isinstance(item, str)}
    names |= {canonical(name) for name in project.get("tool", {}).get("poetry", {}).get("dependencies", {})}
    return sorted(name for name in names if name and name != "python")


def installed(dockerfile: Dockerfile, file: str, root: Path) -> Installed:
    """What the final image of a Dockerfile (`file`, relative to `root`) installs: in its own stage, and in
    those it copies from."""
    found = Installed()
    for stage in feeding(dockerfile, dockerfile.final) if dockerfile.final is not None else ():
        for run in stage.runs:
            command = _Command(dockerfile, stage, run, Place(file, run.line), root, found)
            for words in _split(run.text):
                command.note(words)
    return found


def feeding(dockerfile: Dockerfile, stage: Stage) -> list[Stage]:
    """The stage itself, and the stages of the file whose files reach it by COPY --from."""
    order = [stage]
    for each in order:
        for copy in each.copies:
            other = dockerfile.stage(copy.source_stage) if copy.source_stage else None
            if other is not None and other not in order:
                order.append(other)
    return order


class _Command(msgspec.Struct, frozen=True):
    """One RUN, and what it adds to what is `found` to be installed."""

    dockerfile: Dockerfile
    stage: Stage
    run: Run
    place: Place
    root: Path
    found: Installed

    def note(self, words: list[str]) -> None:
        """One simple command of it."""
        tools = {word.rpartition("/")[2] for word in words}
        if tools & {"conda", "mamba", "micromamba", "pipenv"}:
            self.found.complete = False
        elif (tools & {"poetry", "pdm"} and {"sync", "install"} & {*words}) or (
            "uv" in tools and "sync" in words
        ):
            self._add_project()
        elif tools & {"pip", "pip3", "uv"} and "install" in words:
            self._pip(words[words.index("install") + 1 :])

    def _pip(self, words: list[str]) -> None:
        arguments = iter(words)
        for word in arguments:
            option, _, value = word.partition("=")
            if option in ("-r", "--requirement", "--requirements"):
                self._add_file(value or next(arguments, ""))
            elif word.startswith("-r"):
                self._add_file(word[2:])
            elif word in VALUED:
                next(arguments, None)
            elif word.startswith("-"):
                continue
            elif word.startswith(".") or "/" in word:
                if word.rstrip("/").partition("[")[0] in (".", self.run.workdir):
                    self._add_project()
                else:
                    self.found.complete = False
            elif "$" in word:
                self.found.complete = False
            elif name := _name(word):
                self.found.distributions.setdefault(name, self.place)

    def _add_file(self, name: str) -> None:
        path = name if name.startswith("/") else f"{self.run.workdir}/{name}"
        source = locate(self.dockerfile, self.stage, path, self.root, self.run)
        if source is None or not (self.root / source).is_file():
            # written by the same command, it shows its pins there; else what it holds is not known
            pins = PIN.findall(self.run.text) if f"> {name}" in self.run.text else []
            self.found.complete = self.found.complete and bool(pins)
            for pin in pins:
                self.found.distributions.setdefault(canonical(pin), self.place)
            return
        self.found.files.append(source)
        file = self.root / source
        for distribution, line in read(file.read_text("utf-8", "replace"), file.parent, frozenset({file})):
            self.found.distributions.setdefault(distribution, Place(source, line))

    def _add_project(self) -> None:
        for name in declared(self.root):
            self.found.distributions.setdefault(name, self.place)


def _split(script: str) -> Iterator[list[str]]:
    """The simple commands of a shell script, as words."""
    lexer = shlex.shlex(script.replace("\n", " ; "), posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        for token in lexer:
            if token in SEPARATORS:
                yield words
                words = []
            else:
                words.append(token)
    except ValueError:
        yield script.split()
        return
    yield words
