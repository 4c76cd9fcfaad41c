"""What preflight learns from a repository's own code, asked in a real subprocess."""

from __future__ import annotations

import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from preflight.findings import CheckError
from preflight.repository.app import Apps, Checked, Variable, Request
from preflight.repository.config import ContainerConfig

Ask = Callable[..., Apps]

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

PYDANTIC_SETTINGS = """
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="app_")
    host: str
    port: int = 80
    hosts: list[str] = []
    token: SecretStr | None = None
"""


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Write one module, declare a name of it for the container `main`, and start asking; what was asked of
    the same source before is asked again."""
    opened: dict[str, Apps] = {}

    def start(source: str, name: str = "settings_module", seconds: float = 20, **declared: str) -> Apps:
        key = repr((source, name, seconds, declared))
        if key not in opened:
            root = tmp_path_factory.mktemp("repository")
            (root / "src").mkdir()
            (root / "src" / f"{name}.py").write_text(textwrap.dedent(source))
            declared = declared or {"settings": f"{name}:Settings"}
            opened[key] = Apps(root, {"main": ContainerConfig(**declared)}, seconds)
            opened[key].__enter__()
        return opened[key]

    yield start
    for apps in opened.values():
        apps.__exit__(None, None, None)


def variables(apps: Apps) -> dict[str, Variable]:
    app = apps.get("main")
    assert app is not None
    assert app.settings is not None
    return {variable.name: variable for variable in app.settings}


def check(
    apps: Apps, values: dict[str, str], unknown: tuple[str, ...] = (), open_ended: bool = False
) -> Checked:
    app = apps.get("main")
    assert app is not None
    return app.check(values, unknown, open_ended)


def test_a_msgspec_struct_says_names_types_defaults_secrets_and_aliases(ask: Ask) -> None:
    found = variables(ask(MSGSPEC))
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
    ("values", "wrong"),
    [
        ({"KAFKA_SERVERS": "k:1"}, {}),
        ({"KAFKA": "k:1"}, {}),
        ({"KAFKA": "k"}, {"KAFKA": "got 'k', wants host:port"}),
        ({"KAFKA": "k:1", "PORT": "80a"}, {"PORT": "got '80a', wants a whole number from 1 to 65535"}),
        ({"KAFKA": "k:1", "PORT": "70000"}, {"PORT": "got '70000', wants a whole number from 1 to 65535"}),
        ({"KAFKA": "k:1", "PORT": ""}, {}),
        ({"KAFKA": "k:1", "LEVEL": "loud"}, {"LEVEL": "got 'loud', wants one of INFO, DEBUG"}),
        ({"KAFKA": "k:1", "COLOUR": "green"}, {"COLOUR": "got 'green', wants one of red, blue"}),
        ({"KAFKA": "k:1", "VERBOSE": "perhaps"}, {"VERBOSE": "got 'perhaps', wants true or false"}),
        ({"KAFKA": "k:1", "APP_TIMEOUT": "nan"}, {"APP_TIMEOUT": "got 'nan', wants a number, above 0"}),
        ({"KAFKA": "k:1", "ELSE": "whatever"}, {}),
    ],
)
def test_values_decode_with_the_type_itself(ask: Ask, values: dict[str, str], wrong: dict[str, str]) -> None:
    assert check(ask(MSGSPEC), values) == Checked(wrong=wrong)


def test_a_required_variable_that_is_absent_or_empty_is_missing(ask: Ask) -> None:
    apps = ask(MSGSPEC)
    assert check(apps, {}).missing == ("KAFKA_SERVERS",)
    assert check(apps, {"KAFKA_SERVERS": " "}).missing == ("KAFKA_SERVERS",)
    assert check(apps, {}, unknown=("KAFKA",)).missing == ()


def test_a_rule_between_variables_is_found_and_certain_only_when_nothing_unseen_can_mend_it(ask: Ask) -> None:
    apps = ask(MSGSPEC)
    offered = {"KAFKA": "k:1", "BACKEND": "cloud"}
    [conflict] = check(apps, offered).conflicts
    assert conflict.message == "API_KEY: not set, wanted with BACKEND=cloud"
    assert conflict.variables == ("API_KEY", "BACKEND")
    assert conflict.certain
    assert not check(apps, offered, open_ended=True).conflicts[0].certain
    assert not check(apps, offered, unknown=("API_KEY",)).conflicts
    assert not check(apps, {**offered, "API_KEY": "x"}).conflicts


def test_the_value_of_a_secret_is_never_told(ask: Ask) -> None:
    apps = ask(
        """
        from dataclasses import dataclass, field

        @dataclass
        class Settings:
            token: int = field(metadata={"secret": True})
            other: str = ""

            def __post_init__(self):
                raise ValueError(f"token {self.token} is not good")
        """
    )
    assert check(apps, {"TOKEN": "hunter22"}).wrong == {
        "TOKEN": "got a value that is not shown, wants a whole number"
    }
    assert check(apps, {"TOKEN": "424242"}).conflicts[0].message == "token *** is not good"


def test_a_dataclass(ask: Ask) -> None:
    apps = ask(DATACLASS)
    found = variables(apps)
    assert found["DATABASE_URL"].required
    assert found["DATABASE_URL"].is_address
    assert found["TOKEN"].secret
    assert found["WORKERS"].default == "4"
    assert "AWS_REGION" in found
    good = {"DATABASE_URL": "db://x", "DEBUG": "yes", "FOLDER": "/x", "TAGS": "a,b", "LEVEL": "debug"}
    assert check(apps, good) == Checked()
    assert check(apps, {**good, "WORKERS": "four", "DEBUG": "maybe", "LEVEL": "INFO"}).wrong == {
        "WORKERS": "got 'four', wants a whole number",
        "DEBUG": "got 'maybe', wants true or false",
        "LEVEL": "got 'INFO', wants one of info, debug",
    }
    [conflict] = check(apps, {"DATABASE_URL": "db://x", "WORKERS": "0"}).conflicts
    assert (conflict.message, conflict.variables) == ("workers: at least 1", ("WORKERS",))


def test_an_attrs_class(ask: Ask) -> None:
    pytest.importorskip("attrs")
    apps = ask(ATTRS)
    assert variables(apps)["REDIS_HOST"].is_address
    assert check(apps, {"REDIS_HOST": "r", "SIZE": "2"}) == Checked()
    assert check(apps, {"REDIS_HOST": "r", "SIZE": "0"}).wrong == {"SIZE": "got '0', wants a whole number"}


def test_a_pydantic_model(ask: Ask) -> None:
    pytest.importorskip("pydantic")
    apps = ask(PYDANTIC)
    found = variables(apps)
    assert (found["BROKER"].aliases, found["PASSWORD"].secret) == (("BROKER_OLD",), True)
    assert found["PORT"].type == "a whole number from 1 to 65535"
    assert check(apps, {"DATABASE_HOST": "db", "BROKER_OLD": "b:2"}) == Checked()
    assert check(apps, {"PORT": "0"}) == Checked(
        wrong={"PORT": "got '0', wants a whole number from 1 to 65535"}, missing=("DATABASE_HOST",)
    )
    [conflict] = check(apps, {"DATABASE_HOST": "db", "MODE": "b"}).conflicts
    assert conflict.message == "password is wanted with mode b"


def test_pydantic_settings_read_the_environment_they_are_given_and_no_other(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pydantic_settings")
    monkeypatch.setenv("APP_HOST", "from-outside")
    apps = ask(PYDANTIC_SETTINGS)
    assert list(variables(apps)) == ["APP_HOST", "APP_PORT", "APP_HOSTS", "APP_TOKEN"]
    assert check(apps, {}).missing == ("APP_HOST",)
    assert check(apps, {"app_host": "h", "APP_HOSTS": '["a"]'}) == Checked()
    assert set(check(apps, {"APP_HOST": "h", "APP_PORT": "x"}).wrong) == {"APP_PORT"}
    assert set(check(apps, {"APP_HOST": "h", "APP_HOSTS": "a,b"}).wrong) == {"APP_HOSTS"}


ASGI = """
    async def app(scope, receive, send):
        assert scope["type"] == "http", "no lifespan"
        status, headers = {
            "/livez": (200, []),
            "/readyz": (503, []),
            "/post": (405, []),
            "/old": (308, [(b"Location", b"/livez")]),
            "/gone": (301, [(b"location", b"/nowhere")]),
            "/away": (302, [(b"location", b"https://example.org/")]),
            "/loop": (307, [(b"location", b"/loop")]),
        }.get(scope["path"], (404, []))
        if scope["path"] == "/boom":
            raise RuntimeError("no database")
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def create_app():
        print("factories may print")
        return app
