"""Values that are overridden, left unexpanded, or hold what an env file keeps of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.environment import EnvVar, expand
from preflight.cluster.workloads import Container
from preflight.documents.paths import Step, dig
from preflight.facts.settings import container_settings, written_at
from preflight.findings import Outcome, Place
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import COLLECTION, listed, near

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
PLATFORM = re.compile(r"KUBERNETES_\w+|\w+_(SERVICE_HOST|SERVICE_PORT\w*|PORT(_\d+_\w+)?)")
"""Variables that Kubernetes adds for Services."""


@rule("variable-twice", family="environment", severity="error", outcome="applies nothing")
def variable_twice(model: Model) -> Iterator[Violation]:
    """A variable that stands twice in one `env` list.

    The later one counts and the earlier one has no effect; client-side apply may drop either when they are
    changed, and server-side apply refuses the list. A warning where both say the same.

        env:
        - {name: LOG_LEVEL, value: INFO}
        - {name: LOG_LEVEL, value: DEBUG}
    """
    for container in model.containers:
        last: dict[str, EnvVar] = {}
        for each in reversed([each for each in container.offers if _in_env(container, each)]):
            later = last.setdefault(each.name, each)
            if later is not each:
                same = (later.origin, later.raw, later.source_name) == (
                    each.origin,
                    each.raw,
                    each.source_name,
                )
                yield at(
                    container,
                    *each.path[len(container.path) :],
                    "name",
                    message=f"{each.name} is set again at {container.where(*_below(container, later))}"
                    + (", to the same" if same else ", and that one counts"),
                    fix="keep one of them",
                    severity="warning" if same else "error",
                )


def _in_env(container: Container, offered: EnvVar) -> bool:
    return _below(container, offered)[:1] == ("env",)


def _below(container: Container, offered: EnvVar) -> tuple[str | int, ...]:
    return offered.path[len(container.path) :]


@rule("variable-overridden", family="environment", severity="warning", outcome="applies nothing")
def variable_overridden(model: Model) -> Iterator[Violation]:
    """A key that a later `envFrom` source overrides in every container that takes it.

    Of two sources with the same key the later one counts, silently: an edit of the earlier one changes
    nothing. An `env` item that overrides a key is taken for meant.

        envFrom:
        - configMapRef: {name: vhm-config}        # LOG_LEVEL=INFO
        - configMapRef: {name: indexer-config}    # LOG_LEVEL=DEBUG counts
    """
    overriding: dict[Place, list[tuple[Container, EnvVar, EnvVar | None]]] = {}
    for container in model.containers:
        later: dict[str, EnvVar] = {}
        for each in reversed([each for each in container.offers if not _in_env(container, each)]):
            last = later.setdefault(each.name, each)
            beaten_by = last if last is not each and last.value != each.value else None
            overriding.setdefault(each.place, []).append((container, each, beaten_by))
    for uses in overriding.values():
        container, offered, winner = uses[0]
        if winner is not None and all(each[2] is not None for each in uses):
            part, path = written_at(container, offered)
            yield at(
                part,
                *path,
                message=f"{offered.name} has no effect in {listed(each[0].name for each in uses)}: "
                f"{winner.source_name} is taken later and sets it too, at {winner.place}",
                fix="keep one of them, or take this source last",
                place=offered.place,
            )


@rule("variable-left-literal", family="environment", severity="warning", outcome="applies nothing")
def variable_left_literal(model: Model) -> Iterator[Violation]:
    """A `$(NAME)` that stays as it is written.

    The kubelet replaces it in `value:`, `command` and `args`, and only by variables that are defined before
    it: by `envFrom` or further up in `env`. Values of ConfigMaps and Secrets are never replaced in. An error
    where the variable is defined, but too late or in the wrong place, or where a slip explains it.

        env:
        - {name: ADDRESS, value: "$(POD_IP):9092"}      # POD_IP comes further down
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    """
    seen = set()
    for container in model.containers:
        if not container.env_is_known:
            continue
        shell = "-c" in container.command or "-c" in container.args
        for each in container.offers:
            in_env = _in_env(container, each)
            names = each.unexpanded if in_env else expand(each.raw or "", {})[1]
            for name in names if not each.is_secret else ():
                late = name in container.env
                if not _counts(container, name) or (not in_env and not late) or each.place in seen:
                    continue
                seen.add(each.place)
                part, path = written_at(container, each)
                why = "is defined further down" if in_env else "is not replaced in a ConfigMap's value"
                meant = None if late else near(name, container.env)
                yield at(
                    part,
                    *path,
                    message=f"$({name}) stays as it is: {name} " + (why if late else _absent(meant)),
                    fix=_remedy(late, in_env, name, meant),
                    severity="error" if late or meant else "warning",
                    place=each.place,
                )
        for field in ("command", "args"):
            for index, word in enumerate(container.items(field)):
                known: dict[str, str | None] = {name: each.value for name, each in container.env.items()}
                for name in expand(str(word), known)[1] if not shell else ():
                    if _counts(container, name):
                        meant = near(name, container.env)
                        yield at(
                            container,
                            field,
                            index,
                            message=f"$({name}) stays as it is: {name} {_absent(meant)}",
                            fix=_remedy(False, True, name, meant),
                            severity="error" if meant else "warning",
                        )


def _counts(container: Container, name: str) -> bool:
    links = container.workload.get("enableServiceLinks") is not False
    return VARIABLE.fullmatch(name) is not None and not (links and PLATFORM.fullmatch(name))


def _absent(meant: str | None) -> str:
    return "is not defined" + (f"; did you mean {meant}?" if meant else "")


def _remedy(late: bool, in_env: bool, name: str, meant: str | None) -> str:
    if late and in_env:
        return f"move {name} above it"
    if late:
        return "set it by `env` and `value:`, where the kubelet replaces it"
    return (
        f"write $({meant})"
        if meant
        else f"define {name} above it, or write $$({name}) if it is meant literally"
    )


@rule("probe-variable-not-expanded", family="environment", severity="error", outcome="never ready")
def probe_variable_not_expanded(model: Model) -> Iterator[Violation]:
    """A `$(NAME)` in a probe's or hook's command that the kubelet does not replace by the variable's value.

    In the commands of probes only variables with a plain `value:` are replaced: of `valueFrom` comes nothing
    at all, of `envFrom` the text stays. In lifecycle hooks no variable is replaced.

        livenessProbe:                 # and POSTGRES_USER comes from a Secret
          exec: {command: [psql, -U, $(POSTGRES_USER), -c, SELECT 1]}
    """
    for container in model.containers:
        plain = {str(dig(item, "name")) for item in container.items("env") if dig(item, "valueFrom") is None}
        named = {str(dig(item, "name")) for item in container.items("env")}
        hooks = [("lifecycle", name) for name in ("postStart", "preStop")]
        paths: list[tuple[Step, ...]] = [*((name,) for name in container.probes), *hooks]
        for path in paths:
            hook = path[0] == "lifecycle"
            for index, word in enumerate(container.items(*path, "exec", "command")):
                unknown = expand(str(word), {})[1]
                names = [n for n in unknown if n in container.env and (hook or n not in plain)]
                if names:
                    name = names[0]
                    empty = name in named and not hook
                    yield at(
                        container,
                        *path,
                        "exec",
                        "command",
                        index,
                        message=f"$({name}) in {path[-1]} "
                        + ("becomes nothing" if empty else "stays as it is")
                        + f": {'no variable is' if hook else 'only a plain value: is'} replaced here",
                        fix=f'let a shell do it: [sh, -c, "… ${name} …"]',
                        outcome=OUTCOMES.get(str(path[-1])),
                    )


OUTCOMES: dict[str, Outcome] = {"livenessProbe": "CrashLoopBackOff", "postStart": "CrashLoopBackOff"}
"""What comes of a command that always fails, where it is not that the pod is never ready."""


@rule("env-file-quotes", family="environment", severity="error", outcome="ready but silent")
def env_file_quotes(model: Model) -> Iterator[Violation]:
    """A value of an env file with quotes around it or a comment behind it.

    kustomize takes everything after the first `=` as it is, quotes and ` # comments` included, though shells
    and Docker Compose do not: the app gets a name with quotes in it, finds nothing there, and says nothing.
    A store refuses such a name for a collection, and the app is never ready. Where the settings type refuses
    the value, that is reported instead.

        QDRANT_COLLECTION="anchors"    # this comment would be part of the value, too
    """
    refused = {
        settings.container.env[name].place
        for settings in container_settings(model).values()
        for problem in settings.answer.problems
        for name in problem.variables
        if name in settings.container.env
    }
    seen = set()
    for container in model.containers:
        for each in container.offers:
            kept = _kept(each.raw or "")
            of_file = each.source is not None and not each.place.file.endswith(
                (".yaml", ".yml", ".json", "-")
            )
            if not kept or not of_file or each.place in refused or each.place in seen:
                continue
            seen.add(each.place)
            part, path = written_at(container, each)
            yield at(
                part,
                *path,
                message=f"{each.key}: the {kept} of the value that {container.name} gets",
                fix="write the value alone",
                place=each.place,
                outcome="never ready" if COLLECTION.fullmatch(each.key) else None,
            )


def _kept(value: str) -> str:
    """What an env file's reader would have been expected to leave out."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" and value[0] not in value[1:-1]:
        return "quotes are part"
    return "comment is part" if re.search(r"\s#(\s|$)", value) else ""
