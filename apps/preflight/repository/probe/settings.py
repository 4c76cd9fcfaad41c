"""One settings type of any library, and what it says to an environment."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from .pydantic_settings import ModelKind
from .settings_types import ClassKind, Field, Judgement, Kind, StructKind

STAND_INS = ("x", "1", "true", "http://stand.in:1", "stand.in:1", "0.5", '["x"]', "{}", "2020-01-01")
"""Tried in turn for a value that is offered but cannot be seen here; the field's choices come first."""


def kind(type_: Any) -> Kind:
    """The settings type. Raises TypeError when it is of none of the libraries known here."""
    if hasattr(type_, "__struct_fields__") and isinstance(type_, type):
        return StructKind(type_)
    if hasattr(type_, "model_fields") and hasattr(type_, "model_validate"):
        return ModelKind(type_)
    if isinstance(type_, type) and (dataclasses.is_dataclass(type_) or hasattr(type_, "__attrs_attrs__")):
        return ClassKind(type_)
    raise TypeError("settings are a msgspec Struct, a dataclass, an attrs class or a pydantic 2 model")


def check(kind: Kind, asked: dict[str, Any]) -> dict[str, Any]:
    """The answer to one environment: `{"wrong", "missing", "conflicts"}` as `app.Checked`."""
    values, unknown = asked["values"], set(asked["unknown"])
    raws: dict[str, str] = {}
    offered: dict[str, str] = {}
    unseen: list[Field] = []
    missing: list[str] = []
    for field in kind.fields:
        name = _offered(field, values, kind.keeps_empty)
        if name is not None:
            raws[field.name], offered[field.name] = values[name], name
        elif _offered(field, dict.fromkeys(unknown, "?"), True) is not None:
            unseen.append(field)
        elif field.required:
            missing.append(field.variable)
    judgement = _judge(kind, raws, unseen)
    wrong = {
        offered[field.name]: _complaint(field, raws[field.name])
        for field in kind.fields
        if field.name in judgement.wrong and field.name in offered
    }
    if wrong or missing:
        return {"wrong": wrong, "missing": missing, "conflicts": []}
    doubtful: set[str] = set()
    if asked["open"] and judgement.conflicts:
        hidden = [f for f in kind.fields if f.secret and f.name not in raws and f not in unseen]
        doubtful = set(judgement.conflicts) - set(_judge(kind, raws, [*unseen, *hidden]).conflicts)
    secrets = [raws[f.name].strip() for f in kind.fields if f.secret and f.name in raws]
    return {
        "wrong": {},
        "missing": [],
        "conflicts": [_conflict(kind, text, doubtful, unseen, secrets) for text in judgement.conflicts],
    }


def _offered(field: Field, values: dict[str, str], keeps_empty: bool) -> str | None:
    """The name in `values` the field is read from."""
    for wanted in field.names:
        for name, value in values.items():
            same = name.upper() == wanted.upper() if field.any_case else name == wanted
            if same and (keeps_empty or value.strip()):
                return name
    return None


def _judge(kind: Kind, raws: dict[str, str], unseen: list[Field]) -> Judgement:
    """The type's judgement with the first stand-in each unseen field takes; a field that takes none is
    nobody's fault, and nothing can be said about the whole."""
    stands = {field.name: iter((*_choices(field), *STAND_INS)) for field in unseen}
    given = dict(raws)
    for name, candidates in stands.items():
        given[name] = next(candidates)
    while True:
        judgement = kind.judge(given)
        again = judgement.wrong & stands.keys()
        if not again:
            return judgement
        for name in again:
            candidate = next(stands[name], None)
            if candidate is None:
                judgement.wrong -= stands.keys()
                judgement.conflicts = []
                return judgement
            given[name] = candidate


def _choices(field: Field) -> list[str]:
    return [str(choice) for choice in field.told()["choices"]]


def _complaint(field: Field, raw: str) -> str:
    got = "a value that is not shown" if field.secret else repr(raw if len(raw) <= 80 else raw[:77] + "...")
    return f"got {got}, wants {field.wants}"


def _conflict(
    kind: Kind, text: str, doubtful: set[str], unseen: list[Field], secrets: list[str]
) -> dict[str, Any]:
    words = re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text)
    known = {name: f.variable for f in kind.fields for name in (*f.names, f.name)}
    named = list(dict.fromkeys(known[word] for word in words if word in known))
    certain = text not in doubtful and not any(f.variable in named for f in unseen)
    for secret in secrets:
        if len(secret) > 3:
            text = text.replace(secret, "***")
    return {"message": text[:500], "variables": named, "certain": certain}
