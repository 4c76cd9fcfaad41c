"""Schedules of CronJobs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SCHEDULE: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 6, DAYS),
)


@rule("invalid-schedule", family="admission", severity="error", outcome="rejected by the API server")
def invalid_schedule(model: Model) -> Iterator[Violation]:
    """A CronJob's schedule that does not parse.

    Five fields as in crontab(5): minute 0-59, hour 0-23, day 1-31, month 1-12 or names, weekday 0-6 or names;
    or one of @hourly, @daily, @weekly, @monthly, @yearly, `@every 1h`. A time zone goes into `timeZone`.

        schedule: "0 24 * * *"     # hours end at 23
    """
    for obj in model.objects_of("CronJob"):
        text = obj.get("spec", "schedule")
        problem = schedule_problem(text) if isinstance(text, str) else ""
        if problem:
            yield at(
                obj,
                "spec",
                "schedule",
                message=f"{text!r}: {problem}",
                fix='write five fields, such as "0 3 * * *"',
            )


def schedule_problem(text: str) -> str:
    """What is wrong with a schedule, empty where nothing is."""
    if text.startswith(("TZ=", "CRON_TZ=")):
        return "a time zone goes into spec.timeZone"
    if text.startswith("@"):
        known = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
        return "" if text in known or re.fullmatch(r"@every [0-9hmsuµn.]+", text) else "no such descriptor"
    parts = text.split()
    if len(parts) != len(SCHEDULE):
        return f"{len(parts)} fields, wants {len(SCHEDULE)}"
    for part, (what, low, high, words) in zip(parts, SCHEDULE, strict=True):
        for item in part.split(","):
            if not _in_range(item.lower(), low, high, words):
                return f"{item!r} is no {what}"
    return ""


def _in_range(item: str, low: int, high: int, words: tuple[str, ...]) -> bool:
    match = re.fullmatch(r"(?:[*?]|(\w+)(?:-(\w+))?)(?:/(\d{1,4}))?", item)
    if match is None or match[3] == "0":
        return False
    ends = [low if not words else 0, high]
    numbers = []
    for end in (match[1], match[2]):
        if end is None:
            continue
        if end in words:
            numbers.append(words.index(end) + (low if words is MONTHS else 0))
        elif end.isdecimal():
            numbers.append(int(end))
        else:
            return False
    low = ends[0] if words is DAYS else low
    return all(low <= number <= high for number in numbers) and numbers == sorted(numbers)
