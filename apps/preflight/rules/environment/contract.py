"""What the settings type of a container says to what the container is offered."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from preflight.cluster.environment import data_of, files_variables, place_of_key
from preflight.cluster.objects import Field
from preflight.cluster.workloads import Container
from preflight.facts.images import container_images
from preflight.facts.settings import ContainerSettings, Written, asked, container_settings, written_at
from preflight.findings import Severity
from preflight.model import Model
from preflight.repository.app import Problem
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near


@rule("setting-not-offered", family="environment", severity="error", outcome="CrashLoopBackOff")
def setting_not_offered(model: Model) -> Iterator[Violation]:
    """A required setting that the container is not offered, or is offered empty.

    The settings type is made with the container's own variables and files, and cannot be; with this variable
    it can. The usual causes are a renamed key, a ConfigMap left out of `envFrom`, and a key-by-key list that
    was not extended. Where a Secret made elsewhere may hold it, this is a warning; where one surely does (a
    secret setting, a Secret that is not optional, a mount that the type looks into), nothing.

        envFrom:                       # vhm.indexer.settings needs KAFKA_BOOTSTRAP_SERVERS
        - configMapRef:
            name: store-config
    """
    for settings in container_settings(model).values():
        for problem in settings.problems("missing"):
            name = problem.variables[0]
            severity = _doubt(model, settings, problem)
            if severity is None:
                continue
            if (slip := _misspelt_key(settings.container, name)) is not None:
                key, source, right = slip
                yield at(
                    key,
                    message=f"{name} is required by {settings.container.name}, and not offered: {source} has "
                    f"no key {key.doc}; did you mean {right}?",
                    fix=f"write {right}",
                    severity=severity,
                )
                continue
            meant = near(name, settings.answer.unread) or _part_of(name, settings.answer.unread)
            plain = problem.expected in ("", "text")
            expected = "" if plain else f" (expected: {problem.expected})"
            instead = f"; {meant} is offered, and not read" if meant else ""
            yield at(
                asked(settings.container, name),
                message=f"{name} is required by {settings.container.name}{expected} and not offered{instead}",
                fix=f"rename {meant} to {name}" if meant else f"set {name} in a ConfigMap it takes",
                severity=severity,
            )
        for problem in settings.problems("value"):
            name = _variable(problem)
            offered = settings.container.env.get(name)
            if offered is not None and _is_blank(settings, name) and not settings.answer.unseen:
                yield at(
                    written_at(settings.container, offered),
                    message=f"{name} is empty; {settings.container.name}: {_expectation(problem)}",
                    fix=f"set {name}",
                )


def _misspelt_key(container: Container, name: str) -> tuple[Field, str, str] | None:
    """The optional key that would have set a variable, what lacks it, and the key that is there."""
    offered = next((each for each in container.offers if each.name == name and each.missing), None)
    if offered is None or offered.source is None:
        return None
    right = near(offered.key, data_of(offered.source))
    field = f"{offered.source.kind[:1].lower()}{offered.source.kind[1:]}KeyRef"
    key = container.field("env", offered.path[-1], "valueFrom", field, "key")
    return (key, offered.source.ref, right) if right and key.doc is not None else None


def _part_of(name: str, others: Iterable[str]) -> str | None:
    """The name that lacks a prefix, or the case, of the one that is asked for."""
    return next((each for each in others if f"_{name}".upper().endswith(f"_{each}".upper())), None)


def _is_blank(settings: ContainerSettings, name: str) -> bool:
    return not settings.start.pod.state.get(name, "x").strip()


def is_held(model: Model, container: Container) -> bool:
    """Whether it takes a Secret that is said to be provided: what is in it cannot be seen, and is trusted."""
    names = [each.name for each in container.env_from if each.kind == "Secret" and each.source is None]
    names += [each.source_name for each in container.offers if each.is_secret and each.source is None]
    return any(model.config.provides("Secret", name) for name in names)


def _doubt(model: Model, settings: ContainerSettings, problem: Problem) -> Severity | None:
    """How sure it is that nothing made elsewhere offers a variable."""
    variable = settings.variable(problem.variables[0])
    secret = variable is not None and variable.secret
    elsewhere = [each for each in settings.container.env_from if each.source is None]
    name = problem.variables[0]
    if any(name in files_variables(each) for each in settings.container.offers):
        return None  # env-file-as-one-key says it
    if settings.answer.unseen or (secret and is_held(model, settings.container)):
        return None
    if any(each.kind == "ConfigMap" and not each.optional for each in elsewhere):
        return None
    if any(not each.optional for each in elsewhere):
        return None if secret else "warning"
    return "warning" if elsewhere and secret else "error"


@rule("setting-value-wrong", family="environment", severity="error", outcome="CrashLoopBackOff")
def setting_value_wrong(model: Model) -> Iterator[Violation]:
    """A value that the settings type does not take: another type, out of bounds, not one of its choices.

    The app decodes its settings at start and ends with an error. The type itself is made with the container's
    variables and files; a value is named where the error is another one, or gone, once that value is changed.
    A Secret's value is not shown. An env file keeps quotes and comments after a value as part of it.

        RESONANCE_MAX_BEATS=0          # expected a whole number, at least 1
    """
    for settings in container_settings(model).values():
        for problem in settings.problems("value"):
            name = _variable(problem)
            if _is_blank(settings, name) or name in settings.start.links:
                continue
            value = settings.start.pod.state.get(name, "")
            shown = "a value that is not shown" if _is_secret(settings, name) else repr(_clipped(value))
            given = f"{name}, {problem.field}" if name.startswith("/") else f"{name} {shown}"
            quoted = not _is_secret(settings, name) and value.strip()[:1] in ("'", '"')
            yield at(
                _source(model, settings, name),
                message=f"cannot start with {given}: {_expectation(problem)}"
                + (f" ({problem.field})" if "." in problem.field and not name.startswith("/") else ""),
                fix="write the value without quotes: an env file keeps them"
                if quoted
                else f"write {_example(settings, problem, value)}",
                readers=(settings.container.name,),
            )


def _variable(problem: Problem) -> str:
    return problem.variables[0] if problem.variables else ""


def _expectation(problem: Problem) -> str:
    said = problem.message or "the settings type refuses it"
    return f"expected {problem.expected}" if problem.expected else said[:1].lower() + said[1:]


def _example(settings: ContainerSettings, problem: Problem, value: str) -> str:
    """What to write instead."""
    if problem.expected.startswith("a JSON list") and not _is_secret(settings, _variable(problem)):
        parts = [part.strip() for part in value.split(",") if part.strip()]
        return f"a JSON list such as {json.dumps(parts[:4])}" if parts else "a JSON list such as []"
    return problem.expected or "a value that the settings type takes"


def _is_secret(settings: ContainerSettings, name: str) -> bool:
    offered, variable = settings.container.env.get(name), settings.variable(name)
    value = settings.start.pod.state.get(name, "")
    holds_one = any(secret.strip() in value for secret in settings.start.pod.secrets)
    return (
        holds_one or (offered is not None and offered.is_secret) or (variable is not None and variable.secret)
    )


def _clipped(value: str) -> str:
    return value if len(value) <= 80 else value[:77] + "..."


def _source(model: Model, settings: ContainerSettings, name: str) -> Field:
    """Where a variable or a mounted file of the pod is written."""
    container = settings.container
    offered = container.env.get(name)
    if offered is not None:
        return written_at(container, offered)
    if name in settings.start.files:
        obj, key = settings.start.files[name]
        return Written(obj, ("data", key), place_of_key(obj, key))
    image = container_images(model).get(container)
    if image is not None and name in image.stage.env:
        return Written(container, ("image",), image.place(image.stage.env[name].line))
    return container.field("name")


@rule("settings-conflict", family="environment", severity="error", outcome="CrashLoopBackOff")
def settings_conflict(model: Model) -> Iterator[Violation]:
    """Settings that are each right and not together.

    The settings type checks itself when it is made, and its own words are shown. Where a value that cannot be
    seen here (a key of a Secret made elsewhere) could put it right, or where no variable has a part in it,
    this is a warning.

        EMBEDDING_MODEL=openai:text-embedding-3-small    # and no OPENAI_API_KEY
    """
    for settings in container_settings(model).values():
        held = is_held(model, settings.container)
        for problem in settings.problems("conflict"):
            if (held and not problem.certain) or settings.answer.unseen:
                continue
            state = settings.start.pod.state
            offered = next((name for name in problem.variables if state.get(name, "").strip()), None)
            if offered is not None:
                where = _source(model, settings, offered)
            else:
                where = asked(settings.container, _variable(problem))
            said = problem.message or "the words it says hold a part of a Secret's value and are not shown"
            field = f"{problem.field}: " if problem.field else ""
            yield at(
                where,
                message=f"cannot start: {field}{said}",
                fix="change one of them, or offer what is missing",
                readers=(settings.container.name,),
                severity="error" if problem.certain and problem.variables else "warning",
            )


@rule("aliases-disagree", family="environment", severity="error", outcome="CrashLoopBackOff")
def aliases_disagree(model: Model) -> Iterator[Violation]:
    """A setting that is offered under two of its names with two values.

    An app that says what it reads refuses to start; of pydantic's aliases the first that is set counts, and
    the others are not read: a warning, for whoever changes them changes nothing.

        KAFKA_BOOTSTRAP_SERVERS=kafka-service:9092
        KAFKA_BOOTSTRAP=kafka:9092     # the old name of the same setting
    """
    for settings in container_settings(model).values():
        for problem in settings.problems("aliases"):
            variable = settings.variable(_variable(problem))
            names = sorted(problem.variables, key=lambda name: variable is None or name != variable.name)
            yield _of_one_setting(model, settings, names[0], names[1], refused=True)
        state = settings.start.pod.state
        for name, taken in settings.answer.shadowed.items():
            if name in settings.container.env and state.get(name) != state.get(taken):
                yield _of_one_setting(model, settings, taken, name, refused=False)


def _of_one_setting(
    model: Model, settings: ContainerSettings, kept: str, other: str, refused: bool
) -> Violation:
    two = f"{other} and {kept} ({_source(model, settings, kept).where()}) are one setting and differ"
    return at(
        _source(model, settings, other),
        message=f"cannot start: {two}" if refused else f"{two}: {kept} is taken first, {other} has no effect",
        fix=f"remove {other}",
        readers=(settings.container.name,) if refused else (),
        severity="error" if refused else "warning",
        outcome=None if refused else "applies nothing",
    )


@rule("setting-not-wired", family="environment", severity="warning", outcome="applies nothing")
def setting_not_wired(model: Model) -> Iterator[Violation]:
    """An optional setting that the container's ConfigMap has and that is not passed on.

    Where each variable is listed, one that is not listed keeps its default, whatever the ConfigMap says.
    Taking the ConfigMap by `envFrom` leaves nothing to forget.

        env:                           # the ConfigMap has RESONANCE_LOG_LEVEL too
        - name: RESONANCE_MAX_BEATS
          valueFrom: {configMapKeyRef: {name: vhm-config, key: RESONANCE_MAX_BEATS}}
    """
    for settings in container_settings(model).values():
        container = settings.container
        if container.env_from or not container.items("env"):
            continue
        passed = {variable.name for variable in container.offers}
        sources = {offer.source_name: offer.source for offer in container.offers if offer.source is not None}
        for variable in settings.variables:
            if variable.required or passed & {*variable.names} or settings.offered(variable):
                continue
            holder = next((s for s in sources.values() if variable.name in s.mapping("data")), None)
            if holder is not None:
                yield at(
                    container.field("name"),
                    message=f"{variable.name} is in {holder.ref} and is not passed on to {container.name}",
                    fix="add it to `env`, or take the whole by `envFrom`",
                )
