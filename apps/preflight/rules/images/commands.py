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
from preflight.facts.known_images import known, shown
from preflight.findings import Outcome
from preflight.model import Model
from preflight.repository.shell_syntax import problem_of
from preflight.rules.registry import Violation, at, rule

INTERPRETERS = re.compile(
    r"(?:/\S+/)?(python[\d.]*|node|npm|npx|yarn|pnpm|deno|bun|java|ruby|bundle|rake|php|perl|dotnet|go|sh|bash"
    r"|uvicorn|gunicorn|hypercorn|granian|celery|flask|django-admin|uv|poetry)|\.?/\S+"
)
"""Words that begin a command line and are no argument of another program."""


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


@rule("command-in-one-word", family="images", severity="warning", outcome="CrashLoopBackOff")
def command_in_one_word(model: Model) -> Iterator[Violation]:
    """Several words of a command line written as one item.

    Each item is one word, blanks and all. The first item of `command` names the program, and no file is
    called `python -m app`: an error, and in a probe it fails every time. Of `args`, no program has an option
    called `--interval 2m`, and no entrypoint runs a file called `python3 -m shop.front`. Words for a shell
    (`sh -c`) are left alone, and single letters, which take what follows as their value.

        command: ["python -m shop.main"]       # ["python", "-m", "shop.main"]
    """
    images = container_images(model)
    for container in model.containers:
        for line in lines(container):
            first = line.words[0]
            if re.search(r"\s", first.strip()) and "\n" not in first.strip():
                own = line.paths[0][0] == "command"
                yield at(
                    container.field(*line.paths[0]),
                    message=f"{line.field} {first[:120]!r} is taken for the name of one program, "
                    "blanks and all",
                    fix=f"write [{_quoted(first)}]",
                    severity="error",
                    outcome="RunContainerError" if own else line.outcome,
                )
        image = images.get(container)
        program = start_of(container, image.stage if image is not None else None).program
        repository = known(container.image).names[0].rpartition("/")[2]
        if program not in SHELLS and not {program, repository} & {*SPLIT_THEMSELVES}:
            yield from _arguments(container)


SPLIT_THEMSELVES = ("envoy", "redis", "redis-server", "valkey", "valkey-server")
"""Programs, and images that start them, that take `--save 60 1` in one word as several."""


def _arguments(container: Container) -> Iterator[Violation]:
    words = [*container.fields("args.*"), *list(container.fields("command.*"))[1:]]
    for word in words:
        text = str(word.doc)
        option = re.fullmatch(r"(--?[A-Za-z][\w.-]+)[ \t]+(\S.*)", text)
        whole = word.path[-2:] == ("args", 0) and not container.command and _is_line(text)
        if option is not None:
            yield at(
                word,
                message=f"{text[:120]!r} reaches the program as one word, and no option has that name",
                fix=f'write "{option[1]}", "{option[2][:80]}" as two items'
                + (f", or {option[1]}={option[2][:80]}" if option[1].startswith("--") else ""),
            )
        elif whole:
            yield at(
                word,
                message=f"{text[:120]!r} is one argument of the image's entrypoint, not a command line",
                fix=f"write command: [{_quoted(text)}]",
            )


OPERATOR = re.compile(r"&&|\|\||[|;&]|(\d|&)?>>?(&\d|\S+)?|<")
BUILTINS = ("cd", "export", "source")
TAKE_OPERATORS = (
    "[", "awk", "cmd", "cmd.exe", "column", "expr", "find", "ksh", "powershell", "powershell.exe", "pwsh",
    "ssh", "test", "tr", "watch", "zsh",
)  # fmt: skip
"""Programs that may take such a word as an argument, or are shells of another kind."""


