"""Time to start and time to stop: probes, hooks, grace periods, deadlines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from preflight.cluster.workloads import Container
from preflight.facts.servers import server_commands
from preflight.facts.settings import container_settings
from preflight.findings import Place
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

SHUTDOWN = re.compile(r"(SHUTDOWN|GRACEFUL|GRACE|STOP)_(TIMEOUT|PERIOD)(_(SECONDS|SECS|S))?$")
DEFAULT_GRACE = 30
GRACEFUL = {
    "uvicorn": ("--timeout-graceful-shutdown",),
    "gunicorn": ("--graceful-timeout",),
    "hypercorn": ("--graceful-timeout",),
}
"""How servers are told how long to finish what is in flight."""


def number(value: object, default: int) -> int:
    """A whole number as a manifest gives it; the default for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


def budget(probe: dict[str, Any]) -> int:
    """Seconds after which a probe that never succeeds has failed for good, without its timeouts."""
    period, failures = number(probe.get("periodSeconds"), 10), number(probe.get("failureThreshold"), 3)
    return number(probe.get("initialDelaySeconds"), 0) + max(period, 1) * max(failures - 1, 0)


@rule("killed-before-started", family="lifecycle", severity="warning", outcome="CrashLoopBackOff")
def killed_before_started(model: Model) -> Iterator[Violation]:
    """A liveness or startup probe that restarts the container before the readiness probe is first asked.

    The readiness probe's `initialDelaySeconds` hints at how long the app takes to start. A liveness probe
    without a startup probe, or a startup probe itself, that has failed for good by then kills every start of
    an app that takes so long.

        readinessProbe: {initialDelaySeconds: 60}
        livenessProbe: {periodSeconds: 10, failureThreshold: 3}      # kills after 20 s
    """
    for container in model.containers:
        starts = container.get("readinessProbe", "initialDelaySeconds")
        name = "startupProbe" if "startupProbe" in container.probes else "livenessProbe"
        probe = container.probes.get(name)
        if probe is None or not isinstance(starts, int) or isinstance(starts, bool):
            continue
        lasts = budget(probe)
        if lasts + number(probe.get("timeoutSeconds"), 1) < starts:
            given = next((f for f in ("failureThreshold", "periodSeconds") if f in probe), "")
            yield at(
                container.field(name, *([given] if given else [])),
                message=f"{name} restarts the container after {lasts} s; readiness waits {starts} s for "
                "its start",
                fix="give a startupProbe that lasts as long as a start may take",
            )


@rule("grace-period-too-short", family="lifecycle", severity="error", outcome="ready but silent")
def grace_period_too_short(model: Model) -> Iterator[Violation]:
    """A pod that is killed before its app has shut down.

    SIGKILL comes `terminationGracePeriodSeconds` (30) after the pod is deleted, and the time a preStop hook
    takes is part of it. An app whose own shutdown timeout does not fit in is killed at work: what it held is
    done twice or lost, and a consumer that did not leave its group keeps its partitions, unread, until its
    session runs out. `preStop.sleep` beyond the period is refused by the API server.

        INDEXER_SHUTDOWN_TIMEOUT_SECONDS=45      # terminationGracePeriodSeconds: 30
    """
    for container in model.containers:
        given = container.workload.get("terminationGracePeriodSeconds")
        grace, sleeps = number(given, DEFAULT_GRACE), _pre_stop(container)
        if container.role == "init":
            continue
        if sleeps and sleeps >= grace:
            refused = sleeps > grace and container.get("lifecycle", "preStop", "sleep") is not None
            yield at(
                container.field("lifecycle", "preStop"),
                message=f"preStop sleeps {sleeps} s of the {grace} s of terminationGracePeriodSeconds: "
                "the app gets SIGTERM, and SIGKILL 2 s later",
                fix=f"raise terminationGracePeriodSeconds above {sleeps}",
                severity="error" if sleeps > grace else "warning",
                outcome="rejected by the API server" if refused else None,
            )
            continue
        for seconds, source, known, place in _stops(model, container):
            total = sleeps + seconds
            if total > grace or (known and total == grace):
                hook = f" after {sleeps} s of preStop" if sleeps else ""
                default = "" if given is not None else " by default"
                yield at(
                    container.workload.field("terminationGracePeriodSeconds"),
                    message=f"terminationGracePeriodSeconds is {grace}{default}; {container.name} takes up "
                    f"to {seconds:g} s to stop ({source}){hook}",
                    fix=f"write more than {total:g}",
                    place=place if given is None else None,
                    severity=None if known and total > grace else "warning",
                )


def _stops(model: Model, container: Container) -> Iterator[tuple[float, str, bool, Place | None]]:
    """How long a container may take to stop: the seconds, what says so, whether the app is known to read it,
    and where it is written."""
    settings = container_settings(model).get(container)
    names = [each.name for each in settings.variables] if settings is not None else list(container.env)
    for name in filter(SHUTDOWN.search, names):
        offered = container.env.get(name)
        text = settings.value(name) if settings is not None else offered.value if offered else None
        seconds = _seconds(text)
        # what is called so tells the app its pod's own period
        if seconds is not None and (settings is not None or "TERMINATION" not in name):
            yield seconds, name, settings is not None, offered.place if offered is not None else None
    command = server_commands(model).get(container)
    seconds = _seconds(command.option(GRACEFUL.get(command.name, ()))) if command is not None else None
    if command is not None and seconds is not None:
        yield seconds, command.name, False, None


def _pre_stop(container: Container) -> int:
    """Seconds that the preStop hook sleeps."""
    own = container.get("lifecycle", "preStop", "sleep", "seconds")
    text = " ".join(map(str, container.items("lifecycle", "preStop", "exec", "command")))
    match = re.search(r"(?:^|[\s;&/])sleep (\d+)s?(?=$|[\s;&\"'])", text)
    return number(own, int(match[1]) if match and "$" not in text else 0)


def _seconds(text: str | None) -> float | None:
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)s?", text or "")
    return float(match[1]) if match else None


@rule("liveness-without-patience", family="lifecycle", severity="warning", outcome="CrashLoopBackOff")
def liveness_without_patience(model: Model) -> Iterator[Violation]:
    """A liveness probe whose first failure restarts the container.

    With `failureThreshold: 1` one slow answer, a garbage collection or a busy node ends a healthy process,
    and with `timeoutSeconds` at 1, its default, an answer after one second is a failure. A startup probe that
    covers the start does not change that.

        livenessProbe: {failureThreshold: 1}
    """
    for container in model.containers:
        probe = container.probes.get("livenessProbe", {})
        if probe.get("failureThreshold") == 1:
            timeout = number(probe.get("timeoutSeconds"), 1)
            yield at(
                container.field("livenessProbe", "failureThreshold"),
                message=f"livenessProbe: failureThreshold is 1, so one answer later than {timeout} s "
                f"restarts {container.name}",
                fix="write 3 or more",
            )
