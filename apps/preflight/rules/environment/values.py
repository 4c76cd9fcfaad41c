"""Values that are overridden, left unexpanded, or hold what an env file keeps of them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from preflight.cluster.environment import EnvVar, expand, files_variables
from preflight.cluster.workloads import Container
from preflight.documents.paths import Step
from preflight.facts.images import SHELLS, ContainerImage, command_fields, container_images, start_of
from preflight.facts.settings import written_at
from preflight.findings import Outcome, Place
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import COLLECTION, hint, listed, near

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
PLATFORM = re.compile(r"KUBERNETES_\w+|\w+_(SERVICE_HOST|SERVICE_PORT\w*|PORT(_\d+_\w+)?)")
"""Variables that Kubernetes adds for Services."""
OF_A_SHELL = re.compile(r"(?:^|^--?[\w-]+=)\$([A-Za-z_]\w*)$|(?<!\$)\$\{([A-Za-z_]\w*)\}")
EXPANDS_NOTHING = re.compile(r"(python[\d.]*|uvicorn|gunicorn|hypercorn|node|sleep|cat)$")
"""Programs that take `$NAME` in their arguments as it is written; some, as Spring's, fill in `${NAME}`."""


@rule("variable-overridden", family="environment", severity="warning", outcome="applies nothing")
def variable_overridden(model: Model) -> Iterator[Violation]:
    """A variable that is set twice, where the later one counts.

    Of two `envFrom` sources with the same key the later one counts, silently: an edit of the earlier one
    changes nothing in any container that takes it. A name that stands twice in one `env` list with two values
    is an error: client-side apply may drop either, and server-side apply refuses the list. An `env` item that
    overrides a key of a source is taken for meant.

        envFrom:
        - configMapRef: {name: vhm-config}        # LOG_LEVEL=INFO
        - configMapRef: {name: indexer-config}    # LOG_LEVEL=DEBUG counts
    """
    overriding: dict[Place, list[tuple[Container, EnvVar, EnvVar | None]]] = {}
    for container in model.containers:
        last: dict[tuple[bool, str], EnvVar] = {}
        for each in reversed(container.offers):
            later = last.setdefault((_in_env(each), each.name), each)
            if not _in_env(each):
                beaten_by = later if later is not each and later.value != each.value else None
                overriding.setdefault(each.place, []).append((container, each, beaten_by))
            elif later is not each:
                same = (later.origin, later.raw, later.source_name) == (
                    each.origin,
                    each.raw,
                    each.source_name,
                )
                yield at(
                    container.field(*each.path[len(container.path) :], "name"),
                    message=f"{each.name} is set again at {container.obj.where(*later.path)}"
                    + (", to the same" if same else ", and that one counts"),
                    fix="keep one of them",
                    severity="warning" if same else "error",
                )
    for uses in overriding.values():
        container, offered, winner = uses[0]
        if winner is not None and all(each[2] is not None for each in uses):
            yield at(
                written_at(container, offered),
                message=f"{offered.name} has no effect in {listed(each[0].name for each in uses)}: "
                f"{winner.source_name} is taken later and sets it too, at {winner.place}",
                fix="keep one of them, or take this source last",
            )


def _in_env(offered: EnvVar) -> bool:
    return offered.path[-2] == "env"


@rule("variable-left-literal", family="environment", severity="warning", outcome="applies nothing")
def variable_left_literal(model: Model) -> Iterator[Violation]:
    """A `$(NAME)` or `$NAME` that stays as it is written.

    The kubelet replaces `$(NAME)` in `value:`, `command` and `args`, by variables that are defined before it:
    by `envFrom` or further up in `env`. Values of ConfigMaps and Secrets are never replaced in; in the
    commands of probes only a plain `value:` is taken (of `valueFrom` comes nothing at all), in those of hooks
    none. `$NAME` is a shell's: without one it reaches the program as it is, and so it does from ENTRYPOINT
    and CMD as arrays, where not even `$(NAME)` is replaced. An error where the variable is defined, or where
    a slip explains it; in probes and hooks only for clients of databases, since other programs may well do
    with an empty word.

        env:
        - {name: ADDRESS, value: "$(POD_IP):9092"}      # POD_IP comes further down
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    """
    for container in model.containers:
        if container.env_is_known:
            yield from _in_values(container)
            yield from _in_command(container)
        yield from _without_shell(container, container_images(model).get(container))
        yield from _in_actions(container)
    for image in container_images(model).values():
        yield from _in_array(image)


