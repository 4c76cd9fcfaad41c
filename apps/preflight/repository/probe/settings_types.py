"""Settings in the forms that people declare them: which fields there are, and how the pod would make them.

pydantic-settings, functions and modules read the environment themselves. A msgspec Struct, a dataclass, an
attrs class or a pydantic model does not: its fields in upper case (or as renamed, or as an alias says) are
taken for the variables, and the type decodes and checks what they hold.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import type_hints

DEEPEST = 6
"""Levels of nested models that are described."""


class WrongValuesError(Exception):
    """What a type that reads no environment itself says to the values of one."""

    def __init__(self, problems: list[tuple[str, str, str]]) -> None:
        super().__init__("; ".join(text for _, _, text in problems))
        self.problems = problems
        """Field, kind (`missing`, `value`, `aliases`), and words."""


@dataclasses.dataclass
class Field:
    """One value of a settings type that a variable can hold."""

    path: tuple[str, ...]
    names: tuple[str, ...]
    """Every variable it may be read from, the preferred one first."""
    hint: Any
    required: bool
    default: Any = None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    limits: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    any_case: bool = False
    decodes_json: bool = False
    aliases: tuple[frozenset[str], ...] = ()
    """By step of `path`: the names an error may call it by."""
    owner: str = ""

    @property
    def secret(self) -> bool:
        """Whether its value must not be shown."""
        return type_hints.secret_class(self.hint) is not None or bool(self.extra.get("secret"))

    @property
    def expected(self) -> str:
        """What a value must look like."""
        said = self.extra.get("wants")
        return str(said or type_hints.expected(self.hint, self.limits, self.decodes_json))

    def has(self, name: str) -> bool:
        """Whether a variable of this name is one of its."""
        return any(name == own or (self.any_case and name.upper() == own.upper()) for own in self.names)

    def is_at(self, where: tuple[str, ...]) -> bool:
        """Whether an error at `where` is this field's; members of unions and list items in it are passed."""
        steps = iter(where)
        return all(any(step.lower() in names for step in steps) for names in self.aliases)

    def to_json(self) -> dict[str, Any]:
        """As `preflight.repository.app.Variable` has it; the default of a secret is not shown."""
        return {
            "name": self.names[0],
            "kind": type_hints.kind(self.hint),
            "type": self.expected,
            "required": self.required,
            "default": None if self.secret else type_hints.written(self.default),
            "secret": self.secret,
            "is_address": type_hints.is_address(self.names[0], self.hint, self.extra),
            "aliases": list(self.names[1:]),
            "choices": type_hints.choices(self.hint),
            "any_case": self.any_case,
        }


@dataclasses.dataclass
class Form:
    """A settings type: its fields as far as they can be listed, and the call that makes it."""

    fields: list[Field]
    make: Callable[[], Any]


def form(found: Any, reload: Callable[[], Any]) -> Form:
    """The form of what was declared; `reload` imports it anew. Raises TypeError for what is none."""
    if not isinstance(found, type) and not callable(found) and not hasattr(found, "__file__"):
        found = type(found)
    if is_settings(found):
        return Form(list(described(found)), found)
    if isinstance(found, type):
        if hasattr(found, "__struct_fields__"):
            return _struct(found)
        if hasattr(found, "model_fields"):
            return _model(found)
        if dataclasses.is_dataclass(found) or hasattr(found, "__attrs_attrs__"):
            return _class(found)
        return Form([], reload)
    if callable(found):
        return Form([], _fresh(found))
    return Form([], reload)


def _fresh(function: Any) -> Callable[[], Any]:
    """The function as it is called first, without what a cache around it keeps."""

    def call() -> Any:
        if callable(getattr(function, "cache_clear", None)):
            function.cache_clear()
        return function()

    return call


def is_settings(found: Any) -> bool:
    """Whether it is a class of pydantic-settings. Of pydantic 1's settings nothing is said."""
    is_model = isinstance(found, type) and hasattr(found, "model_fields")
    return is_model and any(base.__name__ == "BaseSettings" for base in found.__mro__[1:])


def settings_classes() -> Iterator[Any]:
    """Every class of pydantic-settings that is imported by now."""
    library = sys.modules.get("pydantic_settings")
    waiting = [library.BaseSettings] if library is not None else []
    while waiting:
        found = waiting.pop()
        yield found
        waiting += found.__subclasses__()


def described(class_: Any, outer: _Outer | None = None) -> Iterator[Field]:
    """The fields of a class of pydantic-settings, those of nested models included, with the names that the
    library's documentation gives them. What a name really does is for the class to say."""
    config = class_.model_config
    if outer is None:
        outer = _Outer(
            owner=str(config.get("title") or class_.__name__),
            prefixes=[config.get("env_prefix", "")],
            delimiter=config.get("env_nested_delimiter") or "",
            any_case=not config.get("case_sensitive", False),
        )
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    for name, field in class_.model_fields.items():
        aliases = list(_aliases(field)) if config.get("validate_by_alias", True) else []
        plain = [prefix + name for prefix in outer.prefixes] if not aliases or by_name else []
        nested = bool(outer.path)
        given = [prefix + alias for prefix in outer.prefixes for alias in aliases] if nested else aliases
        names = [each.upper() if outer.any_case else each for each in (*given, *plain)]
        said = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        found = Field(
            path=(*outer.path, name),
            names=tuple(dict.fromkeys(names)),
            hint=field.annotation,
            required=field.is_required() and outer.required,
            default=field.default,
            extra=said,
            limits=type_hints.bounds([*type_hints.metas(field.annotation), *field.metadata]),
            any_case=outer.any_case,
            decodes_json=True,
            aliases=(*outer.aliases, frozenset(each.lower() for each in (name, *aliases))),
            owner=outer.owner,
        )
        yield found
        for option in type_hints.options(field.annotation):
            is_model = isinstance(option, type) and hasattr(option, "model_fields")
            if is_model and outer.delimiter and names and len(found.path) < DEEPEST:
                inner = dataclasses.replace(
                    outer,
                    path=found.path,
                    aliases=found.aliases,
                    prefixes=[each + outer.delimiter for each in names],
                    required=found.required,
                )
                yield from described(option, inner)


