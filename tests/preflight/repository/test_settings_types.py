"""Settings in the forms that people declare them, and what they say to a pod."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from preflight.repository.app import Answer, Apps, Pod, Problem, Variable
from preflight.repository.config import ContainerConfig

Ask = Callable[..., Answer]

MSGSPEC = r"""
from enum import Enum
from typing import Annotated, Literal
from msgspec import Meta, Struct, field

class Secret:
    def __init__(self, value): self.value = value
    def __repr__(self): return "***"

class Colour(Enum):
    RED = "red"
    BLUE = "blue"

class Settings(Struct, kw_only=True, rename=str.upper):
    kafka_servers: Annotated[
        str, Meta(pattern=r"^\S+:\d+$", extra={"aliases": ["KAFKA"], "wants": "host:port"})
    ]
    port: Annotated[int, Meta(ge=1, le=65535)] = 8080
    timeout: Annotated[float, Meta(gt=0)] = field(name="APP_TIMEOUT", default=2.5)
    level: Literal["INFO", "DEBUG"] = "INFO"
    colour: Colour = Colour.RED
    verbose: bool = False
    api_key: Secret | None = None
    backend: str = "none"

    def __post_init__(self):
        if self.backend == "cloud" and self.api_key is None:
            raise ValueError("API_KEY: not set, wanted with BACKEND=cloud")
"""

DATACLASS = """
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Optional

@dataclass
class Settings:
    database_url: str
    workers: int = 4
    ratio: float = 0.5
    debug: bool = False
    level: Literal["info", "debug"] = "info"
    folder: Path = Path("/data")
    token: Optional[str] = field(default=None, metadata={"secret": True})
    tags: list = field(default_factory=list)
    region: str = field(default="eu", metadata={"env": "AWS_REGION"})

    def __post_init__(self):
        if self.workers < 1:
            raise ValueError("workers: at least 1")
"""

ATTRS = """
import attrs

def positive(value):
    number = int(value)
    if number < 1:
        raise ValueError("positive")
    return number

@attrs.define
class Settings:
    redis_host: str
    _size: int = attrs.field(default=3, converter=positive)
"""

PYDANTIC = """
from typing import Annotated, Literal
from pydantic import AliasChoices, BaseModel, Field, SecretStr, model_validator

class Settings(BaseModel):
    database_host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    password: SecretStr | None = None
    mode: Literal["a", "b"] = "a"
    broker: str = Field(default="b:1", validation_alias=AliasChoices("BROKER", "BROKER_OLD"))

    @model_validator(mode="after")
    def together(self):
        if self.mode == "b" and self.password is None:
            raise ValueError("password is wanted with mode b")
        return self
"""


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """What the settings of one module's source say to a pod."""
    opened: dict[str, Apps] = {}

    def answer(source: str, pod: Pod | None = None, name: str = "Settings", **state: str) -> Answer:
        if source not in opened:
            root = tmp_path_factory.mktemp("repository")
            (root / "shop").mkdir()
            (root / "shop" / "__init__.py").write_text("")
            (root / "shop" / "settings.py").write_text(textwrap.dedent(source))
            whole = f"shop.settings:{name}" if name else "shop.settings"
            opened[source] = Apps(root, {"main": ContainerConfig(settings=whole)})
            opened[source].__enter__()
        found = opened[source].known["main"].settings(pod or Pod(state=state))
        assert found is not None
        return found

    yield answer
    for apps in opened.values():
        apps.__exit__(None, None, None)


def variables(answer: Answer) -> dict[str, Variable]:
    return {variable.name: variable for variable in answer.variables}


def problem(answer: Answer) -> Problem:
    [found] = answer.problems
    return found