@rule("shell-word-without-shell", family="images", severity="error", outcome="CrashLoopBackOff")
def shell_word_without_shell(model: Model) -> Iterator[Violation]:
    """A word of the shell in a command line that no shell reads.

    `&&`, `|` and `>` reach the program as arguments, and `cd` and `export` are no programs: the second
    command never runs. A command line of Kubernetes is a list of words for one program.

        command: [python, manage.py, migrate, "&&", gunicorn, shop.wsgi]     # [sh, -c, "… && exec …"]
    """
    for container in model.containers:
        given = list(lines(container))
        if not container.command and container.args:
            paths = tuple(("args", index) for index in range(len(container.args)))
            given.append(Words(words=tuple(container.args), paths=paths, outcome="CrashLoopBackOff"))
        for line in given:
            names = [posixpath.basename(word) for word in line.words]
            if {*names} & {*SHELLS, *TAKE_OPERATORS}:
                continue
            index = 0 if line.words[0] in BUILTINS else _operator(line.words)
            if index is None or (index == 0 and line.paths[0][0] == "args"):
                continue
            own = line.paths[0][0] == "command"
            yield at(
                container.field(*line.paths[index]),
                message=f"{line.words[index]!r} in {line.field} is for a shell, and no shell reads it",
                fix='write ["sh", "-c", "…"] with the whole line as one word',
                severity=None if line.paths[0][0] != "args" else "warning",
                outcome="RunContainerError" if own and not index else line.outcome,
            )


def _operator(words: tuple[str, ...]) -> int | None:
    """The first word between others that only a shell reads; after an option it may be its value."""
    for index, word in enumerate(words[1:], 1):
        last = index == len(words) - 1
        if OPERATOR.fullmatch(word) and not words[index - 1].startswith("-") and (not last or len(word) > 1):
            return index
    return None


def _quoted(line: str) -> str:
    return ", ".join(f'"{word}"' for word in line.split())[:200]


def _is_line(word: str) -> bool:
    """Whether a word is a command line: the name of a program, and more on the same line."""
    first, _, rest = word.strip().partition(" ")
    return bool(rest) and "\n" not in word.strip() and INTERPRETERS.fullmatch(first) is not None


SHORT = frozenset(
    {"chmod", "chown", "cp", "date", "echo", "env", "exit", "false", "hostname", "id", "ln", "ls",
     "mkdir", "mv", "printenv", "printf", "pwd", "rm", "set", "test", "touch", "true", "uname", "whoami"}
)  # fmt: skip
"""Programs that end at once, whatever they are given."""


@rule("container-ends", family="images", severity="error", outcome="CrashLoopBackOff")
def container_ends(model: Model) -> Iterator[Violation]:
    """A container of a pod that is started again and again, whose command ends at once.

    `Completed`, then CrashLoopBackOff. The images of Linux and of languages start a shell or an interpreter,
    which ends without a terminal; a shell without a script does the same, and a script that only prints.
    What is to end belongs into a Job or an init container. A container with `stdin` or `tty` waits.

        containers:
        - {name: box, image: "ubuntu:24.04"}     # and no command
    """
    for container in model.containers:
        pod = container.workload
        once = pod.kind in ("CronJob", "Job") or pod.get("restartPolicy", default="Always") != "Always"
        if once or container.role == "init":
            continue
        if container.get("stdin") is True or container.get("tty") is True:
            continue
        ends = known(container.image).ends and not container.command and not container.args
        start = start_of(container)
        words = start.words if container.command and _operator(start.words) is None else ()
        if ends:
            message = (
                f"{shown(container.image)} starts a shell or an interpreter, which ends without a terminal"
            )
        elif len(words) == 1 and start.program in SHELLS:
            message = f"{start.program} is given no script, and ends without a terminal"
        elif words and (
            _is_short(start.script)
            if start.script is not None
            else re.sub(r"^(/usr)?/bin/", "", words[0]) in SHORT
        ):
            message = f"the command of {container.name} ends as soon as it has started"
        else:
            continue
        yield at(
            container.field("image" if ends else "command"),
            message=message,
            fix="give it the command that it is to run" if ends else "run what is to go on, or make it a Job",
        )


def _is_short(script: str) -> bool:
    """Whether every command of a script is one that ends at once."""
    if re.search(r"[|&`(){}<]|\$\(", script.replace("&&", ";").replace(">&", ">")):
        return False
    commands = [each.split() for each in re.split(r"&&|[;\n]", script)]
    return all(
        words[0] in (*SHORT, *BUILTINS) for words in commands if words and not words[0].startswith("#")
    )


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
                            container.field(*line.paths[index]),
                            message=f"{shell} cannot read the script in {line.field}: {problem}",
                            fix="close what is open",
                            outcome=line.outcome,
                        )
                    break
    for image in container_images(model).values():
        for place, problem, outcome in _of_image(image):
            yield at(
                image.container.field("image"),
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