"""


@pytest.mark.parametrize("name", ["app", "create_app"])
def test_routes_are_asked_of_the_app_or_its_factory(ask: Ask, name: str) -> None:
    app = ask(ASGI, "web", app=f"web:{name}").get("main")
    assert app is not None
    paths = ["/livez", "/readyz", "/post", "/nope", "/old", "/gone", "/away", "/loop", "/boom"]
    routes = dict(zip(paths, app.routes([Request(path=path) for path in paths]), strict=True))
    assert {path: route.status for path, route in routes.items()} == {
        "/livez": 200, "/readyz": 503, "/post": 405, "/nope": 404, "/old": 200, "/gone": 404,
        "/away": 302, "/loop": 307, "/boom": 500,
    }  # fmt: skip
    failing = [path for path, route in routes.items() if route.fails]
    assert failing == ["/post", "/nope", "/gone", "/loop"]


def test_a_litestar_app_answers_without_lifespan(ask: Ask) -> None:
    app = ask(
        """
        from litestar import Litestar, get

        @get("/livez", sync_to_thread=False)
        def livez() -> str:
            return "ok"

        def create_app() -> Litestar:
            return Litestar([livez], on_startup=[lambda: 1 / 0])
        """,
        "web",
        app="web:create_app",
    ).get("main")
    assert app is not None
    routes = app.routes([Request(path=path) for path in ("/livez", "/livez/", "/healthz")])
    assert [route.fails for route in routes] == [False, False, True]
    assert all(route.starts for route in routes)


def test_an_app_is_asked_as_the_kubelet_asks(ask: Ask) -> None:
    app = ask(
        """
        async def app(scope, receive, send):
            headers = dict(scope["headers"])
            host = headers[b"host"].decode()
            status, more = 200, []
            if scope["path"] == "/secure":
                status, more = 301, [(b"location", f"https://{host}/secure".encode())]
            elif scope["path"] == "/away":
                status, more = 302, [(b"location", b"https://login.example.org/")]
            elif host.startswith("10."):
                status = 400
            elif b"authorization" not in headers:
                status = 401
            await send({"type": "http.response.start", "status": status, "headers": more})
            await send({"type": "http.response.body", "body": b""})
        """,
        "web",
        app="web:app",
    ).get("main")
    assert app is not None
    shop, token = ("Host", "shop.example.org"), ("Authorization", "x")
    requests = [
        Request(path="/", port=8080),
        Request(path="/", headers=(shop,)),
        Request(path="/", headers=(shop, token)),
        Request(path="/secure"),
        Request(path="/away"),
    ]
    found = app.routes(requests)
    assert [route.status for route in found] == [400, 401, 200, 301, 302]
    assert [route.fails for route in found] == [True, True, False, True, False]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('T = "one"', ["one"]),
        ('T = ["one", "two"]', ["one", "two"]),
        ('T = {"one": 3}', ["one"]),
        (
            "from types import SimpleNamespace as N\nT = (N(name='one', readers=('a',), writers='b'),)",
            ["one"],
        ),
        ("from enum import Enum\nclass T(Enum):\n    A = 'one'\n    B = 'two'", ["one", "two"]),
    ],
)
def test_topics_in_the_forms_people_declare_them(ask: Ask, source: str, names: list[str]) -> None:
    app = ask(source, "topics_module", topics="topics_module:T").get("main")
    assert app is not None
    assert app.topics is not None
    assert [topic.name for topic in app.topics] == names


@pytest.mark.parametrize(
    ("source", "name", "line"),
    [
        (
            "import nothing_of_this_name",
            "m:Settings",
            "ModuleNotFoundError: No module named 'nothing_of_this_name'",
        ),
        ("x = (", "m:Settings", "SyntaxError: '(' was never closed"),
        ("x = 1", "m:Settings", "AttributeError: module 'm' has no attribute 'Settings'"),
        ("class Settings: pass", "m:Settings", "TypeError: settings are a msgspec Struct"),
        ("import sys; sys.exit('not today')", "m:Settings", "SystemExit: not today"),
        ("import os; os._exit(3)", "m:Settings", "ended the interpreter"),
    ],
)
def test_a_type_that_cannot_be_used_is_one_line(ask: Ask, source: str, name: str, line: str) -> None:
    with pytest.raises(CheckError) as caught:
        ask(source, "m", settings=name).load()
    assert line in str(caught.value)
    assert "m:Settings" in str(caught.value)
    assert "pyproject.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_import_that_hangs_is_ended_and_named(ask: Ask) -> None:
    begun = time.monotonic()
    with pytest.raises(CheckError, match=r"m:Settings.* took longer than 0\.5 s"):
        ask("import time; time.sleep(60)", "m", seconds=0.5, settings="m:Settings").load()
    assert time.monotonic() - begun < 10


def test_what_the_imported_code_starts_ends_with_the_run(tmp_path: Path) -> None:
    source = "import subprocess\nChild = subprocess.Popen(['sleep', '300'])\nT = [str(Child.pid)]\n"
    (tmp_path / "starts.py").write_text(source)
    with Apps(tmp_path, {"main": ContainerConfig(topics="starts:T")}) as apps:
        app = apps.get("main")
        assert app is not None
        assert app.topics is not None
        child = int(app.topics[0].name)
        assert runs(child)
    deadline = time.monotonic() + 10
    while runs(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not runs(child)


def runs(process: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent to notice does not."""
    said = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return said.stdout.strip()[:1] not in ("", "Z")


def test_modules_of_the_same_name_as_ours_are_the_repositorys_own(tmp_path: Path) -> None:
    (tmp_path / "routes.py").write_text("HERE = 1")
    (tmp_path / "settings.py").write_text(
        textwrap.dedent("""
            from dataclasses import dataclass
            from routes import HERE

            @dataclass
            class Settings:
                a: int = HERE
        """)
    )
    with Apps(tmp_path, {"main": ContainerConfig(settings="settings:Settings")}) as apps:
        assert variables(apps)["A"].default == "1"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["routes.py", "settings.py"], "untouched"


def test_who_provides_a_module(ask: Ask) -> None:
    app = ask(DATACLASS).get("main")
    assert app is not None
    assert app.providers(["yaml", "nothing_here"]) == {"yaml": ("pyyaml",), "nothing_here": ()}
    assert {"cyclopts", "rich", "pygments"} <= app.closure(["Cyclopts"])
