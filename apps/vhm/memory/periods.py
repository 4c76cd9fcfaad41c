"""Periods that questions name: "in March", "last week", "before 12 January", "two weeks ago".

A question is searched for mentions of time by a table of rules, one for each form of mention, the more exact
ones first. What stands before a mention (before, since, between, the week of, early) changes the period it
means, and a wide one places a narrow one: "Monday last week". Times count from the moment of asking, days
are those of its offset, weeks begin on Monday and seasons are the northern ones, by whole months. A month,
weekday or date without a year is the latest that has begun.

What is not understood is not guessed: a question with a mention that no calendar has, or with two that do
not belong together, names no period, nor does one about the future, when nothing was said yet.
"""

from __future__ import annotations

import calendar
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta

import msgspec

from vhm.memory.tokenizer import STOP_WORDS, listed, normalized, words

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
"""First months; each has three."""

PARTS_OF_DAY = {"morning": (4, 12), "afternoon": (12, 18), "evening": (17, 24), "night": (18, 30)}
"""Hours; a night ends on the day after."""

RECENT = timedelta(days=14)
"""What "recently" means."""

EARLIEST_YEAR = 1900
"""Where periods "before" something begin."""

LONGEST_QUESTION = 2_000
"""Characters of a question that are read."""

_DAY = timedelta(days=1)
_SINGLE_DAY = timedelta(hours=26)
"""A day is at most an hour longer where clocks change."""


class Period(msgspec.Struct, frozen=True):
    """From `start` up to `end`, both aware."""

    start: datetime
    end: datetime


class NamedPeriod(msgspec.Struct, frozen=True):
    """The period that a question names, and whether it asks for nothing but what was then."""

    period: Period
    alone: bool


Groups = defaultdict[str, str]
"""Named groups of a match; those that matched nothing, or that a pattern lacks, are empty."""


class _Rule(msgspec.Struct, frozen=True):
    """A form of mention. `read` raises ValueError or OverflowError for one that no calendar has.

    A `floating` one is the latest at the moment it is read at, so that a wide period can place it. Where
    `prepositional`, it counts only after a preposition of time ("march" alone is a verb).
    """

    pattern: re.Pattern[str]
    read: Callable[[Groups, datetime], Period]
    floating: bool = False
    prepositional: bool = False


class _Mention(msgspec.Struct, frozen=True):
    """A mention in a text. `lead` is what stands before it and changes its meaning; `start` and `end`
    include that and a part of the day."""

    rule: _Rule
    groups: Groups
    start: int
    end: int
    lead: str
    part_of_day: str | None

    @property
    def bound(self) -> str | None:
        """The preposition that makes it one side of a period."""
        found = _BOUND.search(_BESIDE.sub("", self.lead))
        return found[1] if found else None

    def read(self, now: datetime) -> Period:
        """The period it means, its bound aside."""
        period = self.rule.read(self.groups, now)
        if self.part_of_day:
            period = _part_of_day(period, self.part_of_day)
        if share := _SHARE.search(self.lead):
            period = _share(period, share[1])
        if around := _AROUND.search(self.lead):
            period = _around(period, around[1])
        if beside := _BESIDE.search(self.lead):
            period = _beside(period, beside[1], before=beside[2] == "before")
        return period


def named_period(question: str, now: datetime) -> NamedPeriod | None:
    """The period that a question names at `now` (aware); None where it names none that is understood."""
    text = " ".join(_DASHES.sub("-", normalized(question[:LONGEST_QUESTION])).split())
    mentions = _mentions(text)
    if not mentions or any(_REFUSED.search(mention.lead) for mention in mentions):
        return None
    try:
        period = _together(mentions, now)
    except (ValueError, OverflowError):
        return None
    if period is None or not period.start < period.end or period.start > now:
        return None
    return NamedPeriod(period, _asks_nothing_else(text, mentions))


def _mentions(text: str) -> list[_Mention]:
    """The mentions in a text in order. Where two overlap, that of the earlier rule counts."""
    found: list[_Mention] = []
    taken: list[tuple[int, int]] = []
    for rule in _RULES:
        for match in rule.pattern.finditer(text):
            start, end = match.span()
            if any(start < other_end and other_start < end for other_start, other_end in taken):
                continue
            part = _PART_AFTER.match(text, end) or _PART_BEFORE.search(text[:start])
            end = part.end() if part and part.start() >= end else end
            start = part.start() if part and part.start() < start else start
            lead = _LEAD.search(text[:start])
            if rule.prepositional and not _is_led(text, lead, end, taken):
                continue
            taken.append(match.span())
            found.append(
                _Mention(
                    rule=rule,
                    groups=defaultdict(str, match.groupdict("")),
                    start=lead.start() if lead else start,
                    end=end,
                    lead=lead[0] if lead else "",
                    part_of_day=part["part"] if part else None,
                )
            )
    return sorted(found, key=lambda mention: mention.start)


