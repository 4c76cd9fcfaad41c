"""The built-in teller's turns of phrase, by how far a memory is to be trusted (high, medium, low).

Their fields: `when` ("two weeks ago", "on 8 May 2023"), `day` (the same without "on"), `who`, `said` and
`saying` (or asked and asking), and `what`: a quotation, or an event that goes on with its time. The first of
each opens with its time, so that "also" and "around the same time" fit before it.
"""

from __future__ import annotations

Phrases = dict[str, tuple[str, ...]]

NOTED: Phrases = {
    "high": ("{when}: {what}", "from {day} I remember: {what}", "this I remember from {day}: {what}"),
    "medium": ("{when}, I think: {what}", "I think this is from {day}: {what}"),
    "low": ("{when}, as I only dimly remember: {what}", "I only dimly remember this from {day}: {what}"),
}
SAID: Phrases = {
    "high": ("{when} {who} {said}: {what}",),
    "medium": (
        "{when}, I think, {who} {said}: {what}",
        "I think it was {when} that {who} {said}: {what}",
        "I think {who} {said} {when}: {what}",
    ),
    "low": (
        "{when}, as I only dimly remember, {who} {said}: {what}",
        "I only dimly remember {who} {saying} {when}: {what}",
    ),
}
HAPPENED: Phrases = {
    "high": ("{when} {what}",),
    "medium": ("{when}, I think, {what}", "I think {when} {what}"),
    "low": ("{when}, as I only dimly remember, {what}", "I only dimly remember that {when} {what}"),
}
NOTED_SOMETIME: Phrases = {
    "high": ("I remember: {what}", "this I remember: {what}"),
    "medium": ("I think I remember: {what}", "I think it was this: {what}"),
    "low": ("I only dimly remember: {what}", "this I only dimly remember: {what}"),
}
SAID_SOMETIME: Phrases = {
    "high": ("I remember {who} {saying}: {what}",),
    "medium": ("I think {who} {said}: {what}",),
    "low": ("I only dimly remember {who} {saying}: {what}",),
}
"""For an age that nobody can read."""

ALL = {"medium": "This much I think I remember.", "low": "All this I only dimly remember."}
REST = {"medium": "The rest I think I remember.", "low": "The rest I only dimly remember."}
"""Said once, before memories of less confidence; they are then worded as if they were sure."""

ALSO, SAME_TIME, AND = "also ", "around the same time", " And: "
NOTHING = "Nothing I remember is about that."
EMPTY = "I remember nothing yet: there are no memories."
FAILED = "I could not look into my memory: {error}."
UNTOLD = "I could not tell what I remember: {error}."
