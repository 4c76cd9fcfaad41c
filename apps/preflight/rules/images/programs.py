"""Programs that a command line starts, against what the image has; several words written as one."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from preflight.cluster.workloads import Container
from preflight.facts.images import SHELLS, ContainerImage, container_images, start_of
from preflight.facts.known_images import known, shown
from preflight.findings import Outcome
from preflight.model import Model
from preflight.rules.images.commands import Words, lines
from preflight.rules.registry import Violation, at, rule

PACKAGES = {
    "nc": "netcat|ncat|nmap|busybox",
    "ps": "procps|busybox",
    "ping": "iputils|busybox",
    "wget": "busybox",
}
"""What brings a program under another name than its own."""
MANAGERS = re.compile(r"\b(apt|apt-get|apk|dnf|microdnf|yum|zypper|tdnf)\b")
BINARIES = re.compile(r"/|(/usr)?(/local)?(/s?bin)?/?")
"""Folders of a COPY that may bring any program."""
POSITION = (
    r"(?:^|[;&|(`\n]|\$\(|\b(?:if|elif|while|until|then|do|else|exec|time|sudo|timeout\s+\S+)\s|!\s)\s*"
)
"""What stands before the name of a program in a shell script."""
INTERPRETERS = re.compile(
    r"(?:/\S+/)?(python[\d.]*|node|npm|npx|yarn|pnpm|deno|bun|java|ruby|bundle|rake|php|perl|dotnet|go|sh|bash"
    r"|uvicorn|gunicorn|hypercorn|granian|celery|flask|django-admin|uv|poetry)|\.?/\S+"
)
"""Words that begin a command line and are no argument of another program."""
QUOTED = re.compile(r"""'[^']*'|(-c\s+)?"((?:[^"\\]|\\.)*)\"""", re.DOTALL)


@rule("program-not-in-image", family="images", severity="error", outcome="RunContainerError")
def program_not_in_image(model: Model) -> Iterator[Violation]:
    """A program that a command, probe or hook starts and that the image does not have.

    Alpine has no bash, slim images have neither curl nor wget, an image without a system has no shell, and
    newer images may have another program (mongosh for mongo). The kubelet says `executable file not found in
    $PATH`; a probe fails every time. Known are public images and, by their Dockerfile, the images built on
    them. A warning where the Dockerfile installs packages that may bring it.

        readinessProbe:
          exec:
            command: [curl, -f, "http://localhost:8080/health"]     # FROM python:3.12-slim
    """
    images = container_images(model)
    for container in model.containers:
        image = images.get(container)
        for line in (*lines(container), *_arguments(container, image)):
            for index, program, own in _programs(line):
                found = _lacks(container, image, program)
                if found is None:
                    continue
                base, certain = found
                better = known(base).renamed.get(program)
                yield at(
                    container,
                    *line.paths[index],
                    message=f"{shown(base)} has no {program}, which {_where(line)} starts"
                    + ("" if image is None else f", and {image.file} adds none"),
                    fix=f"write {better}" if better else _instead(program, line),
                    severity="error" if certain else "warning",
                    outcome=_outcome(line, own),
                )


def _arguments(container: Container, image: ContainerImage | None) -> Iterator[Words]:
    """`args` that are the whole command line: of images without an ENTRYPOINT, or with one that runs them."""
    if container.command or not container.args or container.args[0].startswith("-"):
        return
    alone = image is not None and image.stage.entrypoint is None
    if alone or (image is None and "/" not in known(container.image).names[0]):
        paths = tuple(("args", index) for index in range(len(container.args)))
        yield Words(words=tuple(container.args), paths=paths, outcome="CrashLoopBackOff")


def _programs(line: Words) -> Iterator[tuple[int, str, bool]]:
    """Each program a line starts: the index of its word, its name, and whether the line itself is it. Of a
    script only what it surely needs: no alternative after `||`, no question whether it is there."""
    first = line.words[0]
    folder, name = posixpath.split(first)
    if folder in ("", "/bin", "/usr/bin", "/usr/local/bin") and not re.search(r"\s", first):
        yield 0, name, True
    if name == "env" and len(line.words) > 1 and re.fullmatch(r"[\w.-]+", line.words[1]):
        yield 1, line.words[1], True
    if name not in SHELLS:
        return
    for index, word in enumerate(line.words[1:], 1):
        if re.fullmatch(r"-[a-z]*c", line.words[index - 1]):
            word = QUOTED.sub(_own_words, word)
            for found in dict.fromkeys(re.findall(rf"{POSITION}([a-z][\w.-]*)(?=\s|$)", word)):
                asked = re.search(
                    rf"\b(command -v|which|type|hash|add|install)\b[^\n;]*\b{re.escape(found)}\b", word
                )
                other = re.search(
                    rf"\b{re.escape(found)}\b[^;\n]*\|\|(?!\s*(?:exit|false|return|kill))", word
                )
                if not asked and not other:
                    yield index, found, False
            return


