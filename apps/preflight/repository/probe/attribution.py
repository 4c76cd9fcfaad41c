"""Which variable an error is of: the settings are made again with one of them changed at a time.

An error that is gone when a variable has another value is that variable's; one that is gone when an absent
variable is set asks for it; a result that never changes means that the variable is not read. So prefixes,
aliases, delimiters, files and whatever else a class does to its environment need not be known here.
"""

from __future__ import annotations

import base64
import dataclasses
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

from . import settings_types, type_hints
from .sandbox import Environ, Sandbox, State
from .settings_types import Field, Form, WrongValuesError

PLACEHOLDERS = (
    "x",
    "1",
    "true",
    "[]",
    "{}",
    "https://placeholder.invalid",
    "00000000-0000-4000-8000-000000000000",
    "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
)
"""Values to try where the value cannot be seen here, or to see whether another one would do."""
ROUNDS = 60
"""Most problems that are looked into, one after the other."""
MOST_FILES = 20
"""Most files that are looked for where nothing can be seen, and that are tried for one problem."""
LONGEST = 500
"""Characters of the class's own words that are passed on."""
IGNORED = re.compile(r" at 0x[0-9a-f]+")


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing a settings type says to an environment."""

    title: str
    """The class that says it, or the type of the exception."""
    where: tuple[str, ...]
    """The field, step by step; empty where it is said of the whole."""
    kind: str
    text: str

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same problem although a value in its words has changed."""
        return (self.title, self.where, self.kind, "" if self.where else self.text)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one environment."""

    problems: tuple[Problem, ...]
    values: frozenset[tuple[str, str]]
    looked_up: frozenset[str]
    all_read: bool

    @property
    def keys(self) -> set[tuple[object, ...]]:
        """The problems by what makes them the same."""
        return {problem.key for problem in self.problems}


@dataclasses.dataclass
class Cause:
    """What a problem comes from, and a change of the state that cures it."""

    names: list[str]
    missing: bool = False
    cure: State | None = None
    known: bool = True
    """False where only a value that cannot be seen here is to blame."""


class Attribution:
    """The questions about one environment, and the answers as JSON."""

    def __init__(self, form: Form, sandbox: Sandbox, question: dict[str, Any], deadline: float) -> None:
        self.form = form
        self.sandbox = sandbox
        self.secrets: list[str] = question["secrets"]
        self.open: bool = question["open"]
        self.given: State = question["state"]
        self.unknown: list[str] = list(question["unknown"])
        self.deadline = deadline
        self.read_at_import: frozenset[str] = frozenset()
        self._outcomes: dict[frozenset[tuple[str, str]], Outcome] = {}
        self._seen_values: frozenset[tuple[str, str]] | None = None

    def answer(self) -> dict[str, Any]:
        """`variables`, `problems`, `unread`, `shadowed` and `state` as `preflight.repository.app.Answer`."""
        state = {**dict.fromkeys(self.unknown, PLACEHOLDERS[0]), **self.given}
        first = self.run(state)
        found, settled, causes = [], set(), []
        for _ in range(ROUNDS):
            problem = next((p for p in self.run(state).problems if p.key not in settled), None)
            if problem is None or time.monotonic() > self.deadline:
                break
            cause = self.cause(problem, state)
            if cause.known:
                causes.append(cause)
                found.append(self._problem_json(problem, cause, state))
            if cause.cure is None:
                settled.add(problem.key)
                continue
            for name, value in cause.cure.items():
                state = _with(state, name, value)
            if cause.missing:
                self.unknown.append(cause.names[0])
        last = self.run(state)
        unread = self.unread(state, last, causes)
        return {
            "variables": [field.to_json() for field in self._fields(first, last)],
            "problems": found,
            "unread": unread,
            "shadowed": self._shadowed(unread, state),
            "state": {name: value for name, value in state.items() if self.given.get(name) != value},
        }

    def run(self, state: State) -> Outcome:
        """What comes of one environment; asked once."""
        key = frozenset(state.items())
        if key not in self._outcomes:
            self._outcomes[key] = self._run(state)
        return self._outcomes[key]

    def _run(self, state: State) -> Outcome:
        self.sandbox.use(state)
        Environ.forget()
        problems: list[Problem] = []
        values: frozenset[tuple[str, str]] = frozenset()
        try:
            made = self.form.make()
        except MemoryError:
            raise
        # what a settings type raises is its answer, SystemExit included
        except BaseException as error:
            problems = list(problems_of(error))
        else:
            if not self.form.fields and settings_types.is_settings(type(made)):
                self.form.fields = list(settings_types.described(type(made)))
            values = frozenset(flat(made))
            if self._seen_values is None:
                # what differs between two makings of the same is no answer to a variable: times, random keys
                self._seen_values = frozenset()
                again = frozenset(flat(self.form.make()))
                self._seen_values = frozenset((path, "") for path, _ in values ^ again)
            unsteady = {path for path, _ in self._seen_values}
            values = frozenset(each for each in values if each[0] not in unsteady)
        return Outcome(tuple(problems), values, frozenset(Environ.looked_up), Environ.all_read)

    def cause(self, problem: Problem, state: State) -> Cause:
        """What one problem comes from, in this order: values that cannot be seen, its own field's variables,
        variables that are absent, all the others."""
        field = self.field_of(problem)
        own = [name for name in state if field is not None and field.has(name)]
        unseen = [path for path in self.sandbox.absent if path not in state][:MOST_FILES]
        for name in (*sorted(self.unknown, key=lambda name: name not in own), *unseen):
            value = self._cured(problem, state, name, (*self._choices(name), *PLACEHOLDERS))
            if value is not None:
                return Cause([name], cure={name: value}, known=False)
        if any(name in self.unknown for name in own):
            return Cause([], known=False)
        absent = self._absent(problem, field, state)
        if problem.kind == "missing":
            cause = self._missing(problem, state, absent)
            if cause is not None:
                return cause
        for name in own:
            if name[:1] == "/":
                continue
            value = self._cured(problem, state, name, self._others(name, state))
            if value is not None or problem.kind != "missing":
                cure = {name: value} if value is not None else None
                return Cause([name] if problem.kind != "aliases" else own, cure=cure)
        blamed = self._blamed(problem, state)
        if any(name in self.unknown for name in blamed) and not any(n not in self.unknown for n in blamed):
            return Cause([], known=False)
        cures = self._cures(problem, state, absent)
        names = _as_mentioned(problem.text, [*blamed, *cures])
        names = [name for name in names if name not in self.unknown]
        if not blamed and cures and not problem.where:
            return Cause(list(cures), missing=True, cure=dict([next(iter(cures.items()))]))
        # another text for a whole file would only bring other problems
        cure = next(
            (
                {n: v}
                for n in names
                if n in state
                and n[:1] != "/"
                and (v := self._cured(problem, state, n, self._others(n, state)))
            ),
            None,
        )
        return Cause(names, cure=cure)

    def _missing(self, problem: Problem, state: State, absent: list[str]) -> Cause | None:
        cures = self._cures(problem, state, absent)
        for name in absent if not cures else ():
            # no value at hand is right, and another error of the same field shows that it is read
            after = self.run(_with(state, name, PLACEHOLDERS[0]))
            fields = [field for new in after.problems if (field := self.field_of(new)) is not None]
            if problem.key not in after.keys and any(field.has(name) for field in fields):
                cures[name] = PLACEHOLDERS[0]
        if not cures:
            return None
        name = next(iter(cures))
        return Cause(list(cures), missing=True, cure={name: cures[name]})

    def _cures(self, problem: Problem, state: State, names: Iterable[str]) -> State:
        """The absent variables that would put an end to a problem, each with a value that does; of what is
        said of the whole, those that its words mention before any other."""
        found: State = {}
        if not problem.where:
            names = _as_mentioned(problem.text, names)
        for name in names:
            if found and not problem.where and name.lower() not in problem.text.lower():
                break
            value = self._cured(problem, state, name, (*self._choices(name), *PLACEHOLDERS))
            if value is not None:
                found[name] = value
        return found

    def _blamed(self, problem: Problem, state: State) -> list[str]:
        """The variables without which, or with another value of which, a problem is not what it is; of what
        is said of the whole, those that its words mention before any other."""
        found: list[str] = []
        names = self._candidates(state, self.run(state))
        for name in names if problem.where else _as_mentioned(problem.text, names):
            if found and not problem.where and name.lower() not in problem.text.lower():
                break
            for value in self._others(name, state):
                outcome = self.run(_with(state, name, value))
                changed = [p for p in outcome.problems if p.key == problem.key and p.text != problem.text]
                if changed or self._is_cure(problem, outcome, self.run(state), name, value):
                    found.append(name)
                    break
        return found

    def _cured(self, problem: Problem, state: State, name: str, values: Iterable[str]) -> str | None:
        """The first value of a variable with which the problem is gone and nothing new is said of it."""
        before = self.run(state)
        for value in values:
            if time.monotonic() > self.deadline:
                return None
            if self._is_cure(problem, self.run(_with(state, name, value)), before, name, value):
                return value
        return None

    def _is_cure(self, problem: Problem, after: Outcome, before: Outcome, name: str, value: str) -> bool:
        if problem.key in after.keys:
            return False
        for new in after.problems:
            field = self.field_of(new)
            spoken_of = name.lower() in new.text.lower() or repr(value) in new.text
            if new.key not in before.keys and (spoken_of or (field is not None and field.has(name))):
                return False
        return True

    def _others(self, name: str, state: State) -> tuple[str, ...]:
        """Other values of a variable, and none at all."""
        listed = (*self._choices(name), *PLACEHOLDERS, state.get(name, "") + "x", REMOVED)
        return tuple(value for value in listed if value != state.get(name))

    def _choices(self, name: str) -> list[str]:
        found = [field for field in self.form.fields if field.has(name)]
        return [each for field in found for each in type_hints.samples(field.hint)]

    def _candidates(self, state: State, outcome: Outcome) -> list[str]:
        """The variables and files that may have a part in an outcome."""
        return [name for name in state if outcome.all_read or name in outcome.looked_up or name[:1] == "/"]

    def _absent(self, problem: Problem, field: Field | None, state: State) -> list[str]:
        """Names that nothing sets and that a problem may ask for: of its field, of fields inside it, those
        looked up by name; for what is said of the whole, those of every field."""
        names = list(field.names) if field is not None else []
        if field is not None:
            inside = [
                f for f in self.form.fields if f.path[: len(field.path)] == field.path and f is not field
            ]
            names = [n for f in inside if f.required for n in f.names] + names if inside else names
        looked_up = sorted(self.run(state).looked_up, key=lambda name: name not in problem.text)
        names += looked_up
        if not problem.where:
            names += [name for each in self.form.fields for name in each.names[:1]]
        return [name for name in dict.fromkeys(names) if name not in state]

    def field_of(self, problem: Problem) -> Field | None:
        """The field that a problem is about."""
        if not problem.where:
            return None
        where = tuple(step.lower() for step in problem.where)
        own = [field for field in self.form.fields if not field.owner or field.owner == problem.title]
        others = (
            field
            for class_ in settings_types.settings_classes()
            if not problem.title or class_.__name__ == problem.title
            for field in settings_types.described(class_)
        )
        for fields in (own, others, self.form.fields):
            found = [field for field in fields if field.is_at(where)]
            if found:
                return max(found, key=lambda field: len(field.path))
        return None

    def unread(self, state: State, last: Outcome, causes: list[Cause]) -> list[str]:
        """The variables of the pod whose absence and whose every other value change nothing."""
        read = self.read_at_import | last.looked_up | {name for cause in causes for name in cause.names}
        asked = [name for name in (*self.given, *self.unknown) if name[:1] != "/" and name not in read]
        if last.problems:
            # of what could not be made, a field's own variable may be read and change nothing
            asked = [
                name for name in asked if self.form.fields and not any(f.has(name) for f in self.form.fields)
            ]
        found = []
        for name in dict.fromkeys(asked):
            if last.all_read and self._is_read(name, state, last):
                continue
            if time.monotonic() > self.deadline:
                return []
            found.append(name)
        return found

    def _is_read(self, name: str, state: State, last: Outcome) -> bool:
        outcomes = (self.run(_with(state, name, value)) for value in (*self._others(name, state), REMOVED))
        return any((each.problems, each.values) != (last.problems, last.values) for each in outcomes)

    def _shadowed(self, unread: list[str], state: State) -> State:
        """Variables that are not read because another name of the same field is taken first."""
        found = {}
        for name in unread:
            for field in self.form.fields:
                taken = [
                    other for other in state if field.has(name) and field.has(other) and other not in unread
                ]
                for other in taken:
                    without = _with(state, other, REMOVED)
                    if self._is_read(name, without, self.run(without)):
                        found[name] = other
        return found

    def _fields(self, first: Outcome, last: Outcome) -> Iterator[Field]:
        """The fields of the type, and the variables that it looks up by name."""
        yield from self.form.fields
        for name in sorted(first.looked_up | last.looked_up):
            if not any(field.has(name) for field in self.form.fields) and name in (
                *self.given,
                *self.unknown,
            ):
                yield Field(path=(name,), names=(name,), hint=str, required=False)

    def _problem_json(self, problem: Problem, cause: Cause, state: State) -> dict[str, Any]:
        field = self.field_of(problem)
        kind = "conflict"
        if cause.missing:
            kind = "missing"
        elif problem.kind == "aliases":
            kind = "aliases"
        elif cause.names and all(name[:1] == "/" or (field and field.has(name)) for name in cause.names):
            kind = "value"
        return {
            "kind": kind,
            "variables": cause.names,
            "field": ".".join(problem.where),
            "expected": _expected(problem, field) if field is not None else "",
            "message": spoken(problem.text, self.secrets),
            "certain": not self.open or not self._mendable(problem, state),
        }

    def _mendable(self, problem: Problem, state: State) -> bool:
        """Whether a variable that is absent could put an end to a problem."""
        return bool(self._cures(problem, state, self._absent(problem, self.field_of(problem), state)))


REMOVED = "\0removed"
"""Stands for no value in a state: no variable can hold a zero byte."""


def _with(state: State, name: str, value: str) -> State:
    changed = {**state, name: value}
    if value == REMOVED:
        del changed[name]
    return changed


def _expected(problem: Problem, field: Field) -> str:
    """What a field's value must look like; empty where the type's own words say it better."""
    if problem.kind == "json":
        return field.expected if field.expected.startswith("a JSON") else "JSON"
    own_words = problem.kind in ("value_error", "assertion_error") or len(problem.where) > len(field.path)
    return "" if own_words or type_hints.kind(field.hint) == "other" else field.expected


def _as_mentioned(text: str, names: Iterable[str]) -> list[str]:
    """Names in the order a text has them, those it does not have last."""
    places = {name: text.lower().find(name.lower()) for name in names}
    return sorted(places, key=lambda name: (places[name] < 0, places[name]))


def spoken(text: str, secrets: Iterable[str]) -> str:
    """The words of a class or an exception with each Secret's value masked; nothing where they hold four
    letters of one, or of its base64, all the same. What is shorter than that is in many words."""
    whole = sorted((each.strip() for each in secrets if len(each.strip()) >= 4), key=len, reverse=True)
    for secret in whole:
        for form in (secret, repr(secret)[1:-1]):
            text = text.replace(form, "***")
    for secret in whole:
        for form in (secret.lower(), base64.b64encode(secret.encode()).decode().lower()):
            if any(form[start : start + 4] in text.lower() for start in range(len(form) - 3)):
                return ""
    return text[:LONGEST]


def problems_of(error: Any) -> Iterator[Problem]:
    """What an exception says, piece by piece."""
    name = type(error).__name__
    if isinstance(error, WrongValuesError):
        for field, kind, text in error.problems:
            yield Problem("", (field,), kind, text)
    elif name == "ValidationError" and hasattr(error, "error_count"):
        for item in error.errors(include_url=False, include_context=False, include_input=False):
            text = str(item["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
            yield Problem(
                error.title, tuple(map(str, item["loc"])), str(item["type"]), " ".join(text.split())
            )
    elif name == "SettingsError" and (match := re.search(r'field "([^"]+)"', str(error))):
        yield Problem("", (match[1],), "json", " ".join(str(error).split()))
    elif isinstance(error, KeyError) and len(error.args) == 1 and isinstance(error.args[0], str):
        yield Problem(name, (), "missing", f"KeyError: {error.args[0]}")
    else:
        text = str(error).strip()
        for line in text.splitlines() or [""]:
            if line.strip():
                own = isinstance(error, (ValueError, SystemExit)) or len(text.splitlines()) > 1
                yield Problem(name, (), "error", line.strip() if own else f"{name}: {line.strip()}")
        if not text:
            yield Problem(name, (), "error", name)


def flat(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """A value as pairs of a path and a text, alike for values that are alike; hidden values are opened."""
    if depth > 8 or isinstance(value, (type(None), bool, int, float, str, bytes, type)) or callable(value):
        yield path, IGNORED.sub("", f"{type(value).__name__} {value!r}")
    elif callable(reveal := getattr(value, "get_secret_value", None)):
        yield path, repr(reveal())
    elif isinstance(value, dict):
        yield path, f"dict {len(value)}"
        for key, each in value.items():
            yield from flat(each, f"{path}.{key}", depth + 1)
    elif isinstance(value, (list, tuple)):
        yield path, f"{type(value).__name__} {len(value)}"
        for index, each in enumerate(value):
            yield from flat(each, f"{path}[{index}]", depth + 1)
    elif isinstance(value, (set, frozenset)):
        yield path, repr(sorted(map(repr, value)))
    else:
        state = {**getattr(value, "__dict__", {})}
        for class_ in type(value).__mro__:
            slots = class_.__dict__.get("__slots__", ())
            for slot in (slots,) if isinstance(slots, str) else slots:
                if hasattr(value, slot) and not slot.startswith("__"):
                    state[slot] = getattr(value, slot)
        plain = {key: each for key, each in state.items() if key[:2] != "__" and not _is_module(each)}
        yield path, IGNORED.sub("", repr(value)) if not plain else type(value).__name__
        for key, each in plain.items():
            yield from flat(each, f"{path}.{key}", depth + 1)


def _is_module(value: Any) -> bool:
    return type(value).__name__ == "module"