def _is_led(text: str, lead: re.Match[str] | None, end: int, taken: Sequence[tuple[int, int]]) -> bool:
    """Whether what stands before it makes a word a time. "From April" is one as the beginning of a range,
    "to march" as its end and "and May" after another mention."""
    if lead is None:
        return False
    if _PREPOSITION.search(lead[0]) or (_FROM.search(lead[0]) and _RANGE_GOES_ON.match(text, end)):
        return True
    before = text[: lead.start()]
    joined = any(other_end == len(before.rstrip()) for _, other_end in taken)
    return bool(_RANGE_END.search(lead[0]) and (joined or _RANGE.search(before)))


def _together(mentions: Sequence[_Mention], now: datetime) -> Period | None:
    """What mentions mean together: one as its bound says, two as a range, or some within a wide one."""
    if len(mentions) == 1:
        return _bounded(mentions[0].read(now), mentions[0].bound, now)
    if len(mentions) == 2 and _RANGE.search(mentions[0].lead) and _RANGE_END.search(mentions[1].lead):
        return _range(mentions[0], mentions[1], now)
    wide = [mention for mention in mentions if not mention.rule.floating and not mention.bound]
    if len(wide) != 1:
        return None
    placed = wide[0].read(now)
    others = [mention for mention in mentions if mention is not wide[0]]
    then = min(now, placed.end - timedelta(microseconds=1))
    period = others[0].read(then) if len(others) == 1 else _together(others, then)
    if period is None or period.start < placed.start or period.end > placed.end:
        return None
    return _bounded(period, others[0].bound, now) if len(others) == 1 else period


def _bounded(period: Period, bound: str | None, now: datetime) -> Period | None:
    if bound is None:
        return period
    if bound in ("before", "prior to"):
        return Period(_earliest(now), period.start)
    if bound in ("until", "till", "up to"):
        return Period(_earliest(now), period.end)
    if bound == "after":
        return Period(period.end, now)
    return Period(period.start, now) if bound == "since" else None


def _range(first: _Mention, last: _Mention, now: datetime) -> Period | None:
    """From the beginning of one to the end of the other; "November" before "last February" is of that
    winter, "March" before "May 2024" of that year."""
    start, end = first.read(now), last.read(now)
    if start.start > end.start and first.rule.floating:
        start = first.read(end.start)
    return Period(start.start, end.end) if start.start <= end.start else None


def _asks_nothing_else(text: str, mentions: Sequence[_Mention]) -> bool:
    rest, at = [], 0
    for mention in mentions:
        rest.append(text[at : mention.start])
        at = mention.end
    spoken = words(" ".join([*rest, text[at:]]))
    return all(word in _ABOUT_NOTHING or word in STOP_WORDS for word in spoken)


# How forms of mention are read.


def _at(day: date, now: datetime) -> datetime:
    return datetime.combine(day, time(), tzinfo=now.tzinfo)


def _midnight(moment: datetime) -> datetime:
    return _at(moment.date(), moment)


def _days(first: date, count: int, now: datetime) -> Period:
    return Period(_at(first, now), _at(first + timedelta(days=count), now))