def _own_words(quoted: re.Match[str]) -> str:
    """A quoted text as far as this shell starts what it names: nothing of a script for another shell, which
    may have another root, or of lines to print."""
    text = quoted[2]
    return quoted[0] if text is not None and not quoted[1] and "\n" not in text else "''"


def _lacks(container: Container, image: ContainerImage | None, program: str) -> tuple[str, bool] | None:
    """The image that lacks a program and whether that is certain; None where it may have it."""
    if image is None:
        return (container.image, True) if known(container.image).lacks(program) else None
    base, stage = image.stage.base, image.stage
    while (parent := image.dockerfile.stage(base)) is not None and parent is not stage:
        base, stage = parent.base, parent
    if not known(base).lacks(program):
        return None
    brings = re.compile(rf"\b({re.escape(program)}|{PACKAGES.get(program, program)})")
    texts = [run.text for run in image.runs]
    copies = image.stage.copies
    if any(brings.search(text) for text in (*texts, *(copy.instruction.text for copy in copies))):
        return None
    if any(BINARIES.fullmatch(copy.target) for copy in copies):
        return None
    return base, not any(MANAGERS.search(text) for text in texts)


def _where(line: Words) -> str:
    return str(line.paths[0][0]) if line.paths[0][0] != "lifecycle" else "the postStart hook"


def _instead(program: str, line: Words) -> str:
    if program in ("curl", "wget") and str(line.paths[0][0]).endswith("Probe"):
        return "use httpGet, which needs no program in the image"
    if program == "bash":
        return "write sh, or install bash in the image"
    return f"install {program} in the image, or use a program it has"


def _outcome(line: Words, own: bool) -> Outcome:
    runs = line.paths[0][0] in ("command", "args")
    return line.outcome if not (runs and own) else "RunContainerError"


@rule("arguments-in-one-word", family="images", severity="warning", outcome="CrashLoopBackOff")
def arguments_in_one_word(model: Model) -> Iterator[Violation]:
    """An option with its value, or a whole command line, written as one item of `args`.

    Each item reaches the program as one word, blanks and all: no program has an option called
    `--interval 2m`, and no entrypoint runs a file called `python3 -m shop.front`. Words for a shell (`sh -c`)
    are left alone, and single letters, which take what follows as their value.

        args: ["--interval 2m"]        # ["--interval", "2m"] or ["--interval=2m"]
    """
    images = container_images(model)
    for container in model.containers:
        image = images.get(container)
        if start_of(container, image.stage if image is not None else None).program in SHELLS:
            continue
        fields = [("args", index, word) for index, word in enumerate(container.args)]
        fields += [("command", index, word) for index, word in enumerate(container.command) if index]
        for field, index, word in fields:
            option = re.fullmatch(r"(--?[A-Za-z][\w.-]+)[ \t]+(\S.*)", word)
            if option is not None:
                yield at(
                    container,
                    field,
                    index,
                    message=f"{word[:120]!r} reaches the program as one word, and no option has that name",
                    fix=f'write "{option[1]}", "{option[2][:80]}" as two items'
                    + (f", or {option[1]}={option[2][:80]}" if option[1].startswith("--") else ""),
                )
            elif field == "args" and not index and not container.command and _is_line(word):
                split = ", ".join(f'"{each}"' for each in word.split())
                yield at(
                    container,
                    field,
                    index,
                    message=f"{word[:120]!r} is one argument of the image's entrypoint, not a command line",
                    fix=f"write command: [{split[:200]}]",
                )


def _is_line(word: str) -> bool:
    """Whether a word is a command line: the name of a program, and more on the same line."""
    first, _, rest = word.strip().partition(" ")
    return bool(rest) and "\n" not in word.strip() and INTERPRETERS.fullmatch(first) is not None
