"""A type hint in a person's words, and a string decoded with it, for types that bring no decoder."""

from __future__ import annotations

import enum
import math
import pathlib
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

SECRETS = ("Secret", "SecretStr", "SecretBytes")
"""Classes that hide their value, by name: the checked repository may have its own."""

ADDRESS_NAME = re.compile(r"(^|_)(URLS?|URI|SERVERS?|HOST|HOSTS|ADDR|ADDRESS|BOOTSTRAP|DSN|ENDPOINT)$", re.I)
UNIONS = (typing.Union, getattr(types, "UnionType", typing.Union))
TRUE = ("1", "true", "t", "yes", "y", "on")
FALSE = ("0", "false", "f", "no", "n", "off")
BOUNDS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern", "multiple_of")
BUILTIN = {bool: "bool", int: "int", float: "float", str: "str"}


class Opaque(Exception):
    """A type nothing can be said about without the app's own decoder."""


def metas(hint: Any) -> Iterator[Any]:
    """What `Annotated` adds, outermost last, through unions too."""
    for inner in typing.get_args(hint) if typing.get_origin(hint) in UNIONS else ():
        yield from metas(inner)
    if hasattr(hint, "__metadata__"):
        yield from metas(hint.__origin__)
        yield from hint.__metadata__


def options(hint: Any) -> list[Any]:
    """The types a value may have, None left out, `Annotated` and unions taken apart."""
    if hasattr(hint, "__metadata__"):
        return options(hint.__origin__)
    if typing.get_origin(hint) in UNIONS:
        return [option for inner in typing.get_args(hint) for option in options(inner)]
    hint = getattr(hint, "__supertype__", hint)
    return [] if hint is type(None) or hint is None else [hint]


def said(found: typing.Iterable[Any]) -> dict[str, Any]:
    """What msgspec's `Meta(extra=…)` says, merged."""
    merged: dict[str, Any] = {}
    for meta in found:
        more = getattr(meta, "extra", None)
        merged.update(more if isinstance(more, dict) else {})
    return merged


def bounds(found: typing.Iterable[Any]) -> dict[str, Any]:
    """Limits on a value, by the names msgspec, annotated-types and pydantic share."""
    merged: dict[str, Any] = {}
    for meta in found:
        for name in BOUNDS:
            value = getattr(meta, name, None)
            if value is not None:
                merged[name] = getattr(value, "pattern", value) if name == "pattern" else value
    return merged


def secret_class(hint: Any) -> Any:
    """The class among a hint's options that hides its value, or None."""
    return next((option for option in options(hint) if getattr(option, "__name__", "") in SECRETS), None)


def is_address(name: str, hint: Any, said: dict[str, Any]) -> bool:
    """Whether the variable says where something is."""
    if "address" in said:
        return bool(said["address"])
    named = [getattr(option, "__name__", "") for option in options(hint)]
    return any(n.endswith(("Url", "Dsn")) for n in named) or ADDRESS_NAME.search(name) is not None


def choices(hint: Any) -> list[str]:
    """The values a hint allows when it lists them all."""
    found: list[str] = []
    for option in options(hint):
        if typing.get_origin(option) is typing.Literal:
            found += [_spelt(value) for value in typing.get_args(option) if value is not None]
        elif isinstance(option, type) and issubclass(option, enum.Enum):
            found += [_spelt(member.value) for member in option]
        else:
            return []
    return found


def _spelt(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def kind(hint: Any) -> str:
    """int, float, bool, str, enum, or other."""
    if secret_class(hint) is not None:
        return "str"
    if choices(hint):
        return "enum"
    found = {BUILTIN.get(option, "other") for option in options(hint)}
    return found.pop() if len(found) == 1 else "other"


def wants(hint: Any, limits: dict[str, Any]) -> str:
    """What a value must look like."""
    listed = choices(hint)
    if listed:
        return "one of " + ", ".join(listed)
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
    named = " or ".join(getattr(option, "__name__", str(option)) for option in options(hint))
    base = words.get(kind(hint), named)
    low, above = limits.get("ge"), limits.get("gt")
    high, below = limits.get("le"), limits.get("lt")
    if low is not None and high is not None:
        return f"{base} from {low:g} to {high:g}"
    said = [
        words
        for limit, words in (
            (low, f"at least {low}"),
            (above, f"above {above}"),
            (high, f"at most {high}"),
            (below, f"below {below}"),
            (limits.get("min_length"), f"at least {limits.get('min_length')} long"),
            (limits.get("max_length"), f"at most {limits.get('max_length')} long"),
            (limits.get("pattern"), f"matching {limits.get('pattern')}"),
        )
        if limit is not None
    ]
    return ", ".join([base, *said]) if said else base


def decode(raw: str, hint: Any, limits: dict[str, Any]) -> Any:
    """The value of a string. Raises ValueError when no option takes it, Opaque when one might."""
    opaque = False
    for option in options(hint):
        try:
            value = _decode(raw, option)
            within(value, limits)
            return value
        except Opaque:
            opaque = True
        except ValueError:
            continue
    if opaque:
        raise Opaque
    raise ValueError(raw)


def _decode(raw: str, option: Any) -> Any:
    if option is bool:
        if raw.lower() not in TRUE + FALSE:
            raise ValueError(raw)
        return raw.lower() in TRUE
    if option in (int, float, str):
        return option(raw)
    if typing.get_origin(option) is typing.Literal:
        return _one_of(raw, {_spelt(value): value for value in typing.get_args(option)})
    if not isinstance(option, type):
        raise Opaque
    if issubclass(option, enum.Enum):
        by_value = {_spelt(member.value): member for member in option}
        return _one_of(raw, {**{member.name: member for member in option}, **by_value})
    if option.__name__ in SECRETS or issubclass(option, (str, pathlib.PurePath)):
        made: Any = option
        return made(raw)
    raise Opaque


def _one_of(raw: str, values: dict[str, Any]) -> Any:
    if raw not in values:
        raise ValueError(raw)
    return values[raw]


def within(value: Any, limits: dict[str, Any]) -> None:
    """Raises ValueError for a value beyond its limits, not a number, or infinite where there are any."""
    if isinstance(value, float) and (math.isnan(value) or (limits and math.isinf(value))):
        raise ValueError(value)
    number = isinstance(value, (int, float))
    text = isinstance(value, str)
    fine = (
        (not number or "ge" not in limits or value >= limits["ge"])
        and (not number or "gt" not in limits or value > limits["gt"])
        and (not number or "le" not in limits or value <= limits["le"])
        and (not number or "lt" not in limits or value < limits["lt"])
        and (not text or len(value) >= limits.get("min_length", 0))
        and (not text or len(value) <= limits.get("max_length", len(value)))
        and (not text or "pattern" not in limits or re.search(limits["pattern"], value))
    )
    if not fine:
        raise ValueError(value)
