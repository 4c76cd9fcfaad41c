"""Schedules of CronJobs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import is_placeholder

DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
EVERY = re.compile(r"@every [0-9hmsuµn.]+")


@rule("invalid-schedule", family="admission", severity="error", outcome="rejected by the API server")
def invalid_schedule(model: Model) -> Iterator[Violation]:
    """A CronJob's schedule that does not parse, or names a day that no month has.

    Five fields as in crontab(5): minute 0-59, hour 0-23, day 1-31, month 1-12 or names, weekday 0-6 or names;
    or one of @hourly, @daily, @weekly, @monthly, @yearly, `@every 1h`. A time zone goes into `timeZone`. A
    schedule for 31 April is accepted, and its Job is never made.

        schedule: "0 24 * * *"     # hours end at 23
    """
    for obj in model.objects_of("CronJob"):
        schedule = obj.get("spec", "schedule")
        fault = _fault(schedule) if isinstance(schedule, str) and not is_placeholder(schedule) else ""
        if fault:
            yield at(
                obj,
                "spec",
                "schedule",
                message=f"schedule {schedule!r} is not valid: {fault}",
                fix='write five fields, such as "0 3 * * *"',
                outcome="no pods" if fault == NO_SUCH_DAY else None,
            )


NO_SUCH_DAY = "no month it names has such a day"


def _fault(schedule: str) -> str:
    if schedule.startswith(("TZ=", "CRON_TZ=")):
        return "a time zone goes into spec.timeZone"
    if schedule.startswith("@"):
        return "" if schedule in DESCRIPTORS or EVERY.fullmatch(schedule) else "no such descriptor"
    fields = schedule.split()
    if len(fields) != 5:
        return f"{len(fields)} fields, expected 5"
    # what Kubernetes reads as `*`, cronsim does not know
    start, text = datetime(2024, 1, 1, tzinfo=UTC), " ".join(fields).replace("?", "*")
    try:
        CronSim(text, start)
    except CronSimError as error:
        any_month = " ".join([*text.split()[:3], "*", text.split()[4]])
        return str(error).lower() if _is_bad(any_month, start) else NO_SUCH_DAY
    return ""


def _is_bad(schedule: str, start: datetime) -> bool:
    try:
        CronSim(schedule, start)
    except CronSimError:
        return True
    return False
