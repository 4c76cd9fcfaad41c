"""What the settings type of a container says to what the container is offered."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from preflight.cluster.environment import EnvVar
from preflight.cluster.workloads import Container
from preflight.facts.settings import ContainerSettings, asked, container_settings, listed, written_at
from preflight.findings import Severity
from preflight.model import Model
from preflight.repository.app import Variable
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near


@rule("setting-not-offered", family="environment", severity="error", outcome="CrashLoopBackOff")
def setting_not_offered(model: Model) -> Iterator[Violation]:
    """A required setting that the container is not offered, or is offered empty.

    The settings type says that the app cannot start without it; the manifests pass no such variable, under
    its name or an alias. The usual causes are a renamed key, a ConfigMap left out of `envFrom`, and a
    key-by-key list that was not extended. Where a Secret made elsewhere may hold it, this is a warning;
    where one surely does (a secret setting, a Secret that is not optional), nothing.

        envFrom:                       # vhm.indexer.settings wants KAFKA_BOOTSTRAP_SERVERS
        - configMapRef:
            name: store-config
    """
    for settings in container_settings(model).values():
        for name in settings.checked.missing:
            variable = settings.variable(name)
            severity = _doubt(model, settings.container, variable) if variable is not None else None
            if variable is None or severity is None:
                continue
            empty = _empty(settings, variable)
            part, path = (
                written_at(settings.container, empty)
                if empty
                else (settings.container, asked_of(settings, name))
            )
            meant = near(name, (each for each in settings.values if settings.variable(each) is None))
            what = f"{empty.name} is empty" if empty else f"{name} is not offered{_instead(meant)}"
            yield at(
                part,
                *path,
                message=f"{what}; {settings.container.name} wants {variable.type}",
                fix=f"rename {meant} to {name}"
                if meant and not empty
                else f"set {name} in a ConfigMap it takes",
                severity=severity,
            )


def asked_of(settings: ContainerSettings, name: str) -> tuple[str | int, ...]:
    """Where the container asks for a variable it is not offered."""
    return asked(settings.container, name)


def _instead(meant: str | None) -> str:
    return f", but {meant} is" if meant else ""


def _empty(settings: ContainerSettings, variable: Variable) -> EnvVar | None:
    found = [each for name, each in settings.container.env.items() if settings.variable(name) == variable]
    return next((each for each in found if each.value is not None and not each.value.strip()), None)


def is_held(model: Model, container: Container) -> bool:
    """Whether it takes a Secret that is said to be provided: what is in it cannot be seen, and is trusted."""
    names = [each.name for each in container.env_from if each.kind == "Secret" and each.source is None]
    names += [each.source_name for each in container.offers if each.is_secret and each.source is None]
    return any(model.config.provides("Secret", name) for name in names)


def _doubt(model: Model, container: Container, variable: Variable) -> Severity | None:
    """How sure it is that nothing made elsewhere offers the variable."""
    elsewhere = [each for each in container.env_from if each.source is None]
    if variable.secret and is_held(model, container):
        return None
    if any(each.kind == "ConfigMap" and not each.optional for each in elsewhere):
        return None
    if any(not each.optional for each in elsewhere):
        return None if variable.secret else "warning"
    return "warning" if elsewhere and variable.secret else "error"


@rule("setting-value-wrong", family="environment", severity="error", outcome="CrashLoopBackOff")
def setting_value_wrong(model: Model) -> Iterator[Violation]:
    """A value that the settings type does not take: another type, out of bounds, not one of its choices.

    The app decodes its settings at start and ends with an error. The type itself is asked, so bounds and
    patterns count too. A secret's value is not shown. An env file keeps quotes and comments after a value as
    part of it.

        RESONANCE_MAX_BEATS=0          # wants a whole number, at least 1
    """
    found: dict[tuple[object, ...], _Wrong] = {}
    for settings in container_settings(model).values():
        for name, complaint in settings.checked.wrong.items():
            offered = settings.container.env.get(name)
            if offered is not None:
                wrong = _Wrong(container=settings.container, offered=offered, complaint=complaint)
                found.setdefault((offered.place, complaint), wrong).readers.append(settings.container.name)
    for wrong in found.values():
        part, path = written_at(wrong.container, wrong.offered)
        quoted = not wrong.offered.is_secret and (wrong.offered.value or "").strip()[:1] in ("'", '"')
        yield at(
            part,
            *path,
            message=f"{wrong.offered.name}: {listed(wrong.readers)} {wrong.complaint}",
            fix="write the value without quotes: an env file keeps them"
            if quoted
            else f"write {wrong.complaint.rpartition('wants ')[2]}",
            place=wrong.offered.place,
        )


class _Wrong(msgspec.Struct, kw_only=True):
    container: Container
    offered: EnvVar
    complaint: str
    readers: list[str] = []


@rule("settings-conflict", family="environment", severity="error", outcome="CrashLoopBackOff")
def settings_conflict(model: Model) -> Iterator[Violation]:
    """Settings that are each right and not together.

    The settings type checks itself when it is made, and its own words are shown. Where a value that cannot be
    seen here (a key of a Secret made elsewhere) could put it right, this is a warning.

        EMBEDDING_MODEL=openai:text-embedding-3-small    # and no OPENAI_API_KEY
    """
    found: dict[tuple[object, ...], tuple[Violation, list[str]]] = {}
    for settings in container_settings(model).values():
        held = is_held(model, settings.container)
        for conflict in settings.checked.conflicts:
            if held and not conflict.certain:
                continue
            names = [settings.variable(name) for name in conflict.variables]
            offers = [each for name in names if name is not None for each in settings.offered(name)]
            visible = next((each for each in offers if each.value is not None), None)
            if visible is not None:
                part, path = written_at(settings.container, visible)
            else:
                first = conflict.variables[0] if conflict.variables else ""
                part, path = settings.container, asked_of(settings, first)
            violation = at(
                part,
                *path,
                message=conflict.message,
                fix="change one of them, or offer what is missing",
                severity="error" if conflict.certain else "warning",
            )
            found.setdefault((violation.place, violation.message), (violation, []))[1].append(
                settings.container.name
            )
    for violation, names_of in found.values():
        yield msgspec.structs.replace(violation, message=f"{listed(names_of)}: {violation.message}")


@rule("aliases-disagree", family="environment", severity="error", outcome="CrashLoopBackOff")
def aliases_disagree(model: Model) -> Iterator[Violation]:
    """A setting that is offered under two of its names with two values.

    Which one counts is up to the app, and an app that says what it reads refuses to start. The settings type
    names the aliases.

        KAFKA_BOOTSTRAP_SERVERS=kafka-service:9092
        KAFKA_BOOTSTRAP=kafka:9092     # the old name of the same setting
    """
    seen = set()
    for settings in container_settings(model).values():
        for variable in settings.variables:
            offered = settings.offered(variable)
            values = {each.value.strip() for each in offered if each.value is not None}
            if len(values) < 2:
                continue
            kept = next((each for each in offered if each.name == variable.name), offered[0])
            other = next(each for each in offered if (each.value or "").strip() != (kept.value or "").strip())
            if other.place not in seen:
                seen.add(other.place)
                part, path = written_at(settings.container, other)
                yield at(
                    part,
                    *path,
                    message=f"{other.name} and {kept.name} ({kept.place}) are one setting and differ",
                    fix=f"remove {other.name}",
                )


@rule("setting-not-wired", family="environment", severity="warning", outcome="applies nothing")
def setting_not_wired(model: Model) -> Iterator[Violation]:
    """An optional setting left out of a container that takes its settings key by key.

    Where each variable is listed, one that is not listed keeps its default, whatever the ConfigMap says. A
    key that a ConfigMap or Secret of the container has and that is not passed on is reported by itself;
    what no one sets at all is listed in one finding. Taking the ConfigMap by `envFrom` leaves nothing to
    forget.

        env:                           # the ConfigMap has RESONANCE_LOG_LEVEL too
        - name: RESONANCE_MAX_BEATS
          valueFrom: {configMapKeyRef: {name: vhm-config, key: RESONANCE_MAX_BEATS}}
    """
    for settings in container_settings(model).values():
        container = settings.container
        if container.env_from or not container.items("env"):
            continue
        unset = [each for each in settings.variables if not each.required and not settings.offered(each)]
        sources = {each.source_name: each.source for each in container.offers if each.source is not None}
        left = []
        for variable in unset:
            holder = next((s for s in sources.values() if variable.name in s.mapping("data")), None)
            if holder is None:
                left.append(variable.name)
            elif variable.name not in container.env:
                yield at(
                    container,
                    "name",
                    message=f"{variable.name} is in {holder.ref} and is not passed on",
                    fix="add it to `env`, or take the whole by `envFrom`",
                )
        if left:
            more = f" and {len(left) - 6} more" if len(left) > 6 else ""
            yield at(
                container,
                "name",
                message=f"{', '.join(left[:6])}{more}: not offered, the defaults hold",
                fix="offer them from a ConfigMap taken by `envFrom`, so that a change needs no wiring",
            )
