"""Which file of the repository lies where in an image, as COPY and .dockerignore say."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from preflight.repository.dockerfile import Copy, Dockerfile, Run, Stage

CLASS = re.compile(r"\[\^?[\w.-]+\]")
MAGIC = re.compile(r"[*?\[]")


def locate(dockerfile: Dockerfile, stage: Stage, path: str, root: Path, run: Run | None = None) -> str | None:
    """The file or folder of the build context that is at `path` in a stage, relative to the context `root`;
    None when no COPY (nor bind mount of `run`) puts one there."""
    path = posixpath.normpath(path)
    for source, target in _mounts(run):
        if path == target or path.startswith(target.rstrip("/") + "/"):
            return posixpath.normpath(posixpath.join(source, posixpath.relpath(path, target)))
    for copy in reversed(stage.copies):
        found = _inside(copy, path, root)
        if found is None:
            continue
        if copy.source_stage is None:
            return found
        other = dockerfile.stage(copy.source_stage)
        deeper = locate(dockerfile, other, "/" + found, root) if other is not None else None
        if deeper is not None:
            return deeper
    return None


def places(dockerfile: Dockerfile, stage: Stage, source: str, root: Path) -> list[str]:
    """Where a file of the build context (relative to `root`) ends in a stage's image, by COPY alone."""
    found: list[str] = []
    for copy in stage.copies:
        if copy.source_stage is None:
            found += _targets(copy, source, root)
            continue
        other = dockerfile.stage(copy.source_stage)
        for path in places(dockerfile, other, source, root) if other is not None else []:
            found += _targets(copy, path.lstrip("/"), root)
    return found


def copied(dockerfile: Dockerfile, stage: Stage, root: Path) -> list[tuple[str, str]]:
    """What a stage has of the build context by COPY: path relative to `root`, and path in the image; what is
    copied last stands first."""
    found: list[tuple[str, str]] = []
    for copy in reversed(stage.copies):
        several = len(copy.sources) > 1 or any(MAGIC.search(given) for given in copy.sources)
        target = posixpath.normpath(copy.target)
        other = dockerfile.stage(copy.source_stage) if copy.source_stage is not None else None
        for given in copy.sources if copy.source_stage is None or other is not None else ():
            whole = posixpath.normpath(given.lstrip("/"))
            if other is not None:
                for source, place in copied(dockerfile, other, root):
                    rest = posixpath.relpath(place, "/" + whole)
                    if not rest.startswith(".."):
                        found.append((source, posixpath.normpath(posixpath.join(target, rest))))
                continue
            for source in _matching(whole, root) if MAGIC.search(whole) else [whole]:
                into = (copy.target.endswith("/") or several) and not (root / source).is_dir()
                found.append((source, posixpath.join(target, posixpath.basename(source)) if into else target))
    return found


def python_path(dockerfile: Dockerfile, stage: Stage, root: Path) -> list[str]:
    """The folders of the build context (relative to `root`) whose modules a stage's PYTHONPATH and working
    directory put on Python's path."""
    value = stage.env["PYTHONPATH"].value if "PYTHONPATH" in stage.env else ""
    entries = {posixpath.normpath(entry) for entry in (*value.split(":"), stage.workdir.value) if entry}
    found = []
    for entry in sorted(entries):
        source = locate(dockerfile, stage, entry, root)
        found += [source] if source is not None and (root / source).is_dir() else []
        for copy in stage.copies if entry != "/" else ():
            for given in copy.sources if copy.source_stage is None else ():
                folder = posixpath.normpath(given.lstrip("/"))
                # a package copied below the entry under its own name
                if f"{entry}/{posixpath.basename(folder)}" == posixpath.normpath(copy.target):
                    found.append(posixpath.dirname(folder))
    return ["" if folder == "." else folder for folder in dict.fromkeys(found)]


def _targets(copy: Copy, source: str, root: Path) -> list[str]:
    found = []
    for given in copy.sources:
        whole = posixpath.normpath(given.lstrip("/"))
        for each in _matching(whole, root) if MAGIC.search(whole) else [whole]:
            if source == each:
                into = copy.target.endswith("/") or len(copy.sources) > 1
                found.append(posixpath.join(copy.target, posixpath.basename(source)) if into else copy.target)
            elif each == "." or source.startswith(each + "/"):
                rest = source if each == "." else source[len(each) + 1 :]
                found.append(posixpath.join(copy.target, rest))
    return found


def _inside(copy: Copy, path: str, root: Path) -> str | None:
    """What `path` in the image is below this COPY's sources."""
    target = copy.target.rstrip("/") or "/"
    if path != target and not path.startswith(target.rstrip("/") + "/"):
        return None
    rest = posixpath.relpath(path, target)
    for given in copy.sources:
        whole = posixpath.normpath(given.lstrip("/"))
        for source in _matching(whole, root) if MAGIC.search(whole) else [whole]:
            if posixpath.basename(source) == rest and not (root / source).is_dir():
                return source
            if rest == "." and not copy.target.endswith("/"):
                return source
            if copy.source_stage is not None or (root / source / rest).exists():
                return posixpath.normpath(posixpath.join(source, rest))
    return None


def _matching(pattern: str, root: Path) -> list[str]:
    if pattern.startswith(("..", "/")):
        return []
    return sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))


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
