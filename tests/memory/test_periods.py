"""Periods that questions name, each read right or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhm.memory.periods import EARLIEST_YEAR, MONTHS, WEEKDAYS, named_period

EAST = timezone(timedelta(hours=1))
NOW = datetime(2026, 11, 24, 15, tzinfo=EAST)  # a Tuesday
BEGINNING = f"{EARLIEST_YEAR}-01-01"

READ = """
on 12 January                         2026-01-12        2026-01-13
on January 12                         2026-01-12        2026-01-13
on January 12th                       2026-01-12        2026-01-13
on the 12th of January                2026-01-12        2026-01-13
on 12 December                        2025-12-12        2025-12-13
on 24 November                        2026-11-24        2026-11-25
on 25 November                        2025-11-25        2025-11-26
on 29 February                        2024-02-29        2024-03-01
on 1 February, 2023                   2023-02-01        2023-02-02
on May 3rd, 2023                      2023-05-03        2023-05-04
on May 3, 2023                        2023-05-03        2023-05-04
on 3 May                              2026-05-03        2026-05-04
on Sept 3                             2026-09-03        2026-09-04
on 5 Dec. 2025                        2025-12-05        2025-12-06
on Monday 12 January 2026             2026-01-12        2026-01-13
on Mon, 12 Jan 2026                   2026-01-12        2026-01-13
on Monday, January 12, 2026           2026-01-12        2026-01-13
on Saturday the 3rd of May 2025       2025-05-03        2025-05-04
on 2023-05-03                         2023-05-03        2023-05-04
on 2023/05/03                         2023-05-03        2023-05-04
on 12.01.2026                         2026-01-12        2026-01-13
on 1.2.2026                           2026-02-01        2026-02-02
on 12.01.26                           2026-01-12        2026-01-13
on 13/01/2026                         2026-01-13        2026-01-14
on 01/13/2026                         2026-01-13        2026-01-14
on 05/05/2026                         2026-05-05        2026-05-06
on the 12th                           2026-11-12        2026-11-13
on the 24th                           2026-11-24        2026-11-25
on the 25th                           2026-10-25        2026-10-26
on the 31st                           2026-10-31        2026-11-01
since the 12th of last month          2026-10-12        2026-11-24T15:00
on the morning of 12 January          2026-01-12T04:00  2026-01-12T12:00
today                                 2026-11-24        2026-11-25
yesterday                             2026-11-23        2026-11-24
the day before yesterday              2026-11-22        2026-11-23
this morning                          2026-11-24T04:00  2026-11-24T12:00
this afternoon                        2026-11-24T12:00  2026-11-24T18:00
yesterday morning                     2026-11-23T04:00  2026-11-23T12:00
yesterday in the afternoon            2026-11-23T12:00  2026-11-23T18:00
yesterday evening                     2026-11-23T17:00  2026-11-24
last night                            2026-11-23T18:00  2026-11-24T06:00
last evening                          2026-11-23T17:00  2026-11-24
on Monday                             2026-11-23        2026-11-24
on Tuesday                            2026-11-24        2026-11-25
on Wednesday                          2026-11-18        2026-11-19
on sat                                2026-11-21        2026-11-22
last Monday                           2026-11-23        2026-11-24
last Tuesday                          2026-11-17        2026-11-18
last Wednesday                        2026-11-18        2026-11-19
this Monday                           2026-11-23        2026-11-24
Sunday                                2026-11-22        2026-11-23
on Monday's walk                      2026-11-23        2026-11-24
on Friday evening                     2026-11-20T17:00  2026-11-21
Friday night                          2026-11-20T18:00  2026-11-21T06:00
Monday last week                      2026-11-16        2026-11-17
last week on Sunday                   2026-11-22        2026-11-23
on Tuesday two weeks ago              2026-11-10        2026-11-11
this week                             2026-11-23        2026-11-30
last week                             2026-11-16        2026-11-23
the previous week                     2026-11-16        2026-11-23
the week before last                  2026-11-09        2026-11-16
last weekend                          2026-11-21        2026-11-23
over the weekend                      2026-11-21        2026-11-23
the weekend before last               2026-11-14        2026-11-16
the week of 14 January                2026-01-12        2026-01-19
the weekend of 3 May                  2026-05-02        2026-05-04
in week 12                            2026-03-16        2026-03-23
in calendar week 53 of 2026           2026-12-28        -
in week 1 of 2026                     2025-12-29        2026-01-05
in March                              2026-03-01        2026-04-01
in march                              2026-03-01        2026-04-01
in May                                2026-05-01        2026-06-01
in November                           2026-11-01        2026-12-01
in December                           2025-12-01        2026-01-01
during sep                            2026-09-01        2026-10-01
last May                              2026-05-01        2026-06-01
last November                         2025-11-01        2025-12-01
last December                         2025-12-01        2026-01-01
this March                            2026-03-01        2026-04-01
in October 2023                       2023-10-01        2023-11-01
in December 2023                      2023-12-01        2024-01-01
in May of 2024                        2024-05-01        2024-06-01
back in January 2020                  2020-01-01        2020-02-01
in 2024-05                            2024-05-01        2024-06-01
in 05/2024                            2024-05-01        2024-06-01
in March last year                    2025-03-01        2025-04-01
last year in May                      2025-05-01        2025-06-01
in March of this year                 2026-03-01        2026-04-01
on 12 January last year               2025-01-12        2025-01-13
this month                            2026-11-01        2026-12-01
last month                            2026-10-01        2026-11-01
the month before last                 2026-09-01        2026-10-01
in early March                        2026-03-01        2026-03-11
in mid-June                           2026-06-11        2026-06-21
in late 2025                          2025-09-01        2026-01-01
at the end of March                   2026-03-21        2026-04-01
at the beginning of last month        2026-10-01        2026-10-11
in the first half of 2025             2025-01-01        2025-07-01
in the second half of last year       2025-07-01        2026-01-01
last summer                           2026-06-01        2026-09-01
this spring                           2026-03-01        2026-06-01
last autumn                           2025-09-01        2025-12-01
in the fall                           2026-09-01        2026-12-01
in winter                             2025-12-01        2026-03-01
last winter                           2025-12-01        2026-03-01
in the summer of 2024                 2024-06-01        2024-09-01
in summer 2024                        2024-06-01        2024-09-01
in the winter of 2024                 2024-12-01        2025-03-01
in the spring of last year            2025-03-01        2025-06-01
last quarter                          2026-07-01        2026-10-01
this quarter                          2026-10-01        2027-01-01
in Q3                                 2026-07-01        2026-10-01
in Q4 2025                            2025-10-01        2026-01-01
in the first quarter of 2026          2026-01-01        2026-04-01
in the second quarter                 2026-04-01        2026-07-01
in H1 2025                            2025-01-01        2025-07-01
in 2022                               2022-01-01        2023-01-01
during 2022                           2022-01-01        2023-01-01
back in 2019                          2019-01-01        2020-01-01
this year                             2026-01-01        2027-01-01
last year                             2025-01-01        2026-01-01
the year before last                  2024-01-01        2025-01-01
in the 1990s                          1990-01-01        2000-01-01
in the 90s                            1990-01-01        2000-01-01
in the last decade                    2016-11-24T15:00  2026-11-24T15:00
three days ago                        2026-11-21        2026-11-22
24 days ago                           2026-10-31        2026-11-01
two nights ago                        2026-11-22        2026-11-23
two weeks ago                         2026-11-07        2026-11-15
about two weeks ago                   2026-11-07        2026-11-15
a couple of weeks ago                 2026-11-07        2026-11-15
two weeks back                        2026-11-07        2026-11-15
a fortnight ago                       2026-11-07        2026-11-15
two months ago                        2026-09-09        2026-10-10
a year ago                            2025-05-26        2026-05-27
half a year ago                       2026-02-22        2026-08-24
1.5 years ago                         2025-02-22        2025-08-24
a year and a half ago                 2025-02-22        2025-08-24
one and a half years ago              2025-02-22        2025-08-24
an hour ago                           2026-11-24T13:30  2026-11-24T14:30
half an hour ago                      2026-11-24T14:15  2026-11-24T14:45
a few days ago                        2026-11-18T03:00  2026-11-23T03:00
a few months ago                      2026-05-09T15:00  2026-10-09T15:00
a few years ago                       2020-05-26T03:00  2025-05-26T03:00
more than two years ago               1900-01-01        2024-11-24T15:00
less than two weeks ago               2026-11-10T15:00  2026-11-24T15:00
in the past 3 weeks                   2026-11-03T15:00  2026-11-24T15:00
in the last three days                2026-11-21T15:00  2026-11-24T15:00
over the past week                    2026-11-17T15:00  2026-11-24T15:00
within the last hour                  2026-11-24T14:00  2026-11-24T15:00
for the last two months               2026-09-24T15:00  2026-11-24T15:00
in the last few days                  2026-11-19T15:00  2026-11-24T15:00
recently                              2026-11-10T15:00  2026-11-24T15:00
before 12 January                     1900-01-01        2026-01-12
before 2020                           1900-01-01        2020-01-01
before last week                      1900-01-01        2026-11-16
until March 2024                      1900-01-01        2024-04-01
until yesterday                       1900-01-01        2026-11-24
up to 2020                            1900-01-01        2021-01-01
after March                           2026-04-01        2026-11-24T15:00
after yesterday                       2026-11-24        2026-11-24T15:00
since Monday                          2026-11-23        2026-11-24T15:00
since May                             2026-05-01        2026-11-24T15:00
since last summer                     2026-06-01        2026-11-24T15:00
since 2019                            2019-01-01        2026-11-24T15:00
between March and May                 2026-03-01        2026-06-01
between March and May 2024            2024-03-01        2024-06-01
between November and February         2025-11-01        2026-03-01
between 3 and 7 May 2024              2024-05-03        2024-05-08
between 12 January and 3 March        2026-01-12        2026-03-04
between 2020 and 2022                 2020-01-01        2023-01-01
between Monday and Wednesday last week 2026-11-16       2026-11-19
from Monday to Wednesday              2026-11-16        2026-11-19
from April to June 2025               2025-04-01        2025-07-01
from 3 to 7 May                       2026-05-03        2026-05-08
from May 3 to 7                       2026-05-03        2026-05-08
from last week until yesterday        2026-11-16        2026-11-24
the day before 12 January             2026-01-11        2026-01-12
the week after 12 January             2026-01-13        2026-01-20
the month before last summer          2026-05-01        2026-06-01
"""
UNREAD = """
on 31 February 2023
on 31 April
on 12/01/2026
on Tuesday 12 January 2026
on 12.13.2026
on 3 May 2027
in 2031
in 0000 BC
in 2000 BC
on the 12th floor
in three days
in 2 weeks
tomorrow
next week
next Monday
this Friday
this weekend
this evening
this December
this winter
every Monday
on Mondays
by March
by Friday
9999999 years ago
two million years ago
two days before 12 January
three weeks after Easter
the week before Easter
the day after my birthday
before lunch
after the meeting
since the move
until then
between jobs
between June and Tom
in March and April
in March or April
on Monday or Tuesday
in the first week of March
for the rest of the year
yesterday about the trip in June
last week and last year
a while ago
some time ago
long ago
an age ago
from April
with June
to march
in the sun
at Christmas
on the second try
at 10:15
in version 1.2.3
in week 3 of the course
May I come in
it may be
this may be
the last march
"""
TABLE = [(line[:38].rstrip(), *line[38:].split()) for line in READ.splitlines() if line]


def asked(phrase, now=NOW):
    return named_period(f"What did Ana say {phrase}?", now)


def spans(phrase, now=NOW):
    named = asked(phrase, now)
    return None if named is None else (named.period.start, named.period.end)


def moment(text, zone=EAST):
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(("phrase", "start", "end"), TABLE, ids=[row[0] for row in TABLE])
def test_a_period_is_read(phrase, start, end):
    if end == "-":
        assert spans(phrase) is None
        return
    assert spans(phrase) == (moment(start), moment(end))
    assert spans(phrase.upper().replace("'S", "'s")) == (moment(start), moment(end))


@pytest.mark.parametrize("phrase", UNREAD.strip().splitlines())
def test_what_is_not_understood_is_not_guessed(phrase):
    assert spans(phrase) is None


@pytest.mark.parametrize(
    ("now", "phrase", "start", "end"),
    [
        ("2026-01-01T00:30", "yesterday", "2025-12-31", "2026-01-01"),
        ("2026-01-01T00:30", "last month", "2025-12-01", "2026-01-01"),
        ("2026-01-01T00:30", "last week", "2025-12-22", "2025-12-29"),
        ("2026-01-01T00:30", "this winter", "2025-12-01", "2026-03-01"),
        ("2026-01-01T00:30", "last summer", "2025-06-01", "2025-09-01"),
        ("2026-01-01T00:30", "last quarter", "2025-10-01", "2026-01-01"),
        ("2026-01-01T00:30", "in January", "2026-01-01", "2026-02-01"),
        ("2026-01-01T00:30", "last January", "2025-01-01", "2025-02-01"),
        ("2026-03-31T12:00", "a month ago", "2026-02-13", "2026-03-16"),
        ("2026-03-31T12:00", "on the 31st", "2026-03-31", "2026-04-01"),
        ("2026-03-30T12:00", "on the 31st", "2026-01-31", "2026-02-01"),
        ("2024-02-29T12:00", "a year ago", "2022-08-30", "2023-08-31"),
        ("2025-02-01T12:00", "in winter 2025", "2024-12-01", "2025-03-01"),
        ("2026-11-29T23:59", "on Sunday", "2026-11-29", "2026-11-30"),
        ("2026-11-29T23:59", "last Sunday", "2026-11-22", "2026-11-23"),
        ("2026-11-29T23:59", "this weekend", "2026-11-28", "2026-11-30"),
        ("2026-11-30T00:00", "last weekend", "2026-11-28", "2026-11-30"),
        ("2026-11-30T00:00", "last Sunday", "2026-11-29", "2026-11-30"),
        ("2027-01-02T12:00", "in week 53", "2026-12-28", "2027-01-04"),
    ],
)
def test_at_the_borders_of_years_months_and_weeks(now, phrase, start, end):
    assert spans(phrase, moment(now)) == (moment(start), moment(end))


@pytest.mark.parametrize("hours", [-11, -3.5, 0, 5.75, 14])
def test_days_are_those_of_the_asker(hours):
    zone = timezone(timedelta(hours=hours))
    now = datetime(2026, 11, 24, 12, tzinfo=UTC).astimezone(zone)
    midnight = now.replace(hour=0)
    if now.minute:
        midnight = midnight.replace(minute=0)
    assert spans("yesterday", now) == (midnight - timedelta(days=1), midnight)
    assert spans("in March", now) == (moment("2026-03-01", zone), moment("2026-04-01", zone))


def test_a_day_is_longer_where_clocks_change():
    zone = ZoneInfo("Europe/Amsterdam")
    named = asked("on 25 October", datetime(2026, 11, 24, 15, tzinfo=zone))
    assert named is not None
    assert named.period.end.timestamp() - named.period.start.timestamp() == 25 * 3_600


@pytest.mark.parametrize(
    "question",
    [
        "What did I do in March?",
        "what happened last week?",
        "Last week?",
        "What was I up to on 12 January?",
        "Tell me about last summer",
        "What have I been doing lately?",
        "What did we talk about yesterday evening?",
        "What's new since Monday?",
        "What happened between March and May 2024?",
        "Anything from the week before last?",
    ],
)
def test_a_question_that_is_only_about_a_time(question):
    named = named_period(question, NOW)
    assert named is not None
    assert named.alone


@pytest.mark.parametrize(
    "question",
    [
        "Where did I live in 2025?",
        "What did Ana do last week?",
        "How did the interview go on 12 January?",
        "What did I eat yesterday?",
        "Who came to the party last summer?",
    ],
)
def test_a_question_about_something_at_a_time(question):
    named = named_period(question, NOW)
    assert named is not None
    assert not named.alone


moments = st.datetimes(datetime(1950, 1, 1), datetime(2150, 1, 1), timezones=st.sampled_from([UTC, EAST]))
pieces = st.sampled_from(
    (
        "in",
        "on",
        "the",
        "last",
        "this",
        "since",
        "before",
        "between",
        "and",
        "to",
        "from",
        "of",
        "a",
        "3",
        "12th",
        "2024",
        "may",
        "march",
        "monday",
        "week",
        "month",
        "year",
        "ago",
        "days",
        "two",
        "summer",
        "early",
        "half",
        "q3",
        "yesterday",
        "-",
        "2024-05",
        "12.01.2026",
        "/",
        ",",
        "morning",
        "weekend",
    )
)


@given(st.text(max_size=80) | st.lists(pieces, max_size=10).map(" ".join), moments)
def test_any_question_is_read_and_no_period_is_of_the_future_alone(question, now):
    named = named_period(question, now)
    if named:
        assert named.period.start < named.period.end
        assert named.period.start <= now


@pytest.mark.parametrize(
    "unit", ["minute", "hour", "day", "night", "week", "fortnight", "month", "year", "decade"]
)
@pytest.mark.parametrize("count", ["a", "two", "12", "1.5", "half a", "a couple of", "a few", "a dozen"])
@pytest.mark.parametrize("phrase", ["{} {} ago", "more than {} {} ago", "in the last {} {}"])
def test_any_count_of_any_unit(phrase, count, unit):
    named = asked(phrase.format(count, unit if count in ("a", "half a") else f"{unit}s"), NOW)
    assert named is None or EARLIEST_YEAR <= named.period.start.year < named.period.end.year + 1


@given(st.sampled_from(MONTHS), moments)
def test_the_latest_month_of_a_name_has_begun_and_no_later_one_has(month, now):
    named = asked(f"in {month}", now)
    assert named is not None
    start, end = named.period.start, named.period.end
    assert MONTHS[start.month - 1] == month
    assert start <= now < start.replace(year=start.year + 1)
    assert (end - timedelta(days=1)).month == start.month


@given(st.sampled_from(WEEKDAYS), moments)
def test_the_latest_weekday_is_within_a_week(weekday, now):
    on, last = asked(f"on {weekday}", now), asked(f"last {weekday}", now)
    assert on is not None
    assert last is not None
    assert WEEKDAYS[on.period.start.weekday()] == WEEKDAYS[last.period.start.weekday()] == weekday
    assert timedelta(0) <= now - on.period.start < timedelta(days=7)
    assert last.period.end <= now


@given(st.integers(1, 400), st.sampled_from(["day", "week", "month", "year"]), moments)
def test_so_long_ago_is_around_that_moment(count, unit, now):
    named = asked(f"{count} {unit}s ago", now)
    days = {"day": 1, "week": 7, "month": 30.44, "year": 365.25}[unit] * count
    if unit == "year" and count > 90:
        return
    assert named is not None
    middle = now - timedelta(days=days)
    assert named.period.start - timedelta(days=3) <= middle <= named.period.end + timedelta(days=3)