def test_a_msgspec_struct_says_names_types_defaults_secrets_and_aliases(ask: Ask) -> None:
    found = variables(ask(MSGSPEC, KAFKA="k:1"))
    assert list(found) == [
        "KAFKA_SERVERS", "PORT", "APP_TIMEOUT", "LEVEL", "COLOUR", "VERBOSE", "API_KEY", "BACKEND",
    ]  # fmt: skip
    servers = found["KAFKA_SERVERS"]
    assert (servers.required, servers.is_address, servers.aliases) == (True, True, ("KAFKA",))
    assert servers.type == "host:port"
    assert found["PORT"].type == "a whole number from 1 to 65535"
    assert (found["PORT"].kind, found["PORT"].default) == ("int", "8080")
    assert (found["APP_TIMEOUT"].kind, found["APP_TIMEOUT"].default) == ("float", "2.5")
    assert found["LEVEL"].choices == ("INFO", "DEBUG")
    assert found["COLOUR"].choices == ("red", "blue")
    assert (found["VERBOSE"].type, found["VERBOSE"].default) == ("true or false", "false")
    assert (found["API_KEY"].secret, found["API_KEY"].default) == (True, None)


@pytest.mark.parametrize(
    ("state", "wrong"),
    [
        ({"KAFKA_SERVERS": "k:1"}, {}),
        ({"KAFKA": "k:1"}, {}),
        ({"KAFKA": "k"}, {"KAFKA": "host:port"}),
        ({"KAFKA": "k:1", "PORT": "80a"}, {"PORT": "a whole number from 1 to 65535"}),
        ({"KAFKA": "k:1", "PORT": "70000"}, {"PORT": "a whole number from 1 to 65535"}),
        ({"KAFKA": "k:1", "PORT": ""}, {}),
        ({"KAFKA": "k:1", "LEVEL": "loud"}, {"LEVEL": "one of INFO, DEBUG"}),
        ({"KAFKA": "k:1", "COLOUR": "green"}, {"COLOUR": "one of red, blue"}),
        ({"KAFKA": "k:1", "VERBOSE": "perhaps"}, {"VERBOSE": "true or false"}),
        ({"KAFKA": "k:1", "APP_TIMEOUT": "nan"}, {"APP_TIMEOUT": "a number, above 0"}),
        (
            {"KAFKA": "k:1", "PORT": "x", "VERBOSE": "y?"},
            {"PORT": "a whole number from 1 to 65535", "VERBOSE": "true or false"},
        ),
    ],
)
def test_values_decode_with_the_type_itself(ask: Ask, state: dict[str, str], wrong: dict[str, str]) -> None:
    answer = ask(MSGSPEC, **state)
    assert {each.variables[0]: each.expected for each in answer.problems} == wrong
    assert all(each.kind == "value" for each in answer.problems)


def test_a_variable_that_the_type_does_not_have_is_not_read(ask: Ask) -> None:
    assert ask(MSGSPEC, KAFKA="k:1", ELSE="whatever").unread == ("ELSE",)


def test_a_required_variable_that_is_absent_is_missing_and_an_unseen_one_is_not(ask: Ask) -> None:
    found = problem(ask(MSGSPEC, PORT="1"))
    assert (found.kind, found.variables) == ("missing", ("KAFKA_SERVERS", "KAFKA"))
    assert ask(MSGSPEC, Pod(unknown=("KAFKA",))).problems == ()


def test_two_names_of_one_setting_that_differ_are_refused(ask: Ask) -> None:
    found = problem(ask(MSGSPEC, KAFKA="k:1", KAFKA_SERVERS="k:2"))
    assert (found.kind, set(found.variables)) == ("aliases", {"KAFKA", "KAFKA_SERVERS"})


def test_a_rule_between_variables_is_certain_only_when_nothing_unseen_can_mend_it(ask: Ask) -> None:
    state = {"KAFKA": "k:1", "BACKEND": "cloud"}
    found = problem(ask(MSGSPEC, Pod(state=state)))
    assert found.kind == "conflict"
    assert found.message == "API_KEY: not set, wanted with BACKEND=cloud"
    assert found.variables == ("API_KEY", "BACKEND")
    assert found.certain
    assert not problem(ask(MSGSPEC, Pod(state=state, open=True))).certain
    assert ask(MSGSPEC, Pod(state=state, unknown=("API_KEY",))).problems == ()


