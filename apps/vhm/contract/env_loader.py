"""Environment → typed settings: decoding, with every fault reported together and no secret shown.

Type, bounds and enum are part of a settings type, so that the manifest check reads the same contract
from the same place. What the types are is in `settings`; this is how any of them is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

EX_CONFIG = 78
"""Exit code of a worker whose environment is wrong (sysexits.h, EX_CONFIG)."""


class SettingsError(ValueError):
    """Every fault of an environment, one line each; no line holds a secret."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class Secret:
    """A value that shows itself only to those who ask with `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Environment(msgspec.Struct, frozen=True, kw_only=True, rename=str.upper):
    """Base of every settings type: a field is the variable of its name in upper case."""

    def __post_init__(self) -> None:
        problems = list(type(self).conflicts(values(self)))
        if problems:
            raise ValueError("\n".join(problems))

    @classmethod
    def conflicts(cls, given: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong between variables; `given` holds those that decoded, by variable name."""
        yield from ()


S = TypeVar("S", bound=Environment)


def values(settings: msgspec.Struct) -> dict[str, Any]:
    """The settings by variable name; secrets stay `Secret`."""
    return {f.encode_name: getattr(settings, f.name) for f in msgspec.structs.fields(settings)}


def redacted(settings: msgspec.Struct) -> dict[str, Any]:
    """The settings by variable name, fit to be shown: secrets are only said to be set."""
    return {
        name: "***" if isinstance(value, Secret) else value
        for name, value in values(settings).items()
        if value is not None
    }


def load(kind: type[S], environment: Mapping[str, str]) -> S:
    """The settings of one worker from its environment. Raises SettingsError with every fault."""
    hints = get_type_hints(kind, include_extras=True)
    given: dict[str, Any] = {}
    decoded: dict[str, Any] = {}
    errors: list[str] = []
    for field in msgspec.structs.fields(kind):
        hint, name = hints[field.name], field.encode_name
        try:
            raw = _raw(name, aliases(hint), environment)
            if raw is not None:
                given[name] = decoded[field.name] = _decode(name, raw, hint)
            elif field.required:
                raise ValueError(f"{name}: not set, wants {expected(hint)}")
            else:
                given[name] = field.default
        except ValueError as error:
            errors.append(str(error))
    errors += kind.conflicts(given)
    if errors:
        raise SettingsError(errors)
    return kind(**decoded)


def _raw(name: str, others: list[str], environment: Mapping[str, str]) -> str | None:
    found = {n: v for n in (name, *others) if (v := environment.get(n, "").strip())}
    if len(set(found.values())) > 1:
        raise ValueError(" and ".join(found) + " are both set and differ: keep one")
    return next(iter(found.values()), None)


def _decode(name: str, raw: str, hint: Any) -> Any:
    if is_secret(hint):
        return Secret(raw)
    try:
        value = msgspec.convert(raw, hint, strict=False)
    except msgspec.ValidationError:
        value = math.nan
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}: got {_clipped(raw)!r}, wants {expected(hint)}")
    return value


def _clipped(raw: str) -> str:
    return raw if len(raw) <= 80 else raw[:77] + "..."


def is_secret(hint: Any) -> bool:
    """Whether a field of this type holds a secret."""
    return hint is Secret or any(is_secret(inner) for inner in get_args(hint))


def metas(hint: Any) -> Iterator[Meta]:
    """The annotations of a type, outermost first."""
    for inner in get_args(hint):
        if isinstance(inner, Meta):
            yield inner
        else:
            yield from metas(inner)


def aliases(hint: Any) -> list[str]:
    """Other variables this one may come from."""
    return [name for meta in metas(hint) for name in (meta.extra or {}).get("aliases", ())]


def expected(hint: Any) -> str:
    """The type in a person's words: what a value must look like."""
    for meta in metas(hint):
        if meta.extra and "wants" in meta.extra:
            return str(meta.extra["wants"])
    literals = list(_literals(hint))
    if literals:
        return "one of " + ", ".join(literals)
    schema = msgspec.json.schema(str if is_secret(hint) else hint)
    options = [s for s in schema.get("anyOf", [schema]) if s.get("type") != "null"]
    return " or ".join(_describe(option) for option in options)


def _literals(hint: Any) -> Iterator[str]:
    for inner in get_args(hint):
        if get_origin(hint) is Literal:
            yield str(inner)
        elif not isinstance(inner, Meta):
            yield from _literals(inner)


def _describe(schema: dict[str, Any]) -> str:
    if schema.get("type") == "boolean":
        return "true or false"
    kind = {"integer": "a whole number", "number": "a number", "string": "text"}[schema["type"]]
    low, above, high = (schema.get(k) for k in ("minimum", "exclusiveMinimum", "maximum"))
    if low is not None and high is not None:
        return f"{kind} from {low:g} to {high:g}"
    if above is not None:
        return f"{kind} above {above:g}" + (f", at most {high:g}" if high is not None else "")
    if low is not None:
        return f"{kind}, at least {low:g}"
    return kind
