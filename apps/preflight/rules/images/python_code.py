"""Whether the image has the code a container starts and the packages that code imports."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from preflight.facts.images import ContainerImage, command_fields, container_images
from preflight.facts.servers import TARGET, command_words, server_command
from preflight.findings import Place
from preflight.model import Model, fact
from preflight.repository import missing_packages
from preflight.repository.build_context import places
from preflight.repository.installed_packages import installed
from preflight.repository.python_imports import Code, Reached
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near

OPAQUE = re.compile(
    r"\b(cp|mv|ln|rsync|tar|unzip|git)\s|\b(pip3?|uv|poetry|pdm|hatch)\b[^\n;&|]*"
    r"\b(install|sync)\b[^\n;&|]*(\s-e\b|\s\.|\.whl\b)|\b(uv|poetry|pdm) (sync|install)\b"
)
"""A RUN that may put code where no COPY says."""


class Entry(msgspec.Struct, frozen=True):
    """A module that a container starts."""

    module: str
    adds: str | None
    """The folder of the image that starting it puts on the path; None: none."""
    attribute: str = ""
    """What is taken of it; empty where that is not said."""
    dotted: bool = False
    """Whether the last part may be an attribute of the module before it."""


def entries(image: ContainerImage) -> list[Entry]:
    """The modules a container's command starts: `python -m X`, what a server loads (`X:app`, `-A X`, a Django
    settings module), a console script; itself, or in the last line of a shell script of the image."""
    command = server_command(image.container, image)
    if command is not None and (command.server.apps or command.server.app_variable):
        variable = command.server.app_variable
        match = TARGET.fullmatch(command.app or (image.variable(variable) if variable else ""))
        if match is None:
            return []
        dotted = match[2] is None and command.name != "gunicorn"
        default = command.server.app_default if command.name == "gunicorn" else ""
        return [Entry(match[1], image.workdir, (match[2] or default).partition(".")[0], dotted)]
    words = command_words(image.container, image)
    program = posixpath.basename(words[0]) if words else ""
    if re.fullmatch(r"python[\d.]*", program):
        return _python(image, words[1:])
    if program in image.console_scripts:
        module, _, attribute = image.console_scripts[program].partition(":")
        return [Entry(module, None, attribute.partition(".")[0])]
    return []


def _python(image: ContainerImage, words: list[str]) -> list[Entry]:
    index = 0
    while index < len(words):
        word = words[index]
        if word == "-m" and index + 1 < len(words):
            module = words[index + 1]
            return [Entry(module, image.workdir)] if re.fullmatch(r"[A-Za-z_][\w.]*", module) else []
        if word in ("-X", "-W"):
            index += 1
        elif not word.startswith("-"):
            return []
        index += 1
    return []


def _declared(image: ContainerImage) -> list[str]:
    """The modules that the repository names for the container."""
    names = (image.app.config.settings, image.app.config.app)
    return [name.partition(":")[0] for name in names if name]


class Started(NamedTuple):
    """What an image starts, the code as the image lays it out, and all that is imported by it."""

    image: ContainerImage
    modules: list[Entry]
    code: Code
    reached: Reached


@fact
def started(model: Model) -> list[Started]:
    """Each image with the modules it starts and all that these import; Python only."""
    found = []
    known: dict[str, Code] = {}
    for image in container_images(model).values():
        if image.file not in known:
            known[image.file] = missing_packages.code_of(image.dockerfile, image.stage, image.root)
        modules = entries(image)
        asked = [*(each.module for each in modules), *_declared(image)] if modules else []
        found.append(Started(image, modules, known[image.file], known[image.file].reach(asked)))
    return found


@rule("module-not-in-image", family="images", severity="error", outcome="CrashLoopBackOff")
def module_not_in_image(model: Model) -> Iterator[Violation]:
    """A module, or what is taken of it, that the container starts and the repository lacks or does not copy.

    Python ends at once: `No module named shop.mian`, `Attribute "app" not found in module "shop.main"`.
    Looked at are `python -m X`, a server's `X:app` and console scripts, with the image's ENTRYPOINT and CMD
    where the manifest gives none. The module is read, not run: one with `from x import *`, `__getattr__` or
    `globals()` may define anything.

        command: [python, -m, workers.vhm_indexer.mian]
    """
    said: set[tuple[str, str]] = set()
    for image, modules, code, reached in started(model):
        for entry in modules:
            if entry.attribute and code.binds(entry.module, entry.attribute) is False:
                meant = near(entry.attribute, code.names_of(entry.module) or ())
                yield _located(
                    image,
                    entry,
                    f"{entry.module} defines no {entry.attribute}, which {image.container.name} starts",
                    code,
                    fix=f"write {entry.module}:{meant}" if meant else f"name what {entry.module} defines",
                )
            top = entry.module.partition(".")[0]
            if top in sys.stdlib_module_names or (not code.is_own(top) and not _is_slip(image, code, entry)):
                continue
            own = code.source_of(entry.module) or code.source_of(f"{entry.module}.__main__")
            parent, _, last = entry.module.rpartition(".")
            if own is None and not (entry.dotted and parent and code.binds(parent, last) is not False):
                message = (
                    f"{image.container.name} starts the module {entry.module}, which the repository lacks"
                )
                yield _located(image, entry, message, code)
        if not modules or _is_opaque(image):
            continue
        for module, file in _sources(code, reached):
            top = module.partition(".")[0]
            if (image.file, top) not in said and not _copied(image, file):
                said.add((image.file, top))
                line = max((copy.line for copy in image.stage.copies), default=image.stage.line)
                yield at(
                    image.container.field("image"),
                    message=f"{file} is imported by what the container starts, and no COPY takes it",
                    fix=f"COPY {file.partition(top)[0]}{top} into the image",
                    place=image.place(line),
                )


def _is_slip(image: ContainerImage, code: Code, entry: Entry) -> bool:
    """Whether a module that nothing provides is one edit away from one of the repository's own."""
    top = entry.module.partition(".")[0]
    return near(top, code.tops) is not None and not image.app.providers([top]).get(top)