@dataclasses.dataclass
class _Outer:
    """What a nested model's fields have of the models around it."""

    owner: str
    prefixes: list[str]
    delimiter: str
    any_case: bool
    path: tuple[str, ...] = ()
    aliases: tuple[frozenset[str], ...] = ()
    required: bool = True


def _aliases(field: Any) -> Iterator[str]:
    alias = field.validation_alias or field.alias
    for choice in getattr(alias, "choices", [alias] if alias else []):
        yield choice if isinstance(choice, str) else str(choice.path[0])


def _field(
    name: str, variable: str, hint: Any, required: bool, default: Any, said: Mapping[str, Any]
) -> Field:
    found = list(type_hints.metas(hint))
    said = {**type_hints.meta_extra(found), **said}
    return Field(
        path=(name,),
        names=(str(said.get("env") or variable), *said.get("aliases", ())),
        hint=hint,
        required=required,
        default=default,
        extra=said,
        limits=type_hints.bounds(found),
        aliases=(frozenset({name.lower()}),),
    )


def _struct(type_: Any) -> Form:
    import msgspec

    hints = typing.get_type_hints(type_, include_extras=True)
    fields = [
        _field(
            each.name,
            each.encode_name if each.encode_name != each.name else each.name.upper(),
            hints[each.name],
            each.required,
            None if each.default is msgspec.NODEFAULT else each.default,
            {},
        )
        for each in msgspec.structs.fields(type_)
    ]

    def decode(field: Field, raw: str) -> Any:
        hidden = type_hints.secret_class(field.hint)
        if hidden is not None:
            return hidden(raw)
        try:
            value = msgspec.convert(raw, field.hint, strict=False)
        except msgspec.ValidationError:
            # a custom type has its decoder in the app; what else is refused is wrong
            if type_hints.kind(field.hint) == "other":
                raise type_hints.UndecidedError from None
            raise ValueError(raw) from None
        # no bound of msgspec refuses what is no number
        if value != value:
            raise ValueError(raw)
        return value

    return Form(fields, lambda: _made(type_, fields, decode))


def _class(type_: Any) -> Form:
    hints = typing.get_type_hints(type_, include_extras=True)
    listed: Any = getattr(type_, "__attrs_attrs__", None) or dataclasses.fields(type_)
    fields, converters = [], {}
    for each in listed:
        if each.init:
            # attrs names arguments of private fields without the underscore
            name = getattr(each, "alias", None) or each.name
            none = each.default is dataclasses.MISSING or repr(each.default) == "NOTHING"
            required = none and getattr(each, "default_factory", dataclasses.MISSING) is dataclasses.MISSING
            metadata = {str(key): value for key, value in each.metadata.items()}
            hint = hints.get(each.name, each.type)
            fields.append(_field(name, name.upper(), hint, required, each.default, metadata))
            if callable(getattr(each, "converter", None)):
                converters[name] = each.converter

    def decode(field: Field, raw: str) -> Any:
        if field.path[0] not in converters:
            return type_hints.decode(raw, field.hint)
        try:
            converters[field.path[0]](raw)
        # the repository's own function may raise what it likes
        except Exception:
            raise ValueError(raw) from None
        return raw

    return Form(fields, lambda: _made(type_, fields, decode))


def _model(type_: Any) -> Form:
    aliases = {name: tuple(_aliases(field)) for name, field in type_.model_fields.items()}
    fields = [
        dataclasses.replace(
            field,
            names=aliases[field.path[0]] or (field.path[0].upper(),),
            any_case=False,
            decodes_json=False,
        )
        for field in described(type_)
    ]

    def make() -> Any:
        given = {}
        for field in fields:
            raw = next((os.environ[name] for name in field.names if name in os.environ), None)
            if raw is not None:
                given[(*aliases[field.path[0]], field.path[0])[0]] = raw
        return type_.model_validate(given)

    return Form(fields, make)


def _made(type_: Any, fields: list[Field], decode: Callable[[Field, str], Any]) -> Any:
    """The settings of decoded variables; a variable that is empty counts as not set."""
    values: dict[str, Any] = {}
    problems: list[tuple[str, str, str]] = []
    whole = True
    for field in fields:
        name = field.path[0]
        given = {each: raw for each in field.names if (raw := os.environ.get(each, "").strip())}
        if len(set(given.values())) > 1:
            problems.append((name, "aliases", " and ".join(given) + " are one setting and differ"))
        elif given:
            try:
                values[name] = decode(field, next(iter(given.values())))
            except ValueError:
                problems.append((name, "value", f"expected {field.expected}"))
            except type_hints.UndecidedError:
                whole = whole and not field.required
        elif field.required:
            problems.append((name, "missing", "required"))
    if problems:
        raise WrongValuesError(problems)
    return type_(**values) if whole else values
