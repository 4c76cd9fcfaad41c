"""Settings types of pydantic: models, and settings that read the environment themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from . import type_hints
from .settings_types import Field, Judgement, Kind


class ModelKind(Kind):
    """A pydantic 2 model: aliases are the variables where there are any, and it validates itself."""

    keeps_empty = True

    def __init__(self, type_: Any) -> None:
        config = type_.model_config
        self.reads_environment = any(base.__name__ == "BaseSettings" for base in type_.__mro__)
        self.keeps_empty = not config.get("env_ignore_empty", False)
        prefix = config.get("env_prefix", "") if self.reads_environment else ""
        any_case = self.reads_environment and not config.get("case_sensitive", False)
        self.keys: dict[str, str] = {}
        super().__init__(
            type_, [self._field(name, f, prefix, any_case) for name, f in type_.model_fields.items()]
        )

    def _field(self, name: str, field: Any, prefix: str, any_case: bool) -> Field:
        aliases = list(_aliases(field))
        metas = [*type_hints.metas(field.annotation), *field.metadata]
        said = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        names = aliases or [prefix + name if prefix and not prefix.isupper() else prefix + name.upper()]
        if any_case:
            names = [given.upper() for given in names]
        self.keys[name] = aliases[0] if aliases else name
        plain = isinstance(field.default, (str, int, float))
        return Field(
            name=name,
            variable=names[0],
            hint=field.annotation,
            required=field.is_required(),
            default=field.default if plain else None,
            aliases=tuple(names[1:]),
            secret=type_hints.secret_class(field.annotation) is not None or bool(said.get("secret")),
            limits=type_hints.bounds(metas),
            said=dict(said),
            any_case=any_case,
        )

    def judge(self, raws: Mapping[str, str]) -> Judgement:
        """See `Kind.judge`. A settings class is asked with its variables as the whole environment."""
        judgement = Judgement()
        of_key = {name: f.name for f in self.fields for name in (f.name, self.keys[f.name], *f.names)}
        try:
            if self.reads_environment:
                self._read({f.variable: raws[f.name] for f in self.fields if f.name in raws})
            else:
                self.type.model_validate({self.keys[name]: raw for name, raw in raws.items()})
        # pydantic's ValidationError lists its errors; whatever else the class raises is one line
        except Exception as error:
            for loc, kind, message in _errors(error):
                field = of_key.get(loc) or of_key.get(loc.upper())
                if field is None:
                    judgement.conflicts.append(message)
                elif kind != "missing" and field in raws:
                    judgement.wrong.add(field)
        return judgement

    def _read(self, environment: dict[str, str]) -> None:
        kept = dict(os.environ)
        os.environ.clear()
        os.environ.update(environment)
        try:
            self.type(_env_file=None, _secrets_dir=None)
        finally:
            os.environ.clear()
            os.environ.update(kept)


def _aliases(field: Any) -> Iterator[str]:
    """Names a field is validated from; a path into a nested value is not a variable."""
    alias = field.validation_alias or field.alias
    choices = getattr(alias, "choices", [alias] if alias else [])
    for choice in choices:
        if isinstance(choice, str):
            yield choice
        elif len(getattr(choice, "path", ())) == 1:
            yield str(choice.path[0])


def _errors(error: Exception) -> Iterator[tuple[str, str, str]]:
    listed = getattr(error, "errors", None)
    if not callable(listed):
        # pydantic-settings names the field whose JSON it could not read in quotes
        field = str(error).partition('field "')[2].partition('"')[0]
        yield field, "value_error", " ".join(str(error).split())
        return
    for item in listed(include_url=False, include_context=False, include_input=False):
        loc = str(item["loc"][0]) if item["loc"] else ""
        yield loc, item["type"], str(item["msg"]).removeprefix("Value error, ")