def _sources(code: Code, reached: Reached) -> Iterator[tuple[str, str]]:
    for module in reached.modules:
        path = code.source_of(module)
        if path is not None:
            yield module, path.relative_to(code.root).as_posix()


def _copied(image: ContainerImage, file: str) -> list[str]:
    return places(image.dockerfile, image.stage, file, image.root)


def _located(image: ContainerImage, entry: Entry, message: str, code: Code, fix: str = "") -> Violation:
    parent, _, last = entry.module.rpartition(".")
    folder = next(
        (f for root in code.folders if (f := code.root / root / parent.replace(".", "/")).is_dir()),
        code.root,
    )
    meant = near(last, (each.stem for each in folder.iterdir() if each.suffix == ".py" or each.is_dir()))
    fix = fix or f"write {parent}.{meant}".replace(" .", " ") if meant else "name a module the repository has"
    for word in command_fields(image.container):
        if entry.module in str(word.doc):
            return at(word, message=message, fix=fix)
    offered = next((e for e in image.container.env.values() if e.value == entry.module), None)
    entry_line = image.stage.entrypoint or image.stage.cmd
    line = entry_line.line if entry_line is not None else image.stage.line
    baked = next((s.line for s in image.stage.env.values() if s.value == entry.module), line)
    place = offered.place if offered is not None else image.place(baked)
    return at(image.container.field("image"), message=message, fix=fix, place=place)


@rule("module-not-importable", family="images", severity="error", outcome="CrashLoopBackOff")
def module_not_importable(model: Model) -> Iterator[Violation]:
    """A module of the repository that is in the image, and not where Python looks for it.

    Python looks in the folder it starts in (`-m`), in PYTHONPATH and in what is installed. A package copied
    to `/app/common/utils` is found as `vhm_common_utils` only if that folder is on PYTHONPATH.

        ENV PYTHONPATH=/app            # /app:/app/common/utils
    """
    said: set[tuple[str, str]] = set()
    for image, modules, code, reached in started(model):
        if not modules or _is_opaque(image):
            continue
        looked = {posixpath.normpath(e.adds) for e in modules if e.adds is not None}
        looked |= {posixpath.normpath(p) for p in image.variable("PYTHONPATH").split(":") if p}
        for module, file in (*_sources(code, reached), *_others(image, reached)):
            top = module.partition(".")[0]
            found = _copied(image, file)
            depth = len(module.split(".")) + (1 if file.endswith("__init__.py") else 0)
            roots = {_up(path, depth) for path in found}
            if (
                (image.file, top) in said
                or not roots
                or roots & looked
                or any("-packages" in r for r in roots)
            ):
                continue
            said.add((image.file, top))
            given = image.stage.env.get("PYTHONPATH")
            yield at(
                image.container.field("image"),
                message=f"module {top}, which the container imports, lies in {sorted(roots)[0]}, "
                "where Python does not look",
                fix=f"add {sorted(roots)[0]} to PYTHONPATH",
                place=image.place(given.line if given is not None else image.stage.line),
            )


def _others(image: ContainerImage, reached: Reached) -> Iterator[tuple[str, str]]:
    """Modules imported from packages of the repository that lie below folders not on Python's path."""
    strange = sorted({each.module for each in reached.outside if not each.optional})
    provided = image.app.providers(strange) if strange else {}
    for module in strange:
        file = None if provided.get(module) else _elsewhere(image.root, module)
        if file is not None:
            yield module, file.relative_to(image.root).as_posix()


def _elsewhere(root: Path, module: str) -> Path | None:
    for pattern in ("*/*/", "*/*/*/", "*/"):
        found = [f for f in sorted(root.glob(f"{pattern}{module}/__init__.py")) if ".venv" not in f.parts]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _up(path: str, steps: int) -> str:
    for _ in range(steps):
        path = posixpath.dirname(path)
    return path


def _is_opaque(image: ContainerImage) -> bool:
    return any(OPAQUE.search(run.text) for run in image.runs)


@rule("package-not-installed", family="images", severity="error", outcome="CrashLoopBackOff")
def package_not_installed(model: Model) -> Iterator[Violation]:
    """A package that the code imports and that the Dockerfile does not install.

    Python ends with ModuleNotFoundError: at start, or, where a function imports it, when that is called (a
    warning). Imports are followed through the repository's own code; which package a module is of, and what
    packages bring with them, is asked of the repository's own environment.

        RUN pip install -r requirements.txt     # which lacks PyYAML, and the code says: import yaml
    """
    said: set[tuple[str, str]] = set()
    for image, modules, _, _ in started(model):
        names = [*(each.module for each in modules), *_declared(image)] if modules else []
        for lack in missing_packages.lacks(image.app, image.dockerfile, image.file, image.root, names):
            each, wanted = lack.needed, lack.distributions[0]
            if (image.file, each.module) not in said:
                said.add((image.file, each.module))
                has = installed(image.dockerfile, image.file, image.root)
                where = has.files[0] if has.files else "what the Dockerfile installs"
                yield at(
                    image.container.field("image"),
                    message=f"{each.file} imports {each.module}, and {image.file} installs no {wanted}",
                    fix=f"add {wanted} to {where}",
                    place=Place(each.file, each.line),
                    severity="warning" if each.late else "error",
                )
