"""What the commands print: for a terminal, or for a program that reads it line by line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from vhm.memory.control_characters import visible
from vhm.memory.sentences import line

if TYPE_CHECKING:
    from rich.console import Console

READING_WIDTH = 100
"""Columns of running text, however wide the terminal."""

_HIDDEN = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """A table on a terminal, its last column folded; else one row a line, uncut, with tabs between.

    One with a title names its columns there, too."""
    if not sys.stdout.isatty():
        for row in [columns, *rows] if title else rows:
            print("\t".join(line(cell) for cell in row))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for column in columns[:-1]:
        table.add_column(
            column, no_wrap=True, justify="left" if column in ("age", "left out because") else "right"
        )
    table.add_column(columns[-1], overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    _console().print(table)


def print_story(text: str) -> None:
    """Running text: italic and in lines of readable width on a terminal, else one line."""
    if not sys.stdout.isatty():
        print(line(text))
        return
    from rich.text import Text

    console = _console()
    console.print(Text(visible(text), style="italic"), width=min(READING_WIDTH, console.width))


def print_json(value: msgspec.Struct) -> None:
    """One JSON object on one line, with nothing in it that a terminal would obey."""
    escaped = _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", msgspec.json.encode(value).decode())
    print(escaped)


def _console() -> Console:
    from rich.console import Console

    if os.environ.get("NO_COLOR"):
        return Console(highlight=False, color_system=None)
    return Console(highlight=False)
