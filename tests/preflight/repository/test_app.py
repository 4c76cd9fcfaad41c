"""What preflight learns from a repository's own code, asked in a real subprocess."""

from __future__ import annotations

import socket
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from preflight.repository.app import Apps, Failure, Pod, Request
from preflight.repository.config import ContainerConfig
from preflight.repository.probe_process import Process

Ask = Callable[..., Apps]


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
            opened[key] = Apps(root, {"main": ContainerConfig(**declared)}, seconds=seconds)
            opened[key].__enter__()
        return opened[key]

    yield start
    for apps in opened.values():
        apps.__exit__(None, None, None)


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
    routes = dict(zip(paths, app.routes(Pod(), [Request(path=path) for path in paths]), strict=True))
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
    routes = app.routes(Pod(), [Request(path=path) for path in ("/livez", "/livez/", "/healthz")])
    assert [route.fails for route in routes] == [False, False, True]
    assert [route.starts for route in routes] == [False, False, True], "its start fails here"


@pytest.mark.parametrize(("added", "starts"), [("/late", True), ("/other", False)])
def test_a_route_that_a_start_adds_may_be_there(ask: Ask, added: str, starts: bool) -> None:
    app = ask(
        f"""
        paths = set()

        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                paths.add("{added}")
                await send({{"type": "lifespan.startup.complete"}})
                await receive()
                return
            status = 200 if scope["path"] in paths else 404
            await send({{"type": "http.response.start", "status": status, "headers": []}})
            await send({{"type": "http.response.body", "body": b""}})
        """,
        "web",
        app="web:app",
    ).get("main")
    assert app is not None
    [route] = app.routes(Pod(), [Request(path="/late")])
    assert (route.status, route.starts) == (404, starts)


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
    found = app.routes(Pod(), requests)
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
    assert [topic.name for topic in app.topics(Pod())] == names


def failure(apps: Apps, pod: Pod | None = None) -> Failure:
    app = apps.get("main")
    assert app is not None
    [found] = app.failures(pod or Pod(), []).values()
    return found


@pytest.mark.parametrize(
    ("source", "kind", "why"),
    [
        ("import nothing_of_this_name", "missing-package", "nothing_of_this_name"),
        ("x = (", "raised", "SyntaxError: '(' was never closed"),
        ("x = 1", "not-found", "m has no Settings"),
        ("import sys; sys.exit('not today')", "raised", "SystemExit: not today"),
        ("import os; os._exit(3)", "ended", "ends the interpreter (code 3)"),
        (
            "import os, signal; signal.raise_signal(signal.SIGSEGV)",
            "ended",
            "ends the interpreter (signal 11)",
        ),
        ("import time; time.sleep(60)", "ended", "takes longer than 3 s"),
        ("while True: pass", "ended", "takes longer than 3 s"),
        ("x = bytearray(2 << 30)", "ended", "takes more than 1 GiB of memory"),
        ("import os; os.fork()", "tried", "fork"),
        ("import os; os.system('true')", "tried", "run true"),
        ("import subprocess; subprocess.run(['true', '--password=hunter22'])", "tried", "run true"),
        ("import multiprocessing; multiprocessing.Process(target=print).start()", "tried", "fork"),
        ("import os; os.execv('/bin/true', ['true'])", "tried", "run /bin/true"),
        ("import os; os.kill(os.getppid(), 15)", "tried", "send a signal"),
        ("open('/var/tmp/of-preflight', 'w')", "tried", "write /var/tmp/of-preflight"),
        ("import pathlib; pathlib.Path(__file__).with_suffix('.log').touch()", "tried", "write"),
        (
            "import sqlite3; sqlite3.connect('/var/tmp/of-preflight.db')",
            "tried",
            "write /var/tmp/of-preflight.db",
        ),
        ("import socket; socket.getaddrinfo('store', 80)", "tried", "look up store"),
        ("import socket; socket.create_server(('127.0.0.1', 0))", "tried", "listen on 127.0.0.1:0"),
    ],
)
def test_what_cannot_be_asked_is_a_failure_and_never_the_end(
    ask: Ask, source: str, kind: str, why: str
) -> None:
    apps = ask(source, "m", seconds=3, settings="m:Settings")
    found = failure(apps)
    assert found.kind == kind
    assert why in found.why
    assert "hunter22" not in found.why
    # the next question is answered as if nothing had been
    assert apps.known["main"].providers(["yaml"]) == {"yaml": ("pyyaml",)}