def _in_values(container: Container) -> Iterator[Violation]:
    for each in container.offers:
        in_env = _in_env(each)
        names = each.unexpanded if in_env else expand(each.raw or "", {})[1]
        for name in names if not each.is_secret else ():
            late = name in container.env
            if not _counts(container, name) or (not in_env and not late):
                continue
            meant = None if late else near(name, container.env)
            why = "is defined further down" if in_env else "is not replaced in a ConfigMap's value"
            fix = f"move {name} above it" if in_env else "set it by `env` and `value:`, which is replaced in"
            yield at(
                written_at(container, each),
                message=f"$({name}) stays as it is: {name} "
                + (why if late else f"is not defined{hint(meant)}"),
                fix=fix if late else _define(name, meant),
                severity="error" if late or meant else "warning",
            )


def _in_command(container: Container) -> Iterator[Violation]:
    if "-c" in container.command or "-c" in container.args:
        return
    known = {name: each.value for name, each in container.env.items()}
    for word in command_fields(container):
        for name in expand(str(word.doc), known)[1]:
            if _counts(container, name):
                meant = near(name, container.env)
                yield at(
                    word,
                    message=f"$({name}) stays as it is: {name} is not defined{hint(meant)}",
                    fix=_define(name, meant),
                    severity="error" if meant else "warning",
                )


def _counts(container: Container, name: str) -> bool:
    links = container.workload.get("enableServiceLinks") is not False
    return VARIABLE.fullmatch(name) is not None and not (links and PLATFORM.fullmatch(name))


def _define(name: str, meant: str | None) -> str:
    if meant:
        return f"write $({meant})"
    return f"define {name} above it, or write $$({name}) if it is meant literally"


def _without_shell(container: Container, image: ContainerImage | None) -> Iterator[Violation]:
    program = start_of(container, image.stage if image is not None else None).program
    if program in SHELLS:
        return
    known = bool(container.command) or image is not None
    for field in command_fields(container):
        word = str(field.doc)
        match = OF_A_SHELL.search(word)
        name = (match[1] or match[2]) if match else ""
        if name in container.env:
            better = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", f"$({name})", word)
            yield at(
                field,
                message=f"{word} in {field.path[-2]} is not replaced: no shell reads it"
                + ("" if known else ", unless the image's own start script has one do it"),
                fix=f"write {better}",
                severity="error" if known and EXPANDS_NOTHING.match(program) else "warning",
                outcome="CrashLoopBackOff",
            )


def _in_array(image: ContainerImage) -> Iterator[Violation]:
    entry = image.stage.entrypoint or image.stage.cmd
    if image.container.command or entry is None or entry.shell:
        return
    words = entry.words[1:] if EXPANDS_NOTHING.match(posixpath.basename(entry.words[0])) else ()
    word = next((each for each in words if re.fullmatch(r"\$(\w+|\{\w+\}|\(\w+\))", each)), None)
    if word is not None:
        yield at(
            image.container.field("image"),
            message=f"{word} in {image.file} is not replaced: an array is not read by a shell",
            fix=f"write ENTRYPOINT exec {entry.words[0]} … without brackets, or the value itself",
            place=image.place(entry.line),
            severity="error",
            outcome="CrashLoopBackOff",
        )


