"""Settings classes and the environments they are given, as people write them with pydantic-settings."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

HEAD = """
from __future__ import annotations
from datetime import timedelta
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union
from uuid import UUID
from pydantic import (
    AliasChoices, AliasPath, AnyHttpUrl, BaseModel, Field, Json, PostgresDsn, SecretStr, field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings, JsonConfigSettingsSource, NoDecode, SettingsConfigDict, TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)
"""


@dataclass
class Environment:
    """One class and one environment. What the class says to it is for pydantic to tell."""

    id: str
    source: str
    """Its fields, or whole classes. `{files}` and `{secrets}` are the folders of two mounts."""
    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    blamed: tuple[str, ...] = ()
    """Names that an error must have in its words, when pydantic refuses."""
    unread: tuple[str, ...] = ()
    """Variables that count for nothing."""

    @property
    def module(self) -> str:
        """The module's text, without its folders."""
        body = textwrap.dedent(self.source).strip("\n")
        if "class Settings" not in body:
            body = "class Settings(BaseSettings):\n" + textwrap.indent(body, "    ")
        return HEAD + body + "\n"


STORE = """
class Store(BaseModel):
    host: str
    port: int = 5432

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_nested_delimiter="__")
    store: Store
"""
DEEP = """
class Pool(BaseModel):
    size: int = 5
    timeout: float

class Store(BaseModel):
    pool: Pool
    name: str = "main"

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_nested_delimiter="__", env_prefix="APP_")
    store: Store
"""
FROM_JSON = """
class Settings(BaseSettings):
    model_config = SettingsConfigDict(json_file="{files}/settings.json")
    store_url: str
    retries: int = 3

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, env_settings, **others):
        return env_settings, JsonConfigSettingsSource(settings_cls)
"""
E = Environment
ENVIRONMENTS = [
    E("one-string", "store_url: str", {"STORE_URL": "http://s"}),
    E("one-string-missing", "store_url: str", {}, blamed=("STORE_URL",)),
    E("lower-case-variable", "store_url: str", {"store_url": "http://s"}),
    E("mixed-case-variable", "store_url: str", {"Store_Url": "http://s"}),
    E(
        "misspelt",
        "store_url: str",
        {"STORE_ULR": "http://s"},
        blamed=("STORE_URL", "STORE_ULR"),
        unread=("STORE_ULR",),
    ),
    E("whole-number", "port: int = 1", {"PORT": "8080"}),
    E("whole-number-wrong", "port: int = 1", {"PORT": "eighty"}, blamed=("PORT",)),
    E("whole-number-with-blanks", "port: int = 1", {"PORT": " 8080 "}),
    E("number-with-fraction", "port: int = 1", {"PORT": "80.5"}, blamed=("PORT",)),
    E("bounds-kept", "port: int = Field(1, ge=1, le=65535)", {"PORT": "443"}),
    E("bounds-broken", "port: int = Field(1, ge=1, le=65535)", {"PORT": "70000"}, blamed=("PORT",)),
    E("yes-is-true", "debug: bool = False", {"DEBUG_": "x", "DEBUG": "yes"}, unread=("DEBUG_",)),
    E("maybe-is-neither", "verbose: bool = False", {"VERBOSE": "maybe"}, blamed=("VERBOSE",)),
    E("literal", 'level: Literal["INFO", "DEBUG"] = "INFO"', {"LEVEL": "DEBUG"}),
    E(
        "literal-in-another-case",
        'level: Literal["INFO", "DEBUG"] = "INFO"',
        {"LEVEL": "debug"},
        blamed=("LEVEL",),
    ),
    E(
        "enum",
        'class Colour(Enum):\n    RED = "red"\n\nclass Settings(BaseSettings):\n    colour: Colour',
        {"COLOUR": "red"},
    ),
    E(
        "enum-by-name",
        'class Colour(Enum):\n    RED = "red"\n\nclass Settings(BaseSettings):\n    colour: Colour',
        {"COLOUR": "RED"},
        blamed=("COLOUR",),
    ),
    E("empty-string-is-a-string", "name: str", {"NAME": ""}),
    E("empty-whole-number", "workers: int = 2", {"WORKERS": ""}, blamed=("WORKERS",)),
    E(
        "empty-is-ignored",
        "model_config = SettingsConfigDict(env_ignore_empty=True)\nworkers: int = 2",
        {"WORKERS": ""},
        unread=(),
    ),
    E(
        "empty-is-ignored-and-required",
        "model_config = SettingsConfigDict(env_ignore_empty=True)\nworkers: int",
        {"WORKERS": ""},
        blamed=("WORKERS",),
    ),
    E("prefix", 'model_config = SettingsConfigDict(env_prefix="APP_")\nhost: str', {"APP_HOST": "h"}),
    E(
        "prefix-forgotten",
        'model_config = SettingsConfigDict(env_prefix="APP_")\nhost: str',
        {"HOST": "h"},
        blamed=("APP_HOST",),
        unread=("HOST",),
    ),
    E(
        "prefix-in-lower-case",
        'model_config = SettingsConfigDict(env_prefix="app_")\nhost: str',
        {"APP_HOST": "h"},
    ),
    E(
        "case-sensitive",
        "model_config = SettingsConfigDict(case_sensitive=True)\nstore_url: str",
        {"store_url": "s"},
    ),
    E(
        "case-sensitive-in-capitals",
        "model_config = SettingsConfigDict(case_sensitive=True)\nshop_url: str",
        {"SHOP_URL": "s"},
        blamed=("shop_url",),
        unread=("SHOP_URL",),
    ),
    E("alias", 'url: str = Field(validation_alias="STORE_URL")', {"STORE_URL": "s"}),
    E(
        "alias-by-name",
        'shop_url: str = Field(validation_alias="STORE_URL")',
        {"SHOP_URL": "s"},
        blamed=("STORE_URL",),
        unread=("SHOP_URL",),
    ),
    E(
        "populate-by-name",
        'model_config = SettingsConfigDict(populate_by_name=True)\nurl: str = Field(alias="STORE_URL")',
        {"URL": "s"},
    ),
    E(
        "alias-ignores-prefix",
        'model_config = SettingsConfigDict(env_prefix="APP_")\nurl: str = Field(alias="URL")',
        {"URL": "s"},
    ),
    E(
        "second-of-two-aliases",
        'url: str = Field(validation_alias=AliasChoices("A_URL", "B_URL"))',
        {"B_URL": "s"},
    ),
    E(
        "neither-of-two-aliases",
        'url: str = Field(validation_alias=AliasChoices("A_URL", "B_URL"))',
        {"C": "s"},
        blamed=("A_URL",),
        unread=("C",),
    ),
    E("alias-path", 'first: str = Field(validation_alias=AliasPath("HOSTS", 0))', {"HOSTS": '["a", "b"]'}),
    E(
        "alias-path-of-no-list",
        'first: str = Field(validation_alias=AliasPath("HOSTS", 0))',
        {"HOSTS": "a,b"},
        blamed=("HOSTS",),
    ),
    E("list-as-json", "hosts: list[str]", {"HOSTS": '["a", "b"]'}),
    E("list-by-commas", "hosts: list[str]", {"HOSTS": "a,b"}, blamed=("HOSTS", "JSON")),
    E("list-of-numbers-with-a-word", "ports: list[int] = []", {"PORTS": '[1, "two"]'}, blamed=("PORTS",)),
    E(
        "list-by-commas-decoded-by-itself",
        """
        hosts: Annotated[list[str], NoDecode]

        @field_validator("hosts", mode="before")
        @classmethod
        def split(cls, value: str) -> list[str]:
            return value.split(",")
        """,
        {"HOSTS": "a,b"},
    ),
    E("mapping", "labels: dict[str, int] = {}", {"LABELS": '{"a": 1}'}),
    E("mapping-of-no-json", "labels: dict[str, int] = {}", {"LABELS": "a=1"}, blamed=("LABELS", "JSON")),
    E("json-field", "limits: Json[list[int]]", {"LIMITS": "[1, 2]"}),
    E("json-field-wrong", "limits: Json[list[int]]", {"LIMITS": "1, 2"}, blamed=("LIMITS",)),
    E("nested", STORE, {"STORE__HOST": "h", "STORE__PORT": "1"}),
    E("nested-as-json", STORE, {"STORE": '{"host": "h"}'}),
    E("nested-as-json-and-by-part", STORE, {"STORE": '{"host": "h", "port": 1}', "STORE__PORT": "2"}),
    E("nested-wrong", STORE, {"STORE__HOST": "h", "STORE__PORT": "postgres"}, blamed=("STORE__PORT",)),
    E("nested-missing", STORE, {"STORE__PORT": "1"}, blamed=("STORE__HOST",)),
    E("nested-whole-missing", STORE, {}, blamed=("STORE__HOST",)),
    E(
        "nested-with-one-underscore",
        STORE,
        {"STORE_HOST": "h"},
        blamed=("STORE__HOST",),
        unread=("STORE_HOST",),
    ),
    E("nested-twice", DEEP, {"APP_STORE__POOL__TIMEOUT": "1.5"}),
    E(
        "nested-twice-wrong",
        DEEP,
        {"APP_STORE__POOL__TIMEOUT": "1.5", "APP_STORE__POOL__SIZE": "many"},
        blamed=("APP_STORE__POOL__SIZE",),
    ),
    E(
        "settings-in-settings",
        """
        class Store(BaseSettings):
            model_config = SettingsConfigDict(env_prefix="STORE_")
            host: str

        class Settings(BaseSettings):
            store: Store = Field(default_factory=Store)
        """,
        {"STORE_HOST": "h"},
    ),
    E(
        "settings-in-settings-missing",
        """
        class Store(BaseSettings):
            model_config = SettingsConfigDict(env_prefix="STORE_")
            host: str

        class Settings(BaseSettings):
            store: Store = Field(default_factory=Store)
        """,
        {"LOG": "x"},
        blamed=("STORE_HOST",),
        unread=("LOG",),
    ),
    E(
        "made-at-import",
        "class Settings(BaseSettings):\n    store_url: str\n\nsettings = Settings()",
        {"STORE_URL": "s"},
    ),
    E(
        "made-at-import-and-missing",
        "class Settings(BaseSettings):\n    store_url: str\n\nsettings = Settings()",
        {"STORE": "s"},
        blamed=("STORE_URL",),
        unread=("STORE",),
    ),
    E(
        "secrets-folder",
        'model_config = SettingsConfigDict(secrets_dir="{secrets}")\npassword: SecretStr',
        secrets={"password": "hunter22"},
    ),
    E(
        "secrets-folder-without-it",
        'model_config = SettingsConfigDict(secrets_dir="{secrets}")\npassword: SecretStr',
        secrets={"passwort": "hunter22"},
        blamed=("PASSWORD",),
    ),
    E(
        "variable-before-secrets-folder",
        'model_config = SettingsConfigDict(secrets_dir="{secrets}")\nlevel: Literal["a", "b"]',
        {"LEVEL": "a"},
        secrets={"level": "c"},
    ),
    E("json-file", FROM_JSON, files={"settings.json": '{"store_url": "http://s"}'}),
    E(
        "json-file-wrong",
        FROM_JSON,
        files={"settings.json": '{"store_url": "s", "retries": "often"}'},
        blamed=("retries",),
    ),
    E("json-file-without-it", FROM_JSON, files={"settings.json": "{}"}, blamed=("STORE_URL",)),
    E(
        "yaml-file",
        """
        class Settings(BaseSettings):
            shop_url: str

            @classmethod
            def settings_customise_sources(cls, settings_cls, *sources, **named):
                return (YamlConfigSettingsSource(settings_cls, yaml_file="{files}/settings.yaml"),)
        """,
        {"SHOP_URL": "unread"},
        {"settings.yaml": "shop_url: http://s\n"},
        unread=("SHOP_URL",),
    ),
    E(
        "toml-file",
        """
        class Settings(BaseSettings):
            model_config = SettingsConfigDict(toml_file="{files}/settings.toml")
            store_url: str
            retries: int = 1

            @classmethod
            def settings_customise_sources(cls, settings_cls, init_settings, env_settings, **named):
                return env_settings, TomlConfigSettingsSource(settings_cls)
        """,
        {"RETRIES": "2"},
        {"settings.toml": 'store_url = "http://s"\n'},
    ),
    E(
        "env-file",
        'model_config = SettingsConfigDict(env_file="{files}/app.env")\nstore_url: str',
        files={"app.env": "STORE_URL=http://s\n"},
    ),
    E(
        "env-file-with-more",
        'model_config = SettingsConfigDict(env_file="{files}/app.env")\nstore_url: str',
        files={"app.env": "STORE_URL=http://s\nOTHER=1\n"},
        blamed=("other",),
    ),
    E("url", "store_url: AnyHttpUrl", {"STORE_URL": "store:8080"}, blamed=("STORE_URL",)),
    E("dsn", "database: PostgresDsn", {"DATABASE": "postgresql://db:5432/shop"}),
    E("optional", "name: Optional[int] = None", {"NAME": "None"}, blamed=("NAME",)),
    E(
        "none-as-a-word",
        'model_config = SettingsConfigDict(env_parse_none_str="null")\nname: Optional[int] = None',
        {"NAME": "null"},
    ),
    E("duration", "wait: timedelta", {"WAIT": "PT30S"}),
    E("duration-in-words", "wait: timedelta", {"WAIT": "half a minute"}, blamed=("WAIT",)),
    E("uuid", "tenant: UUID", {"TENANT": "shop"}, blamed=("TENANT",)),
    E(
        "own-validator",
        """
        region: str

        @field_validator("region")
        @classmethod
        def known(cls, value: str) -> str:
            if value not in ("eu", "us"):
                raise ValueError("region is eu or us")
            return value
        """,
        {"REGION": "mars"},
        blamed=("REGION", "region is eu or us"),
    ),
    E(
        "together",
        """
        mode: str = "a"
        key: str | None = None

        @model_validator(mode="after")
        def both(self) -> Settings:
            if self.mode == "b" and self.key is None:
                raise ValueError("mode b needs a key")
            return self
        """,
        {"MODE": "b", "LOG": "x"},
        blamed=("mode b needs a key",),
        unread=("LOG",),
    ),
    E("union-of-number-and-text", "size: Union[int, str] = 1", {"SIZE": "large"}),
    E(
        "many-at-once",
        "a_port: int\nb_port: int\nc_url: str",
        {"A_PORT": "x", "B_PORT": "why"},
        blamed=("A_PORT", "B_PORT", "C_URL"),
    ),
]
