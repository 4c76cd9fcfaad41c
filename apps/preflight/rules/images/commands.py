"""The command a container runs: its words, and whether the image has what it names."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from preflight.cluster.environment import expand
from preflight.cluster.workloads import Container
from preflight.documents.paths import Step, dig, dotted
from preflight.facts.images import SHELLS, ContainerImage, container_images, start_of
from preflight.findings import Outcome
from preflight.model import Model
from preflight.repository.build_context import locate
from preflight.repository.shell_syntax import problem_of
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near

EXPANDS_NOTHING = re.compile(r"(python[\d.]*|uvicorn|gunicorn|hypercorn|node|java|sleep|echo|cat)$")
"""Programs that take `$NAME` in their arguments as it is written."""


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """A command line of a manifest: of the container, or of a probe or hook."""

    words: tuple[str, ...]
    paths: tuple[tuple[Step, ...], ...]
    """Below the container, one for each word."""
    outcome: Outcome
    """What becomes of the pod when it cannot run."""

    @property
    def field(self) -> str:
        """Where it is written, as Kubernetes names it: `command`, `lifecycle.preStop.exec.command`."""
        return dotted(tuple(step for step in self.paths[0] if isinstance(step, str)))


def lines(container: Container) -> Iterator[Words]:
    """Every command line that a manifest gives one container: command with args, probes, hooks."""
    if container.command:
        given = [("command", i) for i in range(len(container.command))]
        given += [("args", i) for i in range(len(container.args))]
        values = {name: each.value for name, each in container.env.items()}
        words = tuple(expand(word, values)[0] or word for word in [*container.command, *container.args])
        yield Words(words=words, paths=tuple(given), outcome="CrashLoopBackOff")
    hooks: dict[tuple[Step, ...], tuple[Any, Outcome]] = {
        (name,): (probe, "CrashLoopBackOff" if name == "livenessProbe" else "never ready")
        for name, probe in container.probes.items()
    }
    hooks[("lifecycle", "postStart")] = (container.get("lifecycle", "postStart"), "CrashLoopBackOff")
    for path, (action, outcome) in hooks.items():
        command = dig(action, "exec", "command")
        if isinstance(command, list) and command:
            paths = tuple((*path, "exec", "command", i) for i in range(len(command)))
            yield Words(words=tuple(map(str, command)), paths=paths, outcome=outcome)


@rule("command-in-one-word", family="images", severity="error", outcome="RunContainerError")
def command_in_one_word(model: Model) -> Iterator[Violation]:
    """A whole command line written as one item of `command`.

    Each item is one word: the first names the program, blanks and all, and no file has such a name (`exec:
    "python -m app": executable file not found`). In a probe it fails every time.

        command: ["python -m shop.main"]       # ["python", "-m", "shop.main"]
    """
    for container in model.containers:
        for line in lines(container):
            first = line.words[0]
            if re.search(r"\s", first.strip()) and "\n" not in first.strip():
                split = ", ".join(f'"{word}"' for word in first.split())
                own = line.paths[0][0] == "command"
                yield at(
                    container,
                    *line.paths[0],
                    message=f"{line.field} {first[:120]!r} is taken for the name of one program, blanks "
                    "and all",
                    fix=f"write [{split}]" if len(split) < 100 else "write each word as an item of its own",
                    outcome=None if own else line.outcome,
                )


@rule("command-not-in-image", family="images", severity="error", outcome="RunContainerError")
def command_not_in_image(model: Model) -> Iterator[Violation]:
    """A command that the image does not have, often because `command` takes the place of the entrypoint.

    `command` replaces the image's ENTRYPOINT, `args` its CMD. An argument written under `command` is taken
    for a program (`exec: "indexer": executable file not found in $PATH`). Names of programs are known from
    `[project.scripts]`, the Dockerfile's ENTRYPOINT and what it copies.

        command: [indexer]             # args: [indexer]; the entrypoint is vhm
    """
    known = container_images(model)
    for container in model.containers:
        first = container.command[0] if container.command else ""
        image = known.get(container)
        if first.startswith("-"):
            yield at(
                container,
                "command",
                0,
                message=f"command begins with the option {first}, and takes the place of the image's "
                "entrypoint",
                fix="write it under args",
            )
        elif image is not None and first and not re.search(r"\s", first):
            yield from _programs(image, first, list(known.values()))


def _programs(image: ContainerImage, first: str, others: list[ContainerImage]) -> Iterator[Violation]:
    entry = image.stage.entrypoint
    programs = dict.fromkeys(
        [*image.console_scripts, *(entry.words[:1] if entry and not entry.shell else ())]
    )
    if "/" in first:
        if first.startswith("/") and _is_absent(image, first):
            yield at(
                image.container,
                "command",
                0,
                message=f"the image has no {first}: {image.file} copies that folder, and no such file",
                fix="name a file the image has",
            )
        return
    if first in programs:
        return
    same = [each for each in others if each.file == image.file]
    arguments = {each.container.args[0] for each in same if each.container.args} | {
        each.container.name for each in same
    }
    meant = near(first, programs)
    if entry is not None and first in arguments:
        yield at(
            image.container,
            "command",
            0,
            message=f"command {first} takes the place of the image's ENTRYPOINT {entry.words[0]}, and is no "
            "program",
            fix="write it under args",
        )
    elif meant is not None:
        yield at(
            image.container,
            "command",
            0,
            message=f"the image has no program {first}; did you mean {meant}?",
            fix=f"write {meant}",
        )


def _is_absent(image: ContainerImage, path: str) -> bool:
    """Whether a path lies in a folder that the Dockerfile copies of the repository, which lacks it."""
    folder, name = posixpath.split(path)
    if any(name in run.text for run in image.runs):
        return False
    source = locate(image.dockerfile, image.stage, path, image.root)
    inside = locate(image.dockerfile, image.stage, folder, image.root)
    if source is not None and (image.root / source).exists():
        return False
    return inside is not None and inside != "." and (image.root / inside).is_dir()


@rule("shell-syntax-error", family="images", severity="error", outcome="CrashLoopBackOff")
def shell_syntax_error(model: Model) -> Iterator[Violation]:
    """A shell script in a manifest or an image that no shell can read: a quote, `fi` or `done` is missing.

    The shell ends at once with `Syntax error: Unterminated quoted string`. The script is `sh -c` of a
    container, probe or hook, the image's entrypoint, copied or printed by its Dockerfile, or a RUN, which
    then never makes the image. It is read by `sh -n`, which executes nothing.

        args: ["exec python -m 'shop.main"]
    """
    for container in model.containers:
        for line in lines(container):
            for index, word in enumerate(line.words):
                shell = posixpath.basename(line.words[0])
                if shell in SHELLS and index and re.fullmatch(r"-[a-z]*c", line.words[index - 1]):
                    problem = problem_of(word, shell)
                    if problem:
                        yield at(
                            container,
                            *line.paths[index],
                            message=f"{shell} cannot read the script in {line.field}: {problem}",
                            fix="close what is open",
                            outcome=line.outcome,
                        )
                    break
    said = set()
    for image in container_images(model).values():
        for place, problem, outcome in _of_image(image):
            if place not in said:
                said.add(place)
                yield at(
                    image.container,
                    "image",
                    message=f"no shell can read the script at {place}: {problem}",
                    fix="close what is open",
                    place=place,
                    outcome=outcome,
                )


def _of_image(image: ContainerImage) -> Iterator[tuple[Any, str, Outcome]]:
    for run in image.runs:
        if not run.instruction.heredocs and (problem := problem_of(run.text, "sh")):
            yield image.place(run.line), problem, "ErrImagePull"
    entry = image.stage.entrypoint or image.stage.cmd
    start = image.start
    own = entry is not None and entry.shell and not image.container.command
    if entry is not None and own and (problem := problem_of(entry.words[0], "sh")):
        yield image.place(entry.line), problem, "CrashLoopBackOff"
    for word in start.words[:2]:
        path = word if word.startswith("/") else posixpath.normpath(f"{image.workdir}/{word}")
        shell = start.program in SHELLS
        if not (word.startswith(("/", "./")) or (shell and word.endswith(".sh"))):
            continue
        found = image.text_of(path)
        if found is None:
            continue
        text, place = found
        line = re.match(r"#!\s*(?:/usr/bin/env\s+)?(?:/\S*/)?(\w+)", text)
        for_shell = shell or (line is not None and line[1] in SHELLS)
        reader = line[1] if line else start.program
        if for_shell and (problem := problem_of(text.replace("\r\n", "\n"), reader)):
            yield place, problem, "CrashLoopBackOff"


@rule("shell-arguments-ignored", family="images", severity="warning", outcome="CrashLoopBackOff")
def shell_arguments_ignored(model: Model) -> Iterator[Violation]:
    """Words after the script of `sh -c`, which the script does not read.

    The shell runs the one word after -c; those behind it are `$0`, `$1` and so on. The program starts
    without its arguments.

        command: [sh, -c, python, -m, shop.main]      # [sh, -c, "exec python -m shop.main"]
    """
    for container in model.containers:
        for line in lines(container):
            shell = posixpath.basename(line.words[0])
            if shell not in SHELLS or len(line.words) < 4 or line.words[1] not in ("-c", "-ec", "-lc"):
                continue
            script = line.words[2]
            if "$" not in script and not re.search(r"\s", script):
                yield at(
                    container,
                    *line.paths[3],
                    message=f"{shell} runs {script!r} and ignores {' '.join(line.words[3:])[:80]!r}",
                    fix="write the whole line as the one word after -c, or leave the shell out",
                    outcome=line.outcome,
                )


@rule("variable-not-expanded", family="images", severity="error", outcome="CrashLoopBackOff")
def variable_not_expanded(model: Model) -> Iterator[Violation]:
    """`$NAME` in a command that no shell reads.

    Without a shell only `$(NAME)` is replaced, by the kubelet; `$NAME` reaches the program as it is written.
    The same holds for ENTRYPOINT and CMD as arrays, where not even `$(NAME)` is. A warning where the program
    may replace it by itself.

        command: [python, -m, $WORKER_MODULE]         # $(WORKER_MODULE)
    """
    for container in model.containers:
        if not container.command or start_of(container).program in SHELLS:
            continue
        program = posixpath.basename(container.command[0])
        for field, words in (("command", container.command), ("args", container.args)):
            for index, word in enumerate(words):
                match = re.fullmatch(r"(?:--?[\w-]+=)?\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", word)
                name = (match[1] or match[2]) if match else ""
                if name in container.env:
                    better = re.sub(r"\$\{?\w+\}?", f"$({name})", word)
                    yield at(
                        container,
                        field,
                        index,
                        message=f"{word} in {field} is not replaced: no shell reads it",
                        fix=f"write {better}",
                        severity="error" if EXPANDS_NOTHING.match(program) else "warning",
                    )
    said = set()
    for image in container_images(model).values():
        entry = image.stage.entrypoint or image.stage.cmd
        if image.container.command or entry is None or entry.shell or entry.line in said:
            continue
        if not EXPANDS_NOTHING.match(posixpath.basename(entry.words[0])):
            continue
        for word in entry.words[1:]:
            if re.fullmatch(r"\$(\w+|\{\w+\}|\(\w+\))", word):
                said.add(entry.line)
                yield at(
                    image.container,
                    "image",
                    message=f"{word} in {image.file} is not replaced: an array is not read by a shell",
                    fix=f"write ENTRYPOINT exec {entry.words[0]} … without brackets, or the value itself",
                    place=image.place(entry.line),
                )