ACTIONS: dict[tuple[Step, ...], Outcome] = {
    ("startupProbe",): "never ready",
    ("readinessProbe",): "never ready",
    ("livenessProbe",): "CrashLoopBackOff",
    ("lifecycle", "postStart"): "CrashLoopBackOff",
    ("lifecycle", "preStop"): "never ready",
}
"""Commands of probes and hooks, and what comes of one that always fails."""
ASKS_ANYBODY = ("mariadb-admin", "mysqladmin", "pg_isready")
"""Programs that find a server ready whoever the user is that they are given."""
CLIENTS = ("mariadb", "mongo", "mongosh", "mysql", "psql")
"""Programs that end with an error where a user, password or database is empty or unknown."""


def _in_actions(container: Container) -> Iterator[Violation]:
    named = {str(item.get("name")): item for item in container.fields("env.*")}
    for path, outcome in ACTIONS.items():
        hook = path[0] == "lifecycle"
        words = list(container.field(*path).fields("exec.command.*"))
        program = posixpath.basename(str(words[0].doc)) if words else ""
        if program in ASKS_ANYBODY:
            continue
        for word in words:
            names = (name for name in expand(str(word.doc), {})[1] if name in container.env)
            for name in names:
                item = named.get(name)
                if not hook and item is not None and item.get("valueFrom") is None:
                    continue
                becomes = "becomes nothing" if item is not None and not hook else "stays as it is"
                yield at(
                    word,
                    message=f"$({name}) in {path[-1]} {becomes}: "
                    f"{'no variable is' if hook else 'only a plain value: is'} replaced here",
                    fix=f'let a shell do it: [sh, -c, "… ${name} …"]',
                    severity="error" if program in CLIENTS else "warning",
                    outcome=outcome,
                )
                break


@rule("env-file-as-one-key", family="environment", severity="error", outcome="applies nothing")
def env_file_as_one_key(model: Model) -> Iterator[Violation]:
    """An env file that a generator takes by `files:`, in a ConfigMap that a container takes by `envFrom`.

    `files:` makes one key of a file: the container gets a variable called config.env that holds it all, and
    none of those in it. `envs:` makes a key of each line.

        configMapGenerator:
        - name: vhm-config
          files: [config.env]          # envs: [config.env]
    """
    readers: dict[tuple[str, str], list[EnvVar]] = {}
    for container in model.containers:
        for each in container.offers:
            if each.source is not None and each.path[-2] == "envFrom" and files_variables(each):
                readers.setdefault((each.source.ref, each.name), []).append(each)
    for (_, name), found in readers.items():
        source, variables = found[0].source, files_variables(found[0])
        if source is not None:
            yield at(
                source.field("data", found[0].key),
                message=f"{name} reaches its containers as one variable that holds a whole file, and none of "
                "its lines"
                + (f" ({listed(variables[:3])})" if source.kind == "ConfigMap" else "")
                + " as a variable",
                fix=f"take it by envs: [{name}] instead of files:",
                place=source.origin,
            )


@rule(
    "env-file-quotes",
    family="environment",
    severity="error",
    outcome="ready but silent",
    unless=["setting-value-wrong", "settings-conflict", "aliases-disagree"],
)
def env_file_quotes(model: Model) -> Iterator[Violation]:
    """A value of an env file with quotes around it or a comment behind it.

    kustomize takes everything after the first `=` as it is, quotes and ` # comments` included, though shells
    and Docker Compose do not: the app gets a name with quotes in it, finds nothing there, and says nothing.
    A store refuses such a name for a collection, and the app is never ready. Where the settings type refuses
    the value, that is reported instead.

        QDRANT_COLLECTION="anchors"    # this comment would be part of the value, too
    """
    for container in model.containers:
        for each in container.offers:
            kept = _kept(each.raw or "")
            of_file = each.source is not None and not each.place.file.endswith(
                (".yaml", ".yml", ".json", "-")
            )
            if kept and of_file:
                yield at(
                    written_at(container, each),
                    message=f"{each.key}: the {kept} of the value",
                    fix="write the value alone",
                    outcome="never ready" if COLLECTION.fullmatch(each.key) else None,
                )


def _kept(value: str) -> str:
    """What an env file's reader would have been expected to leave out."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" and value[0] not in value[1:-1]:
        return "quotes are part"
    return "comment is part" if re.search(r"\s#(\s|$)", value) else ""
