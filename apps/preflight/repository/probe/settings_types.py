"""Settings types of msgspec, dataclasses and attrs: their fields as variables, and values judged by them."""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Mapping
from typing import Any

from . import type_hints
from .type_hints import Opaque


@dataclasses.dataclass
class Field:
    """One field of a settings type."""

    name: str
    variable: str
    hint: Any
    required: bool
    default: Any = None
    aliases: tuple[str, ...] = ()
    secret: bool = False
    limits: dict[str, Any] = dataclasses.field(default_factory=dict)
    said: dict[str, Any] = dataclasses.field(default_factory=dict)
    any_case: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every variable it is read from, the preferred one first."""
        return (self.variable, *self.aliases)

    @property
    def wants(self) -> str:
        """What a value must look like."""
        return str(self.said.get("wants") or type_hints.wants(self.hint, self.limits))

    def told(self) -> dict[str, Any]:
        """As JSON; the default of a secret is not shown."""
        return {
            "name": self.variable,
            "kind": type_hints.kind(self.hint),
            "type": self.wants,
            "required": self.required,
            "default": None if self.secret else written(self.default),
            "secret": self.secret,
            "is_address": type_hints.is_address(self.variable, self.hint, self.said),
            "aliases": list(self.aliases),
            "choices": type_hints.choices(self.hint),
            "any_case": self.any_case,
        }


def written(value: Any) -> str | None:
    """A default as an environment would hold it; None for one that has no such form."""
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else None


@dataclasses.dataclass
class Judgement:
    """What a type says to raw values."""

    wrong: set[str] = dataclasses.field(default_factory=set)
    """Names of fields whose value does not decode."""
    conflicts: list[str] = dataclasses.field(default_factory=list)
    """What the type says to the whole, one line each; only when nothing is wrong."""


class Kind:
    """A settings type of one library."""

    keeps_empty = False
    """Whether a variable that is set but empty counts as set."""

    def __init__(self, type_: Any, fields: list[Field]) -> None:
        self.type = type_
        self.fields = fields

    def variables(self) -> list[dict[str, Any]]:
        """The fields as JSON."""
        return [field.told() for field in self.fields]

    def decode(self, field: Field, raw: str) -> Any:
        """The value of a string. Raises ValueError, or Opaque when only the app can tell."""
        return type_hints.decode(raw, field.hint, field.limits)

    def make(self, values: Mapping[str, Any]) -> Any:
        """The settings of decoded values by field name."""
        return self.type(**values)

    def judge(self, raws: Mapping[str, str]) -> Judgement:
        """What the type says to raw values by field name."""
        judgement = Judgement()
        values: dict[str, Any] = {}
        whole = True
        for field in self.fields:
            if field.name not in raws:
                whole = whole and not field.required
                continue
            try:
                values[field.name] = self.decode(field, raws[field.name].strip())
            except ValueError:
                judgement.wrong.add(field.name)
            except Opaque:
                whole = False
        if whole and not judgement.wrong:
            try:
                self.make(values)
            # a type's own check may raise what it likes; its text is what the app would say at start
            except Exception as error:
                text = str(error) or type(error).__name__
                judgement.conflicts = [line.strip() for line in text.splitlines() if line.strip()]
        return judgement


class StructKind(Kind):
    """A msgspec Struct: encoded field names are the variables, msgspec itself decodes."""

    def __init__(self, type_: Any) -> None:
        import msgspec

        self.msgspec = msgspec
        found = typing.get_type_hints(type_, include_extras=True)
        super().__init__(type_, [self._field(f, found[f.name]) for f in msgspec.structs.fields(type_)])

    def _field(self, field: Any, hint: Any) -> Field:
        metas = list(type_hints.metas(hint))
        said = type_hints.said(metas)
        return Field(
            name=field.name,
            variable=field.encode_name if field.encode_name != field.name else field.name.upper(),
            hint=hint,
            required=field.required,
            default=None if field.default is self.msgspec.NODEFAULT else field.default,
            aliases=tuple(said.get("aliases", ())),
            secret=type_hints.secret_class(hint) is not None or bool(said.get("secret")),
            limits=type_hints.bounds(metas),
            said=said,
        )

    def decode(self, field: Field, raw: str) -> Any:
        """See `Kind.decode`."""
        hidden = type_hints.secret_class(field.hint)
        if hidden is not None:
            return hidden(raw)
        try:
            value = self.msgspec.convert(raw, field.hint, strict=False)
        except self.msgspec.ValidationError:
            # a custom type has its decoder in the app; what else is refused is wrong
            if type_hints.kind(field.hint) == "other":
                raise Opaque from None
            raise ValueError(raw) from None
        if isinstance(value, float):
            type_hints.within(value, field.limits)
        return value


class ClassKind(Kind):
    """A dataclass or an attrs class: field names in upper case are the variables, unless a field's metadata
    says `env`."""

    def __init__(self, type_: Any) -> None:
        found = typing.get_type_hints(type_, include_extras=True)
        make = self._attribute if hasattr(type_, "__attrs_attrs__") else self._datafield
        listed: Any = getattr(type_, "__attrs_attrs__", None) or dataclasses.fields(type_)
        super().__init__(type_, [make(f, found.get(f.name, f.type)) for f in listed if f.init])
        self.converters = {
            f.name: f.converter for f in listed if callable(getattr(f, "converter", None)) and f.init
        }
        self.keywords = {f.name: getattr(f, "alias", None) or f.name for f in listed}

    def _datafield(self, field: Any, hint: Any) -> Field:
        factory = field.default_factory is not dataclasses.MISSING
        required = field.default is dataclasses.MISSING and not factory
        return self._field(field, hint, required, None if required or factory else field.default)

    def _attribute(self, field: Any, hint: Any) -> Field:
        required = repr(field.default) == "NOTHING"
        plain = isinstance(field.default, (str, int, float, enum.Enum))
        return self._field(field, hint, required, field.default if plain else None)

    def _field(self, field: Any, hint: Any, required: bool, default: Any) -> Field:
        metas = list(type_hints.metas(hint))
        said = {**type_hints.said(metas), **{str(k): v for k, v in field.metadata.items()}}
        return Field(
            name=field.name,
            variable=str(said.get("env") or (getattr(field, "alias", None) or field.name).upper()),
            hint=hint,
            required=required,
            default=default,
            aliases=tuple(said.get("aliases", ())),
            secret=type_hints.secret_class(hint) is not None or bool(said.get("secret")),
            limits=type_hints.bounds(metas),
            said=said,
        )

    def decode(self, field: Field, raw: str) -> Any:
        """See `Kind.decode`; a converter of attrs runs when the value is constructed."""
        if field.name in self.converters:
            try:
                self.converters[field.name](raw)
            # the repository's own function may raise what it likes
            except Exception:
                raise ValueError(raw) from None
            return raw
        return super().decode(field, raw)

    def make(self, values: Mapping[str, Any]) -> Any:
        """See `Kind.make`; attrs names arguments of private fields without the underscore."""
        return self.type(**{self.keywords[name]: value for name, value in values.items()})
