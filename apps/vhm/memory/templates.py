"""The built-in teller's turns of phrase: how sure it sounds, and how it says when.

Each kind has its templates by how far the memory is to be trusted (high, medium, low); their fields are
`when`, `who` and `what`.
"""

from __future__ import annotations

import re

from vhm.memory import ages

Phrases = dict[str, tuple[str, ...]]

SAID: Phrases = {
    "high": (
        "{when} {who} said, {what}",
        "{when}, in {who}'s own words: {what}",
        "{when}, {who} put it like this: {what}",
    ),
    "medium": (
        "I remember {who} saying {when}, {what}",
        "{when}, as I recall, {who} said, {what}",
        "if I remember right, {who} said {when}, {what}",
    ),
    "low": (
        "I think it was {when} that {who} said something like {what}",
        "I have a faint memory of {who} saying, {when}, {what}",
        "{when}, if I'm not mistaken, {who} said something like {what}",
        "I half remember {who} saying {when}, {what}",
    ),
}
ASKED: Phrases = {
    "high": ("{when} {who} asked, {what}", "{when}, {who} wanted to know, {what}"),
    "medium": ("I remember {who} asking {when}, {what}", "{when}, as I recall, {who} asked, {what}"),
    "low": (
        "I believe it was {when} that {who} asked something like {what}",
        "{when}, I think, {who} asked something like {what}",
        "I dimly remember {who} asking {when}, {what}",
    ),
}
SHOWED: Phrases = {
    "high": ("{when} {who} showed {what}", "{who} showed {what} {when}"),
    "medium": ("I remember {who} showing {what} {when}", "{when}, as I recall, {who} showed {what}"),
    "low": (
        "I think it was {when} that {who} showed {what}",
        "I have a dim memory of {who} showing {what} {when}",
    ),
}
HAPPENED: Phrases = {
    "high": ("{when} {what}", "{when}, {what}"),
    "medium": ("I remember that {when} {what}", "{when}, as I recall, {what}"),
    "low": (
        "I think it was {when} that {what}",
        "{when}, if I'm not mistaken, {what}",
        "I seem to remember that {when} {what}",
        "my memory of it is faint, but {when} {what}",
    ),
}
NOTED: Phrases = {
    "high": ("from {when} I clearly remember this: {what}", "this is still clear to me from {when}: {what}"),
    "medium": ("from {when} I remember this: {what}", "as I recall, it was like this {when}: {what}"),
    "low": (
        "from {when} I only dimly recall this: {what}",
        "not much is left to me from {when}, only this: {what}",
    ),
}
BACK = ("Before that, {}", "Further back, {}", "Going back, {}")
SAME_TIME = ("around the same time", "around then", "at much the same time")
CLOSING = (
    "What runs through it all is {}.",
    "It all seems to come back to {}.",
    "If there is a thread, it is {}.",
    "The thread I find in it is {}.",
)

_COUNTED = re.compile(r"(\d+) (\w+?)s? ago")
_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_ABOUT = ("about ", "some ", "maybe ", "around ")


def when(age: str, unsure: int | None = None) -> str:
    """A perceived age inside a sentence: "two weeks ago"; vaguer, in one of several ways, when `unsure`."""
    age = " ".join(age.lower().split()).rstrip(".,!")
    if ages.days(age) is None or len(age) > 40:
        return "at some point"
    if age == "just now":
        return "a moment ago"
    counted = _COUNTED.fullmatch(age)
    if not counted:
        return age
    number, unit = int(counted[1]), counted[2]
    if number == 1:
        spoken, about = f"{'an' if unit == 'hour' else 'a'} {unit} ago", "about "
    else:
        spoken = f"{_NUMBERS[number] if number < len(_NUMBERS) else number} {unit}s ago"
        loosely = _ABOUT if unit in ("month", "year") else _ABOUT[:1]
        about = "" if unsure is None else loosely[unsure % len(loosely)]
    return spoken if unsure is None else about + spoken


def pictured(caption: str) -> str:
    """A picture's caption as something shown."""
    caption = re.sub(r"^an? photography of\b", "a photo of", caption.strip().rstrip("."))
    named = re.match(r"(?:an?|the|her|his|their|my|some|two|three)\b", caption, re.IGNORECASE)
    return caption if named else f"a picture, {caption}"


def enumerated(words: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