def _months(year: int, month: int, count: int, now: datetime) -> Period:
    """Whole months; a month below 1 is one of the year before."""
    first = year * 12 + month - 1
    start, end = (date(number // 12, number % 12 + 1, 1) for number in (first, first + count))
    return Period(_at(start, now), _at(end, now))


def _months_back(moment: datetime, months: int) -> datetime:
    """The same day so many months earlier, or the last one of that month."""
    number = moment.year * 12 + moment.month - 1 - months
    year, month = number // 12, number % 12 + 1
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


def _monday(moment: datetime) -> date:
    return moment.date() - moment.weekday() * _DAY


def _latest(of_year: Callable[[int], Period], now: datetime, which: str = "") -> Period:
    """Of what comes once a year the latest that has begun; the "last" has ended, "this" is of this year."""
    if which == "this":
        return of_year(now.year)
    for year in range(now.year, now.year - 9, -1):  # 29 February may be eight years back
        try:
            period = of_year(year)
        except ValueError:
            continue
        if (period.end if which == "last" else period.start) <= now:
            return period
    raise ValueError("in none of these years")


def _month_number(name: str) -> int:
    return next(number for number, month in enumerate(MONTHS, 1) if month.startswith(name[:3]))


def _weekday_number(name: str) -> int:
    return next(number for number, weekday in enumerate(WEEKDAYS) if weekday.startswith(name[:3]))


def _date(groups: Groups, now: datetime) -> Period:
    """A day of a month, of a year or the latest."""
    month, day = _month_number(groups["month"]), int(groups["day"])
    year, weekday = groups["year"], groups["weekday"]
    if year:
        period = _days(date(int(year), month, day), 1, now)
    else:
        period = _latest(lambda year: _days(date(year, month, day), 1, now), now)
    if weekday and period.start.weekday() != _weekday_number(weekday):
        raise ValueError("that was another day of the week")
    return period


def _date_in_numbers(groups: Groups, now: datetime) -> Period:
    year, month, day = (int(groups[part]) for part in ("year", "month", "day"))
    return _days(date(year + 2000 if year < 100 else year, month, day), 1, now)


def _date_with_slashes(groups: Groups, now: datetime) -> Period:
    """Day and month in either order, where they tell which is which."""
    one, other, year = (int(groups[part]) for part in ("one", "other", "year"))
    if one != other and max(one, other) <= 12:
        raise ValueError("either may be the month")
    return _days(date(year, min(one, other), max(one, other)), 1, now)


def _days_of_month(groups: Groups, now: datetime) -> Period:
    """3-7 May, both included."""
    month, first, last = _month_number(groups["month"]), int(groups["day"]), int(groups["last"])

    def days(year: int) -> Period:
        return Period(_at(date(year, month, first), now), _at(date(year, month, last) + _DAY, now))

    return days(int(year)) if (year := groups["year"]) else _latest(days, now)


def _day_of_month(groups: Groups, now: datetime) -> Period:
    """The 12th, of the latest month that has had one."""
    day, this_month = int(groups["day"]), now.year * 12 + now.month - 1
    for number in range(this_month, this_month - 3, -1):
        year, month = number // 12, number % 12 + 1
        if day <= calendar.monthrange(year, month)[1] and date(year, month, day) <= now.date():
            return _days(date(year, month, day), 1, now)
    raise ValueError("no such day")


def _day_near(groups: Groups, now: datetime) -> Period:
    """Today, yesterday, tonight, last night, this morning."""
    name, part = groups["day"] or "last", groups["part"] or groups["last_part"]
    back = 2 if name.startswith("day before") else 1 if name in ("yesterday", "last") else 0
    period = _days(now.date() - back * _DAY, 1, now)
    part = "night" if name == "tonight" else part
    return _part_of_day(period, part) if part else period


def _weekday(groups: Groups, now: datetime) -> Period:
    """The latest, today included; "last" is before today and "this" of this week."""
    number, which = _weekday_number(groups["weekday"]), groups["which"]
    if which == "this":
        return _days(_monday(now) + number * _DAY, 1, now)
    back = (now.weekday() - number) % 7
    return _days(now.date() - (back or 7 if which else back) * _DAY, 1, now)


def _calendar_unit(groups: Groups, now: datetime) -> Period:
    """Last week, this month; the year before last."""
    unit = groups["unit"]
    back = 0 if groups["which"] == "this" else 1 if groups["which"] else 2
    if unit == "week":
        return _days(_monday(now) - 7 * back * _DAY, 7, now)
    if unit == "weekend":
        return _days(_monday(now) + (5 - 7 * back) * _DAY, 2, now)
    if unit == "month":
        return _months(now.year, now.month - back, 1, now)
    if unit == "quarter":
        return _months(now.year, (now.month - 1) // 3 * 3 + 1 - 3 * back, 3, now)
    if unit == "decade":
        return _months((now.year // 10 - back) * 10, 1, 120, now)
    return _months(now.year - back, 1, 12, now)


def _weekend(groups: Groups, now: datetime) -> Period:  # noqa: ARG001 - all readings are called alike
    return _days(now.date() - (now.weekday() - 5) % 7 * _DAY, 2, now)


def _week_in_numbers(groups: Groups, now: datetime) -> Period:
    """A calendar week (ISO 8601)."""
    number = int(groups["number"])

    def week(year: int) -> Period:
        return _days(date.fromisocalendar(year, number, 1), 7, now)

    return week(int(year)) if (year := groups["year"]) else _latest(week, now)


def _month(groups: Groups, now: datetime) -> Period:
    month = _month_number(groups["month"])
    if year := groups["year"]:
        return _months(int(year), month, 1, now)
    return _latest(lambda year: _months(year, month, 1, now), now, groups["which"])


def _month_in_numbers(groups: Groups, now: datetime) -> Period:
    return _months(int(groups["year"]), date(1, int(groups["month"]), 1).month, 1, now)


def _season(groups: Groups, now: datetime) -> Period:
    """A winter belongs to the year in which it begins, unless that is still to come."""
    month, year, which = SEASONS[groups["season"]], groups["year"], groups["which"]
    if not year and not (which == "this" and month == 12):
        return _latest(lambda year: _months(year, month, 3, now), now, which)
    period = _months(int(year or now.year), month, 3, now)
    if month == 12 and period.start > now:
        period = _months(period.start.year - 1, month, 3, now)
    if which == "this" and period.end <= now:
        raise ValueError("this winter has not begun")
    return period


def _quarter(groups: Groups, now: datetime) -> Period:
    number = int(groups["digit"] or _ORDINALS[groups["ordinal"]])
    if year := groups["year"]:
        return _months(int(year), 3 * number - 2, 3, now)
    return _latest(lambda year: _months(year, 3 * number - 2, 3, now), now)


def _half_year(groups: Groups, now: datetime) -> Period:
    return _months(int(groups["year"]), 6 * int(groups["digit"]) - 5, 6, now)


def _year(groups: Groups, now: datetime) -> Period:
    return _months(int(groups["year"]), 1, 12, now)


def _decade(groups: Groups, now: datetime) -> Period:
    year = int(groups["year"])
    if year < 100:
        year += 2000 if 2000 + year <= now.year else 1900
    return _months(year, 1, 120, now)


def _count(groups: Groups) -> float:
    """How many units: two, half a, 2.5, one and a half."""
    number = groups["number"]
    if not number:
        return 0.5
    value = next((_COUNTS[word] for word in reversed(number.split()) if word in _COUNTS), None)
    return (float(number) if value is None else value) + (0.5 if groups["half"] else 0.0)


def _back(now: datetime, count: float, unit: str) -> datetime:
    """So many units earlier, months and years by the calendar."""
    months = count * _UNIT_MONTHS.get(unit, 0)
    return _months_back(now, int(months)) if months and months % 1 == 0 else now - count * _UNITS[unit]


def _ago(groups: Groups, now: datetime) -> Period:
    """So many units ago give or take half a unit, a quarter of one where halves are told; a day is that
    day, and hours are a quarter longer or shorter."""
    unit, count, compared = groups["unit"], _count(groups), groups["compared"]
    middle = _back(now, count, unit)
    if compared:
        return Period(middle, now) if compared == "less than" else Period(_earliest(now), middle)
    if unit in ("day", "night") and count.is_integer():
        return _days(middle.date(), 1, now)
    spare = _UNITS["week" if unit == "fortnight" else unit] / (2 if count.is_integer() else 4)
    if unit in ("minute", "hour"):
        spare = max(spare, (now - middle) / 4)
        return Period(middle - spare, middle + spare)
    return Period(_midnight(middle - spare), _midnight(middle + spare) + _DAY)


def _few_ago(groups: Groups, now: datetime) -> Period:
    """Two to six units ago."""
    unit = groups["unit"]
    return Period(_back(now, 6, unit) - _UNITS[unit] / 2, _back(now, 2, unit) + _UNITS[unit] / 2)


def _past(groups: Groups, now: datetime) -> Period:
    """The last three weeks, the past year: up to now."""
    few = groups["few"]
    count = _FEW[few] if few else _count(groups) if groups["number"] else 1.0
    return Period(_back(now, count, groups["unit"]), now)


def _recently(groups: Groups, now: datetime) -> Period:  # noqa: ARG001 - all readings are called alike
    return Period(now - RECENT, now)


# What stands before a mention.


def _part_of_day(period: Period, name: str) -> Period:
    if period.end - period.start > _SINGLE_DAY:
        raise ValueError("only days have mornings")
    first, last = PARTS_OF_DAY[name]
    start = _midnight(period.start)
    return Period(start + timedelta(hours=first), start + timedelta(hours=last))


def _share(period: Period, name: str) -> Period:
    """The first half of it; its beginning, middle or end, a third each."""
    of, part = _SHARES[name]
    months = (period.end.year - period.start.year) * 12 + period.end.month - period.start.month
    if period.start.day == period.end.day == 1 and months % of == 0:
        return Period(*(_months_back(period.start, -months * number // of) for number in (part, part + 1)))
    edges = [
        _midnight(period.start + (period.end - period.start) * number / of) for number in (part, part + 1)
    ]
    return Period(edges[0], edges[1])


def _around(period: Period, unit: str) -> Period:
    """The week or weekend of a day."""
    if period.end - period.start > _SINGLE_DAY:
        raise ValueError("only a day is of a week")
    monday = _monday(period.start)
    return _days(monday, 7, period.start) if unit == "week" else _days(monday + 5 * _DAY, 2, period.start)


def _beside(period: Period, unit: str, *, before: bool) -> Period:
    """The day, week, month or year before or after it."""
    edge, sign = (period.start, 1) if before else (period.end, -1)
    if unit in _UNIT_MONTHS:
        other = _months_back(edge, sign * _UNIT_MONTHS[unit])
    else:
        other = edge - sign * _UNITS[unit]
    return Period(min(edge, other), max(edge, other))


def _earliest(now: datetime) -> datetime:
    return datetime(EARLIEST_YEAR, 1, 1, tzinfo=now.tzinfo)


_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}
_COUNTS = {
    "a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0,
    "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0, "eleven": 11.0, "twelve": 12.0, "couple": 2.0,
    "dozen": 12.0,
}  # fmt: skip
_FEW = {"few": 5.0, "several": 7.0}
_UNITS = {
    "minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": _DAY, "night": _DAY, "week": 7 * _DAY,
    "fortnight": 14 * _DAY, "month": timedelta(days=30), "year": timedelta(days=365),
    "decade": timedelta(days=3_652),
}  # fmt: skip
_UNIT_MONTHS = {"month": 1, "year": 12, "decade": 120}
_SHARES = {
    "first half": (2, 0), "second half": (2, 1), "early": (3, 0), "beginning": (3, 0), "start": (3, 0),
    "mid": (3, 1), "middle": (3, 1), "late": (3, 2), "end": (3, 2),
}  # fmt: skip


# Words that a mention may have in front of it.

_DASHES = re.compile("[\u2010-\u2015]")
_LEAD_PHRASES = (
    r"the|in|on|at|during|within|over|around|of|from|back|throughout|early|mid|late|about",
    r"(?:the )?(?:beginning|start|middle|end|first half|second half) of",
    r"before|after|since|until|till|prior to|up to|between|to|through|and|or",
    r"(?:the|a) (?:day|week|month|year) (?:before|after)",
    r"(?:\w+ )?(?:days?|nights?|weeks?|weekends?|months?|years?|hours?|minutes?) (?:before|after|from|of)",
    r"every|each|next|coming|upcoming|by|for|not|unless|except|(?:half|rest|part|parts|most|all) of",
)
_LEAD = re.compile(rf"(?<!\w)(?:(?:{'|'.join(_LEAD_PHRASES)})(?: ?- ?| )|- ?)+$")
_BESIDE = re.compile(r"\b(?:the|a) (day|week|month|year) (before|after) (?:the )?$")
_AROUND = re.compile(r"\b(?<!first )(?<!last )(week|weekend) of (?:the )?$")
_SHARE = re.compile(rf"\b({'|'.join(_SHARES)})(?: ?- ?| of | in | )(?:the )?$")
_REFUSED = re.compile(
    r"\b(?:every|each|next|coming|upcoming|by|not|unless|except|or|rest of|parts? of|most of)\b(?!-)"
    r"|(?<!first )(?<!second )\bhalf of\b"
    r"|\b(?!the\b|a\b)\w+ (?:days?|weeks?|months?|years?) (?:before|after)\b"
    r"|\b(?:days|weeks|weekends|months|years|nights?|hours?|minutes?) (?:before|after|from|of)\b"
    r"|\b(?:day|month|year|first week|last week|second week|third week) (?:of|from)\b"
)
_BOUND = re.compile(
    r"\b(before|prior to|until|till|up to|after|since|between|to|through|and)(?: the)? (?:\w+ )*$"
)
_RANGE = re.compile(r"\b(?:between|from)\b")
_RANGE_END = re.compile(r"(?:\b(?:and|or|to|until|till|through)(?: the)?|-) ?$")
_FROM = re.compile(r"\bfrom (?:the )?$")
_RANGE_GOES_ON = re.compile(r"(?:,? (?:19|20|21)\d\d)?(?: (?:to|until|till|through|up to)\b| ?- ?\w)")
_PREPOSITION = re.compile(
    r"\b(?:in|on|during|since|until|till|before|after|between|throughout|of|by|around|early|mid|late|every"
    r"|each|next|or|prior to|up to)\b"
)
_PART = rf"(?P<part>{'|'.join(PARTS_OF_DAY)})\b"
_PART_AFTER = re.compile(rf" (?:in the |at )?{_PART}")
_PART_BEFORE = re.compile(rf"\b(?:the )?{_PART} (?:of|on) (?:the )?$")

_ABOUT_NOTHING = listed("""
    anything been catch did do does doing done event events everything far go goes going gone happen
    happened happening happens know list memories memory mention mentioned new note notes please recall
    recap remember said say show special summarise summarize summary talk talked tell thing things think
    time went
""")
"""What questions about a time alone hold beside function words: "What happened last week?"."""

# The table.

_M = rf"(?P<month>sept|{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in MONTHS)})\b\.?"
_W = rf"(?P<weekday>{'|'.join(WEEKDAYS)})\b"
_W_OR_SHORT = rf"(?P<weekday>tues|thurs?|{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in WEEKDAYS)})\b\.?"
_D = r"(?P<day>\d\d?)(?:st|nd|rd|th)?\b"
_Y = r"(?P<year>(?:19|20|21)\d\d)\b(?![-/.:]\d)"
_S = rf"(?P<season>{'|'.join(SEASONS)})\b"
_U = rf"(?P<unit>{'|'.join(_UNITS)})s?\b"
_TO = r"(?: ?- ?| to | until | till | through | and )(?:the )?(?P<last>\d\d?)(?:st|nd|rd|th)?\b"
_N = rf"(?P<number>\d+(?:\.\d+)?|(?:a )?(?:couple|dozen)(?: of)?|{'|'.join(_COUNTS)})"
_ON = rf"(?:{_W_OR_SHORT},? (?:the )?)?"
_ABOUT = "about|around|roughly|some|approximately|exactly|nearly|almost|just"


def _rule(
    pattern: str,
    read: Callable[[Groups, datetime], Period],
    *,
    floating: bool = False,
    prepositional: bool = False,
) -> _Rule:
    return _Rule(re.compile(rf"(?<![\w.:/])(?<!\d-)(?:{pattern})"), read, floating, prepositional)


_RULES = (
    # 2026-01-12, 12.01.2026, 13/01/2026
    _rule(r"(?P<year>\d{4})[-/.](?P<month>\d\d?)[-/.](?P<day>\d\d?)\b(?![-/.:]\d)", _date_in_numbers),
    _rule(r"(?P<day>\d\d?)\. ?(?P<month>\d\d?)\. ?(?P<year>\d{4}|\d\d)\b(?![.:]\d)", _date_in_numbers),
    _rule(r"(?P<one>\d\d?)/(?P<other>\d\d?)/(?P<year>\d{4})\b", _date_with_slashes),
    # 3-7 May, May 3 to 7, 2024
    _rule(rf"(?:between |from )?(?:the )?{_D}{_TO} (?:of )?{_M}(?:,? {_Y})?", _days_of_month),
    _rule(rf"(?:between |from )?{_M} {_D}{_TO}(?:,? {_Y})?", _days_of_month),
    # 12 January 2026, Monday the 12th of January, January 12th
    _rule(rf"{_ON}{_D} (?:of )?{_M},? (?:of )?{_Y}", _date),
    _rule(rf"{_ON}{_M} {_D},? (?:of )?{_Y}", _date),
    _rule(rf"{_ON}{_D} (?:of )?{_M}", _date, floating=True),
    _rule(rf"{_ON}{_M} (?P<day>\d\d?)(?:st|nd|rd|th)\b", _date, floating=True),
    _rule(rf"{_ON}(?<!\bin ){_M} (?P<day>\d\d?)\b(?![:.]\d| ?[ap]\.?m\b| [a-z])", _date, floating=True),
    _rule(
        r"the (?P<day>\d\d?)(?:st|nd|rd|th)\b(?= ?(?:$|[?.,!;)]|and\b|to\b|until\b|of (?:last|this) month))",
        _day_of_month,
        floating=True,
        prepositional=True,
    ),
    # yesterday evening, last night, this morning
    _rule(rf"(?P<day>day before yesterday|today|tonight|yesterday)(?: (?:in the )?{_PART})?", _day_near),
    _rule(rf"(?P<day>this) {_PART}|last (?P<last_part>evening|night)\b", _day_near),
    # the week before last, the last three weeks, last week
    _rule(r"(?P<unit>week|weekend|month|quarter|year) before last(?=$| ?[?.,!;)])", _calendar_unit),
    _rule(rf"(?:last|past|previous) (?:(?P<few>few|several)|{_N})(?P<half> and a half)?[ -]{_U}", _past),
    _rule(r"(?:(?<=the )last|past) (?P<unit>hour|day|week|month|year|decade)\b", _past),
    _rule(
        r"(?P<which>last|previous|this) (?P<unit>weekend|week|month|quarter|year|decade)\b", _calendar_unit
    ),
    # two weeks ago, about half a year ago, a few days ago
    _rule(
        rf"(?:(?P<compared>more than|less than|over) |(?:{_ABOUT}) )?"
        rf"(?:{_N}(?P<half> and a half)?|half (?:of )?an?)[ -]{_U} (?:ago|back)\b",
        _ago,
    ),
    _rule(rf"(?P<number>an?) {_U}(?P<half> and a half) (?:ago|back)\b", _ago),
    _rule(rf"a few {_U} (?:ago|back)\b", _few_ago),
    _rule(r"(?:recently|lately|the other day)\b", _recently),
    # calendar week 12, over the weekend, last Monday
    _rule(rf"week (?P<number>\d\d?)\b(?: (?:of |in )?{_Y}|(?! of\b))", _week_in_numbers, floating=True),
    _rule(r"(?:at|on|over|during) the weekend\b(?! of)", _weekend, floating=True),
    _rule(rf"(?P<which>last|this|past) {_W}(?!s)", _weekday, floating=True),
    _rule(
        rf"{_W}(?=$|[?.,!;)]|'s\b| (?:of )?(?:last|this) week\b| (?:\w+ )?\w+ weeks? ago\b|"
        rf" (?:{'|'.join(PARTS_OF_DAY)})\b)",
        _weekday,
        floating=True,
    ),
    _rule(rf"(?<=\bon ){_W_OR_SHORT}(?!s)", _weekday, floating=True, prepositional=True),
    _rule(rf"{_W}(?!s)", _weekday, floating=True, prepositional=True),
    # May 2024, 2024-05, 05/2024, last May, in May
    _rule(rf"{_M},? (?:of )?{_Y}", _month),
    _rule(r"(?P<year>(?:19|20|21)\d\d)-(?P<month>\d\d)\b(?!-)", _month_in_numbers),
    _rule(r"(?P<month>\d\d?)[/.](?P<year>(?:19|20|21)\d\d)\b", _month_in_numbers),
    _rule(rf"(?<!\bthe )(?P<which>last|this(?! may\b)) {_M}", _month, floating=True),
    _rule(_M, _month, floating=True, prepositional=True),
    # summer 2024, last winter, in the spring
    _rule(rf"{_S},? (?:of )?{_Y}", _season),
    _rule(rf"(?<!\bthe )(?P<which>last|this) {_S}", _season, floating=True),
    _rule(_S, _season, floating=True, prepositional=True),
    # Q3 2024, the first quarter, H1 2025
    _rule(
        rf"(?:q(?P<digit>[1-4])|(?P<ordinal>{'|'.join(_ORDINALS)}) quarter)\b(?:,? ?(?:of )?{_Y})?",
        _quarter,
        floating=True,
    ),
    _rule(rf"h(?P<digit>[12])\b,? ?(?:of )?{_Y}", _half_year),
    # in the nineties is not read; the 1990s, the 90s, 2024
    _rule(r"(?P<year>(?:1[89]|20)\d0|\d0)'?s\b", _decade, prepositional=True),
    _rule(_Y + r"(?!'?s\b| ?bce?\b)", _year, prepositional=True),
)
