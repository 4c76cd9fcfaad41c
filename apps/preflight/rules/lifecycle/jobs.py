"""Jobs and CronJobs that never run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

LONGEST = {
    "2": 29,
    "feb": 29,
    "4": 30,
    "apr": 30,
    "6": 30,
    "jun": 30,
    "9": 30,
    "sep": 30,
    "11": 30,
    "nov": 30,
}
"""Days of the months that have fewer than 31, by number and name."""


@rule("schedule-never-comes", family="lifecycle", severity="error", outcome="no pods")
def schedule_never_comes(model: Model) -> Iterator[Violation]:
    """A CronJob for a day that no month has.

    The schedule parses, and its time never comes: the Job is never made and nothing says so.

        schedule: "0 0 31 4 *"         # April has 30 days
    """
    for obj in model.objects_of("CronJob"):
        text = obj.get("spec", "schedule")
        fields = re.sub(r"^(CRON_)?TZ=\S+\s+", "", text).lower().split() if isinstance(text, str) else []
        if len(fields) != 5 or fields[4] not in ("*", "?"):
            continue
        days = [each.partition("/")[0].partition("-")[0] for each in fields[2].split(",")]
        months = [each.lstrip("0") for each in fields[3].split(",")]
        if not all(day.isdigit() for day in days) or not all(month in LONGEST for month in months):
            continue
        if min(int(day) for day in days) > max(LONGEST[month] for month in months):
            yield at(
                obj,
                "spec",
                "schedule",
                message=f"{text!r}: there is no such day",
                fix="name a day the month has",
            )


@rule("start-deadline-too-short", family="lifecycle", severity="warning", outcome="no pods")
def start_deadline_too_short(model: Model) -> Iterator[Violation]:
    """A CronJob whose `startingDeadlineSeconds` is below 10.

    The controller looks every ten seconds; a Job that may start only a few seconds late is mostly missed.

        startingDeadlineSeconds: 5     # 60
    """
    for obj in model.objects_of("CronJob"):
        seconds = obj.get("spec", "startingDeadlineSeconds")
        if isinstance(seconds, int) and not isinstance(seconds, bool) and 0 <= seconds < 10:
            yield at(
                obj,
                "spec",
                "startingDeadlineSeconds",
                message=f"{seconds} s, and the controller looks every 10 s",
                fix="write at least 60",
            )


@rule("job-deadline-too-short", family="lifecycle", severity="warning", outcome="no pods")
def job_deadline_too_short(model: Model) -> Iterator[Violation]:
    """A Job that is ended before its pods may have started.

    `activeDeadlineSeconds` counts from the start of the Job and ends all of its pods, retries included. It is
    shorter than a probe's delay or a startup probe gives the container.

        activeDeadlineSeconds: 30      # and readinessProbe.initialDelaySeconds: 60
    """
    for workload in model.workloads:
        path = {"Job": ("spec",), "CronJob": ("spec", "jobTemplate", "spec")}.get(workload.kind)
        deadline = workload.obj.get(*path, "activeDeadlineSeconds") if path is not None else None
        if path is None or not isinstance(deadline, int) or isinstance(deadline, bool):
            continue
        for container in workload.containers:
            delays = [probe.get("initialDelaySeconds") for probe in container.probes.values()]
            longest = max((each for each in delays if isinstance(each, int)), default=0)
            if longest >= deadline > 0:
                yield at(
                    workload.obj,
                    *path,
                    "activeDeadlineSeconds",
                    message=f"{deadline} s, and {container.name} is given {longest} s to start",
                    fix=f"write more than {longest}",
                )