def test_a_dataclass(ask: Ask) -> None:
    good = {"DATABASE_URL": "db://x", "DEBUG": "yes", "FOLDER": "/x", "TAGS": "a,b", "LEVEL": "debug"}
    answer = ask(DATACLASS, **good)
    assert (answer.problems, answer.unread) == ((), ())
    found = variables(answer)
    assert found["DATABASE_URL"].required
    assert found["DATABASE_URL"].is_address
    assert found["TOKEN"].secret
    assert found["WORKERS"].default == "4"
    assert "AWS_REGION" in found
    answer = ask(DATACLASS, **{**good, "WORKERS": "four", "DEBUG": "maybe", "LEVEL": "INFO"})
    assert {each.variables[0]: each.expected for each in answer.problems} == {
        "WORKERS": "a whole number",
        "DEBUG": "true or false",
        "LEVEL": "one of info, debug",
    }
    conflict = problem(ask(DATACLASS, DATABASE_URL="db://x", WORKERS="0"))
    assert (conflict.message, conflict.variables) == ("workers: at least 1", ("WORKERS",))


def test_an_attrs_class(ask: Ask) -> None:
    pytest.importorskip("attrs")
    answer = ask(ATTRS, REDIS_HOST="r", SIZE="2")
    assert answer.problems == ()
    assert variables(answer)["REDIS_HOST"].is_address
    assert problem(ask(ATTRS, REDIS_HOST="r", SIZE="0")).variables == ("SIZE",)


def test_a_pydantic_model(ask: Ask) -> None:
    pytest.importorskip("pydantic")
    answer = ask(PYDANTIC, DATABASE_HOST="db", BROKER_OLD="b:2")
    assert answer.problems == ()
    found = variables(answer)
    assert (found["BROKER"].aliases, found["PASSWORD"].secret) == (("BROKER_OLD",), True)
    assert found["PORT"].type == "a whole number from 1 to 65535"
    wrong = ask(PYDANTIC, PORT="0")
    assert {each.kind: each.variables for each in wrong.problems} == {
        "value": ("PORT",),
        "missing": ("DATABASE_HOST",),
    }
    assert problem(ask(PYDANTIC, DATABASE_HOST="db", MODE="b")).message == "password is wanted with mode b"


FUNCTION = """
    import os
    from functools import lru_cache

    @lru_cache
    def load():
        port = int(os.environ["PORT"])
        mode = os.environ.get("MODE", "a")
        if mode == "b" and not os.getenv("KEY"):
            raise RuntimeError("no key for mode b")
        return {"port": port, "url": os.environ["STORE_URL"]}
"""


INSTANCE = """
    from functools import lru_cache
    from pydantic_settings import BaseSettings, SettingsConfigDict

    class Shop(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="SHOP_")
        url: str
        port: int = 80

    @lru_cache
    def get_settings() -> Shop:
        return Shop()

    settings = Shop()
"""


@pytest.mark.parametrize("name", ["Shop", "settings", "get_settings"])
def test_settings_made_at_import_by_any_of_their_names(ask: Ask, name: str) -> None:
    pytest.importorskip("pydantic_settings")
    source = INSTANCE + f"    # {name}"
    good = ask(source, Pod(state={"SHOP_URL": "s", "LOG": "x"}), name=name)
    assert (good.problems, good.unread) == ((), ("LOG",))
    assert variables(good)["SHOP_URL"].is_address
    bad = ask(source, Pod(state={"SHOP_PORT": "x"}), name=name)
    assert {each.kind: each.variables[0] for each in bad.problems} == {
        "value": "SHOP_PORT",
        "missing": "SHOP_URL",
    }