def test_a_module_that_is_not_there_is_named(ask: Ask) -> None:
    found = failure(ask("x = 1", "m", settings="shop.settings:Settings"))
    assert (found.kind, found.why) == ("not-found", "no module shop")


@pytest.mark.parametrize(
    "connects",
    [
        "socket.create_connection(('127.0.0.1', {port}), 1)",
        "urllib.request.urlopen('http://127.0.0.1:{port}/', timeout=1)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    ],
)
@pytest.mark.parametrize("swallowed", [True, False])
def test_a_class_that_connects_reaches_nobody(ask: Ask, connects: str, swallowed: bool) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
    ):
        port = listener.getsockname()[1]
        datagrams.bind(("127.0.0.1", port))
        source = f"""
            import socket, urllib.request
            from dataclasses import dataclass

            @dataclass
            class Settings:
                name: str

                def __post_init__(self):
                    try:
                        {connects.format(port=port)}
                    except OSError:
                        if not {swallowed}:
                            raise
        """
        found = failure(ask(source, "m", settings="m:Settings"), Pod(state={"NAME": "x"}))
        assert found.kind == "tried"
        assert found.why in (f"connect to 127.0.0.1:{port}", f"send to 127.0.0.1:{port}")
        for each in (listener, datagrams):
            each.settimeout(0.1)
            with pytest.raises(TimeoutError):
                each.recvfrom(1) if each is datagrams else each.accept()


def test_the_same_question_is_asked_once_and_what_no_variable_decides_for_all_pods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.py").write_text("T = ['one']\n")
    asked = []
    ask = Process.ask
    monkeypatch.setattr(Process, "ask", lambda self, **question: asked.append(1) or ask(self, **question))
    with Apps(tmp_path, {"main": ContainerConfig(topics="m:T")}) as apps:
        for value in ("1", "1", "2"):
            assert [topic.name for topic in apps.known["main"].topics(Pod(state={"A": value}))] == ["one"]
    assert len(asked) == 1


def test_a_run_has_its_time_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("import time; time.sleep(60)\n")
    with Apps(tmp_path, {"main": ContainerConfig(settings="m:S")}, seconds=0.2) as apps:
        apps._process.left = 0.3
        whys = [failure(apps, Pod(state={"A": str(n)})).why for n in range(4)]
    assert whys[0].startswith("takes longer than 0.2 s")
    assert whys[-1].startswith("was not asked")


def test_an_app_is_imported_with_its_pods_variables(ask: Ask) -> None:
    source = """
        import os
        PATH = os.environ["SERVED"]

        async def app(scope, receive, send):
            status = 200 if scope["path"] == PATH else 404
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b""})
    """
    app = ask(source, "m", app="m:app").known["main"]
    for path in ("/a", "/b"):
        routes = app.routes(Pod(state={"SERVED": path}), [Request(path="/a"), Request(path="/b")])
        assert [route.status for route in routes] == [200 if each == path else 404 for each in ("/a", "/b")]


def test_an_app_whose_settings_cannot_be_seen_is_imported_with_values_that_do(ask: Ask) -> None:
    source = """
        import os
        if not os.environ["STORE"].startswith("https://"):
            raise ValueError("STORE is no URL")

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
    """
    app = ask(source, "m", app="m:app").known["main"]
    [route] = app.routes(Pod(unknown=("STORE",)), [Request(path="/")])
    assert route.status == 200
    assert (
        failure(ask(source, "m", app="m:app"), Pod(state={"STORE": "x"})).why == "ValueError: STORE is no URL"
    )


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
        answer = apps.known["main"].settings(Pod())
        assert answer is not None
        assert answer.variables[0].default == "1"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["routes.py", "settings.py"], "untouched"


def test_who_provides_a_module(ask: Ask) -> None:
    app = ask("x = 1").get("main")
    assert app is not None
    assert app.providers(["yaml", "nothing_here"]) == {"yaml": ("pyyaml",), "nothing_here": ()}
    assert {"cyclopts", "rich", "pygments"} <= app.closure(["Cyclopts"])
