"""Which file of the repository lies where in an image, as COPY and .dockerignore say."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from preflight.repository.dockerfile import Copy, Dockerfile, Run, Stage

CLASS = re.compile(r"\[\^?[\w.-]+\]")
MAGIC = re.compile(r"[*?\[]")


def locate(dockerfile: Dockerfile, stage: Stage, path: str, root: Path, run: Run | None = None) -> str | None:
    """The file or folder of the build context that is at `path` in a stage, relative to the context `root`;
    None when no COPY (nor bind mount of `run`) puts one there."""
    path = posixpath.normpath(path)
    for source, target in (*_mounts(run), *copied(dockerfile, stage, root)):
        if _is_below(path, target):
            found = posixpath.normpath(posixpath.join(source, posixpath.relpath(path, target)))
            if (root / found).exists():
                return found
    return None


def places(dockerfile: Dockerfile, stage: Stage, source: str, root: Path) -> list[str]:
    """Where a file of the build context (relative to `root`) ends in a stage's image, by COPY alone."""
    return [
        posixpath.normpath(posixpath.join(target, posixpath.relpath(source, folder)))
        for folder, target in copied(dockerfile, stage, root)
        if folder == "." or _is_below(source, folder)
    ]


def copied(dockerfile: Dockerfile, stage: Stage, root: Path) -> list[tuple[str, str]]:
    """What a stage has of the build context by COPY: path relative to `root`, and path in the image; what is
    copied last stands first."""
    found: list[tuple[str, str]] = []
    for copy in reversed(stage.copies):
        several = len(copy.sources) > 1 or any(MAGIC.search(given) for given in copy.sources)
        for given in copy.sources:
            for source, inside in _taken(dockerfile, copy, posixpath.normpath(given.lstrip("/")), root):
                named = inside == "." and (several or copy.target.endswith("/"))
                into = posixpath.basename(source) if named and not (root / source).is_dir() else inside
                found.append((source, posixpath.normpath(posixpath.join(copy.target, into))))
    return found


def _taken(dockerfile: Dockerfile, copy: Copy, given: str, root: Path) -> Iterator[tuple[str, str]]:
    """The paths of the build context that one source of a COPY stands for, and where each lies in it."""
    if copy.source_stage is None:
        if not given.startswith(".."):
            yield from ((source, ".") for source in (_matching(given, root) or [given]))
        return
    other, whole = dockerfile.stage(copy.source_stage), f"/{given}"
    for source, place in copied(dockerfile, other, root) if other is not None else ():
        if _is_below(place, whole):
            yield source, posixpath.relpath(place, whole)
        elif _is_below(whole, place):
            yield posixpath.normpath(posixpath.join(source, posixpath.relpath(whole, place))), "."


def python_path(dockerfile: Dockerfile, stage: Stage, root: Path) -> list[str]:
    """The folders of the build context (relative to `root`) whose modules a stage's PYTHONPATH and working
    directory put on Python's path."""
    value = stage.env["PYTHONPATH"].value if "PYTHONPATH" in stage.env else ""
    entries = {posixpath.normpath(entry) for entry in (*value.split(":"), stage.workdir.value) if entry}
    folders = [pair for pair in copied(dockerfile, stage, root) if (root / pair[0]).is_dir()]
    found = []
    for entry in sorted(entries):
        source = locate(dockerfile, stage, entry, root)
        found += [source] if source is not None and (root / source).is_dir() else []
        # a package copied below the entry under its own name
        found += [
            posixpath.dirname(folder)
            for folder, target in folders
            if entry != "/" and target == f"{entry}/{posixpath.basename(folder)}"
        ]
    return ["" if folder == "." else folder for folder in dict.fromkeys(found)]


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _matching(given: str, root: Path) -> list[str]:
    if not MAGIC.search(given):
        return []
    return sorted(path.relative_to(root).as_posix() for path in root.glob(given))


def _mounts(run: Run | None) -> list[tuple[str, str]]:
    """Bind mounts of the build context: source and target of each."""
    found = []
    for name, value in run.instruction.flags if run is not None else ():
        options = dict(part.partition("=")[::2] for part in value.split(","))
        if name == "mount" and options.get("type", "bind") == "bind" and "from" not in options:
            target = options.get("target") or options.get("dst") or options.get("destination")
            if target:
                source = options.get("source") or options.get("src") or "."
                found.append(
                    (source, posixpath.normpath(posixpath.join(run.workdir if run else "/", target)))
                )
    return found


def ignored(dockerfile: str, root: Path) -> Ignore:
    """The .dockerignore that holds for a Dockerfile (a path relative to `root`)."""
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        if (root / name).is_file():
            return Ignore((root / name).read_text("utf-8", "replace"))
    return Ignore("")


class Ignore:
    """A .dockerignore: which paths of the context never reach the builder."""

    def __init__(self, text: str) -> None:
        self.patterns: list[tuple[bool, re.Pattern[str]]] = []
        for raw in text.splitlines():
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            keep = line.startswith("!")
            pattern = posixpath.normpath(line.removeprefix("!").strip()).lstrip("/")
            self.patterns.append((keep, re.compile(_regex(pattern))))

    def ignores(self, path: str) -> bool:
        """Whether a path, or a folder above it, is left out; the last pattern that matches decides."""
        out = False
        parents = ["/".join(path.split("/")[: n + 1]) for n in range(len(path.split("/")))]
        for keep, pattern in self.patterns:
            if any(pattern.fullmatch(each) for each in parents):
                out = not keep
        return out

    def leaves_some_of(self, folder: str) -> bool:
        """Whether a folder that is left out still has something kept in it."""
        return any(
            keep and pattern.pattern.startswith(re.escape(folder) + "/") for keep, pattern in self.patterns
        )


def _regex(pattern: str) -> str:
    text = ""
    index = 0
    while index < len(pattern):
        if pattern.startswith("**/", index):
            text, index = text + "(?:.*/)?", index + 3
        elif pattern.startswith("**", index):
            text, index = text + ".*", index + 2
        elif pattern[index] == "*":
            text, index = text + "[^/]*", index + 1
        elif pattern[index] == "?":
            text, index = text + "[^/]", index + 1
        elif match := CLASS.match(pattern, index):
            text, index = text + match.group().replace("[^", "[^/"), match.end()
        else:
            text, index = text + re.escape(pattern[index]), index + 1
    return text