def test_a_function_without_arguments(ask: Ask) -> None:
    pytest.importorskip("pydantic")
    good = ask(FUNCTION, Pod(state={"PORT": "1", "STORE_URL": "s", "LOG": "x"}), name="load")
    assert (good.problems, good.unread) == ((), ("LOG",))
    assert variables(good)["STORE_URL"].is_address
    bad = ask(FUNCTION, Pod(state={"PORT": "eighty"}), name="load")
    assert [(each.kind, each.variables[0]) for each in bad.problems] == [
        ("conflict", "PORT"),
        ("missing", "STORE_URL"),
    ]
    mode = problem(ask(FUNCTION, Pod(state={"PORT": "1", "STORE_URL": "s", "MODE": "b"}), name="load"))
    assert mode.message == "RuntimeError: no key for mode b"
    assert "MODE" in mode.variables


DJANGO = """
    import os
    from pathlib import Path
    BASE_DIR = Path(__file__).resolve().parent.parent
    SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
    DEBUG = os.environ.get("DJANGO_DEBUG", "") == "true"
    DATABASES = {"default": {"PORT": int(os.environ.get("DB_PORT", "5432"))}}
"""


def test_a_django_settings_module(ask: Ask) -> None:
    good = ask(DJANGO, Pod(state={"DJANGO_SECRET_KEY": "k", "DJANGO_DEBUG": "true", "OTHER": "x"}), name="")
    assert (good.problems, good.unread) == ((), ("OTHER",))
    bad = ask(DJANGO, Pod(state={"DB_PORT": "pg"}), name="")
    assert [(each.kind, each.variables) for each in bad.problems] == [
        ("missing", ("DJANGO_SECRET_KEY",)),
        ("conflict", ("DB_PORT",)),
    ]


SETTINGS = """
    from typing import Literal
    from uuid import UUID
    from pydantic import AnyUrl, Field, SecretStr, model_validator
    from pydantic_settings import BaseSettings, SettingsConfigDict

    class Settings(BaseSettings):
        model_config = SettingsConfigDict(env_file=".env", secrets_dir="/run/secrets/shop")
        url: AnyUrl
        tenant: UUID
        level: Literal["low", "high"] = "low"
        size: int = 1
        token: SecretStr | None = None
        code: str = Field("abc", pattern="^[a-z]{3}$")

        @model_validator(mode="after")
        def together(self):
            if self.token is not None and self.token.get_secret_value().startswith("canary"):
                token = self.token.get_secret_value()
                raise ValueError("no good token: " + token + ", of size " + str(self.size))
            return self
"""
GOOD = {"URL": "http://s", "TENANT": "00000000-0000-4000-8000-000000000000"}


def test_what_only_the_cluster_knows_gets_a_placeholder_that_is_taken(ask: Ask) -> None:
    pytest.importorskip("pydantic_settings")
    answer = ask(SETTINGS, Pod(unknown=("URL", "TENANT", "LEVEL", "SIZE")))
    assert answer.problems == ()
    assert answer.state["URL"].endswith(".invalid")
    # no placeholder is three small letters: nothing is said of that field, nor of the whole
    assert ask(SETTINGS, Pod(state=GOOD, unknown=("CODE",))).problems == ()
    # and the others are judged all the same
    assert problem(ask(SETTINGS, Pod(state={**GOOD, "SIZE": "x"}, unknown=("CODE",)))).variables == ("SIZE",)


DSN = """
    from pydantic import PostgresDsn, model_validator
    from pydantic_settings import BaseSettings

    class Settings(BaseSettings):
        database: PostgresDsn
        name: str = "a"
        code: int = 0

        @model_validator(mode="after")
        def together(self):
            if self.name == "wrong":
                raise ValueError("no such name")
            return self
"""


def test_an_unseen_address_gets_one_of_its_scheme_so_that_the_whole_is_asked(ask: Ask) -> None:
    pytest.importorskip("pydantic_settings")
    answer = ask(DSN, Pod(state={"NAME": "wrong"}, unknown=("DATABASE",)))
    assert problem(answer).message == "no such name"


