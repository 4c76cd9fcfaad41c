"""A type hint in a person's words, and a string decoded with it for classes that bring no decoder."""

from __future__ import annotations

import enum
import pathlib
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SECRETS = ("Secret", "SecretStr", "SecretBytes")
"""Classes that hide their value, by name: the checked repository may have its own."""
ADDRESS_NAME = re.compile(r"(^|_)(URLS?|URI|SERVERS?|HOST|HOSTS|ADDR|ADDRESS|BOOTSTRAP|DSN|ENDPOINT)$", re.I)
UNIONS = (typing.Union, getattr(types, "UnionType", typing.Union))
BOOLEANS = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}
BOUNDS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
BUILTIN = {bool: "bool", int: "int", float: "float", str: "str"}
WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}


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


def meta_extra(found: Iterable[Any]) -> dict[str, Any]:
    """What msgspec's `Meta(extra=…)` holds, merged."""
    merged: dict[str, Any] = {}
    for meta in found:
        more = getattr(meta, "extra", None)
        merged.update(more if isinstance(more, dict) else {})
    return merged


def bounds(found: Iterable[Any]) -> dict[str, Any]:
    """Limits on a value, by the names msgspec, annotated-types and pydantic share."""
    return {
        name: getattr(value, "pattern", value)
        for meta in found
        for name in BOUNDS
        if (value := getattr(meta, name, None)) is not None
    }


def secret_class(hint: Any) -> Any:
    """The class among a hint's options that hides its value, or None."""
    return next((option for option in options(hint) if getattr(option, "__name__", "") in SECRETS), None)


def is_address(name: str, hint: Any, said: Mapping[str, Any]) -> bool:
    """Whether the variable says where something is."""
    if "address" in said:
        return bool(said["address"])
    named = [getattr(option, "__name__", "") for option in options(hint)]
    return any(n.endswith(("Url", "Dsn")) for n in named) or ADDRESS_NAME.search(name) is not None


def choices(hint: Any) -> list[str]:
    """The values a hint allows when it lists them all."""
    found: list[Any] = []
    for option in options(hint):
        if typing.get_origin(option) is typing.Literal:
            found += [value for value in typing.get_args(option) if value is not None]
        elif isinstance(option, type) and issubclass(option, enum.Enum):
            found += [member.value for member in option]
        else:
            return []
    return [written(value) or str(value) for value in found]


def samples(hint: Any) -> list[str]:
    """Values that a hint may well take: its choices, a URL of each scheme that it allows."""
    schemes = [
        scheme
        for part in (*metas(hint), *(getattr(option, "_constraints", None) for option in options(hint)))
        for scheme in getattr(part, "allowed_schemes", None) or ()
    ]
    return choices(hint) + [f"{scheme}://user:placeholder@placeholder.invalid:1/name" for scheme in schemes]


def written(value: Any) -> str | None:
    """A value as an environment would hold it; None for one that has no such form."""
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else None


def kind(hint: Any) -> str:
    """int, float, bool, str, enum, or other."""
    if secret_class(hint) is not None:
        return "str"
    if choices(hint):
        return "enum"
    found = {BUILTIN.get(option, "other") for option in options(hint)}
    return found.pop() if len(found) == 1 else "other"


def expected(hint: Any, limits: Mapping[str, Any], decodes_json: bool = False) -> str:
    """What a value must look like."""
    listed = choices(hint)
    if listed:
        return "one of " + ", ".join(listed)
    named = [
        getattr(typing.get_origin(option) or option, "__name__", str(option)) for option in options(hint)
    ]
    if decodes_json and kind(hint) == "other":
        if set(named) & {"list", "set", "frozenset", "tuple", "deque"}:
            return 'a JSON list such as ["a", "b"]'
        if "dict" in named or any(hasattr(option, "model_fields") for option in options(hint)):
            return 'a JSON object such as {"key": "value"}'
    base = WORDS.get(kind(hint), " or ".join(named))
    low, high = limits.get("ge"), limits.get("le")
    if low is not None and high is not None:
        return f"{base} from {low} to {high}"
    rest = [
        words.format(limits[name])
        for name, words in (
            ("ge", "at least {}"),
            ("gt", "above {}"),
            ("le", "at most {}"),
            ("lt", "below {}"),
            ("min_length", "at least {} long"),
            ("max_length", "at most {} long"),
            ("pattern", "matching {}"),
        )
        if name in limits
    ]
    return ", ".join([base, *rest])


class UndecidedError(Exception):
    """Only the app's own decoder can tell."""


def decode(raw: str, hint: Any) -> Any:
    """The value of a string, as the plainest of loaders would decode it. Raises ValueError when no option of
    the hint takes it, UndecidedError when only the app's own decoder can tell."""
    unknown = False
    for option in options(hint):
        try:
            return _decode(raw, option)
        except UndecidedError:
            unknown = True
        except ValueError:
            continue
    if unknown:
        raise UndecidedError
    raise ValueError(raw)


def _decode(raw: str, option: Any) -> Any:
    if option is bool:
        return _one_of(raw.lower(), BOOLEANS)
    if option in (int, float, str, pathlib.Path):
        return option(raw)
    if typing.get_origin(option) is typing.Literal:
        return _one_of(raw, {written(value): value for value in typing.get_args(option)})
    if isinstance(option, type) and issubclass(option, enum.Enum):
        members: Iterable[Any] = option
        return _one_of(raw, {**option.__members__, **{written(each.value): each for each in members}})
    if getattr(option, "__name__", "") in SECRETS:
        return option(raw)
    raise UndecidedError


def _one_of(raw: str, values: Mapping[Any, Any]) -> Any:
    if raw not in values:
        raise ValueError(raw)
    return values[raw]
