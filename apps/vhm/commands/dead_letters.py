"""`vhm dead-letters`: what was refused, why, and sending it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cyclopts import App, Parameter

from vhm.client.connect import broker_settings
from vhm.commands.dates import moment
from vhm.contract.settings import Settings
from vhm.contract.topics import DEAD_LETTER_SUFFIX, dead_letter
from vhm.errors import UserError
from vhm.runtime.dead_letters import admin
from vhm.runtime.dead_letters.admin import DEAD_LETTER_TOPICS, DeadLetter, DeadLettersError
from vhm.runtime.kafka_config import Config, client_config

app = App(name="dead-letters", help="Look at what was refused, and send it again.", help_epilogue="")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Only:
    """Which letters a command is about."""

    topic: str | None = None
    """Only what came from this topic."""

    since: str | None = None
    """Only what was refused since then: 2026-05-01T09:00, "2 hours ago"."""

    reason: str | None = None
    """Only what was refused for this reason."""


EVERY = Only()


@app.command(name="list")
def list_(*, only: Only = EVERY, each: bool = False) -> int:
    """Count what was refused, by topic and reason.

    Parameters
    ----------
    each
        One line a letter, with its place, instead of counts.
    """
    from rich.console import Console
    from rich.table import Table

    found = _chosen(broker_settings(), (), only)
    table = Table(box=None)
    if each:
        for column in ("place", "when", "reason", "errors"):
            table.add_column(column, no_wrap=column != "errors")
        for letter in found:
            errors = admin.payload("; ".join(letter.errors).encode(), 120)
            table.add_row(letter.place, _when(letter.kept_at), letter.reason, errors)
    else:
        for column in ("topic", "reason", "letters", "first", "last"):
            table.add_column(column, justify="right" if column == "letters" else "left")
        for row in admin.counts(found):
            table.add_row(row.topic, row.reason, str(row.letters), _when(row.first), _when(row.last))
    if found:
        Console(markup=False, highlight=False).print(table)
    else:
        print(_none(only))
    return 0


@app.command
def show(*places: str, only: Only = EVERY) -> int:
    """Show letters in full: where they were, why they were refused, and what they hold.

    Parameters
    ----------
    places
        Which, by place (`list --each` names them); all that the options leave, if none is given.
    """
    found = _chosen(broker_settings(), places, only)
    if not found:
        print(_none(only))
    for letter in found:
        record = letter.record
        build = admin.payload(letter.build.encode())
        print(f"{letter.place}  {letter.reason}  {_when(letter.kept_at)}  build {build}")
        for error in letter.errors:
            print(f"  error    {admin.payload(error.encode())}")
        print(f"  key      {admin.payload(record.key)}")
        for name, value in record.headers:
            print(f"  header   {admin.payload(name.encode())}: {admin.payload(value, 200)}")
        print(f"  payload  {admin.payload(record.value)}")
    return 0


@app.command
def replay(*places: str, only: Only = EVERY, all: bool = False, dry_run: bool = False) -> int:
    """Send records again to the topic they came from, with their key, headers and timestamp.

    Nothing is taken out of the dead letters: what is refused again is kept again, under its new place.

    Parameters
    ----------
    places
        Which, by place (`list --each` names them).
    all
        Every letter there is.
    dry_run
        Only say what would be sent.
    """
    if not (places or only != EVERY or all):
        raise UserError("say which: places, --topic, --since, --reason or --all")
    settings = broker_settings()
    found = _chosen(settings, places, only)
    if dry_run:
        for letter in found:
            print(f"would send {letter.place} ({letter.reason})")
    else:
        try:
            sent = admin.replay(_config(settings), found)
        except DeadLettersError as error:
            raise UserError(str(error)) from None
        for name, count in sorted(sent.items()):
            print(f"sent {count} to {name}")
    if not found:
        print("no dead letters of that kind")
    return 0


def _config(settings: Settings) -> Config:
    return client_config(settings, "dead-letters") | {"log_level": 0}


def _chosen(settings: Settings, places: Sequence[str], only: Only) -> list[DeadLetter]:
    origin = only.topic.removesuffix(DEAD_LETTER_SUFFIX) if only.topic else None
    if origin is not None and dead_letter(origin) not in DEAD_LETTER_TOPICS:
        known = ", ".join(name.removesuffix(DEAD_LETTER_SUFFIX) for name in DEAD_LETTER_TOPICS)
        raise UserError(f"--topic: {only.topic} has no dead letters; those that have: {known}")
    names = [dead_letter(origin)] if origin is not None else DEAD_LETTER_TOPICS
    topics = [settings.kafka_topic_prefix + name for name in names]
    try:
        found = admin.read(_config(settings), topics, moment(only.since, "--since") if only.since else None)
    except DeadLettersError as error:
        raise UserError(f"cannot read dead letters: {error}") from None
    found = [letter for letter in found if only.reason in (None, letter.reason)]
    missing = set(places) - {letter.place for letter in found}
    if missing:
        raise UserError(f"no such dead letter: {', '.join(sorted(missing))}")
    return [letter for letter in found if not places or letter.place in places]


def _none(only: Only) -> str:
    return "no dead letters" if only == EVERY else "no dead letters of that kind"


def _when(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