def test_nothing_is_called_unread_because_the_settings_could_not_be_made(ask: Ask) -> None:
    pytest.importorskip("pydantic_settings")
    answer = ask(DSN, Pod(state={"DATABASE": "mysql://h", "NAME": "b", "OTHER": "c"}))
    assert problem(answer).variables == ("DATABASE",)
    assert answer.unread == ("OTHER",)
    never = DSN.replace("code: int = 0", "code: int = Field(multiple_of=7, gt=100)").replace(
        "import PostgresDsn", "import Field, PostgresDsn"
    )
    answer = ask(never, Pod(state={"NAME": "b", "OTHER": "c"}, unknown=("DATABASE", "CODE")))
    assert (answer.problems, answer.unread) == ((), ("OTHER",))


def test_the_words_of_a_class_hold_no_secret(ask: Ask) -> None:
    pytest.importorskip("pydantic_settings")
    state = {**GOOD, "TOKEN": "canary-5e1f"}
    found = problem(ask(SETTINGS, Pod(state=state, secrets=("canary-5e1f",))))
    assert found.message == "no good token: ***, of size 1"
    files = {**GOOD, "/run/secrets/shop/token": "canary-5e1f"}
    found = problem(ask(SETTINGS, Pod(state=files, secrets=("canary-5e1f",), mounts=("/run/secrets/shop",))))
    assert found.message == "no good token: ***, of size 1"
    part = SETTINGS.replace("+ token +", "+ token[:9] +")
    found = problem(ask(part, Pod(state=state, secrets=("canary-5e1f",))))
    assert found.message == ""


def test_a_file_of_the_repository_that_the_image_has_not_is_not_read(ask: Ask, tmp_path: Path) -> None:
    pytest.importorskip("pydantic_settings")
    (tmp_path / "shop.py").write_text(textwrap.dedent(SETTINGS))
    (tmp_path / ".env").write_text("URL=http://of-a-developer\nTENANT=00000000-0000-4000-8000-000000000000\n")
    (tmp_path / "prod.env").write_text("SIZE=large\n")
    with Apps(tmp_path, {"main": ContainerConfig(settings="shop:Settings")}) as apps:
        app = apps.known["main"]

        def missing(pod: Pod) -> list[str]:
            answer = app.settings(pod)
            assert answer is not None
            return [each.variables[0] for each in answer.problems]

        assert missing(Pod()) == ["URL", "TENANT"]
        assert missing(Pod(copies=(("shop.py", "/app/shop.py"),))) == ["URL", "TENANT"]
        assert missing(Pod(copies=((".", "/app"),))) == []
        assert missing(Pod(copies=((".", "/app"),), ignored=((False, r"\.env"),))) == ["URL", "TENANT"]
        assert missing(Pod(state=GOOD, copies=(("prod.env", "/app/.env"),))) == ["SIZE"]
        assert missing(Pod(state={"/app/.env": "URL=http://s\n"})) == ["TENANT"]


def test_a_mount_that_cannot_be_seen_is_said_to_be_looked_into(ask: Ask) -> None:
    pytest.importorskip("pydantic_settings")
    assert ask(SETTINGS, Pod(state=GOOD, unseen=("/run/secrets/shop",))).unseen == ("/run/secrets/shop",)
    assert ask(SETTINGS, Pod(state=GOOD, unseen=("/var/lib/other",))).unseen == ()


def test_a_file_that_cannot_be_seen_is_taken_to_be_there(ask: Ask) -> None:
    source = """
from dataclasses import dataclass
from pathlib import Path

@dataclass
class Settings:
    size: int
    def __post_init__(self):
        if not Path("/etc/shop/ca/ca.crt").is_file():
            raise ValueError("no file /etc/shop/ca/ca.crt")
        if self.size > 10:
            raise ValueError(f"SIZE={self.size} is more than 10")
"""
    answer = ask(source, Pod(state={"SIZE": "12"}, unseen=("/etc/shop/ca",)))
    assert [problem.message for problem in answer.problems] == ["SIZE=12 is more than 10"]
    assert ask(source, Pod(state={"SIZE": "12"})).problems[0].message == "no file /etc/shop/ca/ca.crt"
