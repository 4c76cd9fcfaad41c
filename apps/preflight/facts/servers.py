"""Servers on a container's command line: which app they load, and where they listen."""

from __future__ import annotations

import ast
import posixpath
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence

import msgspec

from preflight.cluster.workloads import Container
from preflight.facts.images import ContainerImage, container_images, start_of
from preflight.model import Model, fact

SHELL_SCRIPT = re.compile(r"#!\s*\S*[/\s](sh|bash|ash|dash)\b")
RUNNERS = (
    ("uv", "run"), ("poetry", "run"), ("pipenv", "run"), ("pdm", "run"), ("hatch", "run"),
    ("dotenv", "run", "--"), ("opentelemetry-instrument",), ("ddtrace-run",),
    ("newrelic-admin", "run-program"), ("npx",), ("pnpm", "exec"), ("yarn", "run"),
)  # fmt: skip
"""Programs that run the command line that follows them."""
EVERY = "0.0.0.0"  # noqa: S104 - compared with, not bound to
PORT = r"(\d{1,5})"


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """How one server is told what to load and where to listen, and what it does when it is not told."""

    host: str = "127.0.0.1"
    port: int | None = 8000
    """None: it listens on no port."""
    hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    """Options that take `host:port`."""
    host_variable: str = ""
    port_variable: str = ""
    options_variable: str = ""
    """A variable with further options."""
    elsewhere: tuple[str, ...] = ()
    """Options with which it listens on no port of its own."""
    config: tuple[str, ...] = ()
    """Options that name a file with the same settings."""
    config_file: str = ""
    """The file that is read without being named."""
    apps: tuple[str, ...] = ("",)
    """Options that name what it loads; the empty one: the first word that is no option."""
    app_variable: str = ""
    app_default: str = ""
    """The attribute it takes where a module alone is named; empty: it must be named."""
    needs_temporary: bool = False
    """Whether it makes a file in the temporary folder as it starts."""


SERVERS: dict[tuple[str, ...], Server] = {
    ("uvicorn",): Server(
        hosts=("--host",),
        ports=("--port",),
        host_variable="UVICORN_HOST",
        port_variable="UVICORN_PORT",
        elsewhere=("--uds", "--fd"),
    ),
    ("gunicorn",): Server(
        binds=("-b", "--bind"),
        options_variable="GUNICORN_CMD_ARGS",
        config=("-c", "--config"),
        config_file="gunicorn.conf.py",
        app_default="application",
        needs_temporary=True,
    ),
    ("hypercorn",): Server(binds=("-b", "--bind"), config=("-c", "--config"), app_default="app"),
    ("granian",): Server(
        hosts=("--host",),
        ports=("--port",),
        host_variable="GRANIAN_HOST",
        port_variable="GRANIAN_PORT",
        elsewhere=("--uds",),
        app_default="app",
    ),
    ("daphne",): Server(
        hosts=("-b", "--bind"), ports=("-p", "--port"), elsewhere=("-e", "--endpoint", "-u", "--fd")
    ),
    ("flask", "run"): Server(
        port=5000,
        hosts=("-h", "--host"),
        ports=("-p", "--port"),
        host_variable="FLASK_RUN_HOST",
        port_variable="FLASK_RUN_PORT",
        apps=("-A", "--app"),
        app_variable="FLASK_APP",
        app_default="app",
    ),
    ("fastapi", "run"): Server(host=EVERY, hosts=("--host",), ports=("--port",), apps=()),
    ("fastapi", "dev"): Server(hosts=("--host",), ports=("--port",), apps=()),
    ("mlflow", "server"): Server(
        port=5000,
        hosts=("-h", "--host"),
        ports=("-p", "--port"),
        host_variable="MLFLOW_HOST",
        port_variable="MLFLOW_PORT",
        apps=(),
    ),
    ("streamlit", "run"): Server(
        host=EVERY,
        port=8501,
        hosts=("--server.address",),
        ports=("--server.port",),
        host_variable="STREAMLIT_SERVER_ADDRESS",
        port_variable="STREAMLIT_SERVER_PORT",
        config_file=".streamlit/config.toml",
        apps=(),
    ),
    ("dagster-webserver",): Server(port=3000, hosts=("-h", "--host"), ports=("-p", "--port"), apps=()),
    ("prefect", "server"): Server(
        port=4200,
        hosts=("--host",),
        ports=("--port",),
        host_variable="PREFECT_SERVER_API_HOST",
        port_variable="PREFECT_SERVER_API_PORT",
        apps=(),
    ),
    ("tensorboard",): Server(
        host="localhost", port=6006, hosts=("--host",), ports=("--port",), elsewhere=("--bind_all",), apps=()
    ),
    ("http.server",): Server(host=EVERY, hosts=("-b", "--bind"), apps=()),
    ("vite",): Server(
        host="localhost",
        port=5173,
        hosts=("--host",),
        ports=("--port",),
        config_file="vite.config.js",
        apps=(),
    ),
    ("vite", "preview"): Server(
        host="localhost",
        port=4173,
        hosts=("--host",),
        ports=("--port",),
        config_file="vite.config.js",
        apps=(),
    ),
    ("next", "start"): Server(
        host=EVERY,
        port=3000,
        hosts=("-H", "--hostname"),
        ports=("-p", "--port"),
        port_variable="PORT",
        apps=(),
    ),
    ("hugo", "server"): Server(port=1313, hosts=("--bind",), ports=("-p", "--port"), apps=()),
    ("django", "runserver"): Server(apps=(), app_variable="DJANGO_SETTINGS_MODULE"),
    ("django",): Server(port=None, apps=("--settings",), app_variable="DJANGO_SETTINGS_MODULE"),
    ("celery",): Server(port=None, apps=("-A", "--app"), app_default="app"),
}
"""By program and, where it has several, by what it is told to do."""


class ServerCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A server as a container starts it."""

    name: str
    server: Server
    words: tuple[str, ...]
    """What follows its name, options of a variable included."""

    def option(self, names: Sequence[str]) -> str | None:
        """The value of the last of these options that is given: `--x v`, `--x=v`, `-xv`."""
        found = None
        for index, word in enumerate(self.words):
            for name in names:
                if word == name:
                    found = self.words[index + 1] if index + 1 < len(self.words) else ""
                elif word.startswith(f"{name}=") or (
                    len(name) == 2 and word.startswith(name) and not word.startswith("--")
                ):
                    found = word[len(name) :].removeprefix("=")
        return found

    @property
    def app(self) -> str | None:
        """What it is told to load, as it is written; None where the command line does not say."""
        named = self.option([name for name in self.server.apps if name])
        if named is None and "" in self.server.apps:
            named = next((word for word in self.words if TARGET.fullmatch(word) and ":" in word), None)
            if named is None and self.server.app_default:
                named = next(self._positional(), None)
        return named

    def _positional(self) -> Iterator[str]:
        """Words that are neither options nor, as far as can be told, their values."""
        for before, word in zip(("", *self.words), self.words, strict=False):
            if (
                TARGET.fullmatch(word)
                and not word.isdigit()
                and (not before.startswith("-") or "=" in before)
            ):
                yield word


TARGET = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?::([A-Za-z_][\w.]*)(?:\(\))?)?")
"""`module.path` or `module.path:attribute`."""


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where a container's server listens."""

    command: ServerCommand
    host: str
    port: int
    host_given: bool
    port_given: bool
    """Whether the command line says so itself: nothing in the image changes it then."""

    @property
    def is_local(self) -> bool:
        """Whether only the pod itself reaches it."""
        return self.host in ("localhost", "::1", "[::1]") or self.host.startswith("127.")


def command_words(container: Container, image: ContainerImage | None) -> list[str]:
    """The command line a container starts in the end, variables replaced: the last line where it is a shell
    script; runners such as `uv run` left out. Empty where it cannot be told."""
    start = image.start if image is not None else start_of(container)
    words, script = list(start.words), start.script
    if image is not None and words and script is None and words[0].startswith("/"):
        written = image.text_of(words[0])
        script = written[0] if written is not None and SHELL_SCRIPT.match(written[0]) else None
    if script is not None:
        try:
            words = [word for word in shlex.split(script.strip().rpartition("\n")[2]) if word != "$@"]
        except ValueError:
            return []
        if any(word in ("&&", "||", ";", "|", "&") for word in words):
            cut = max(index for index, word in enumerate(words) if word in ("&&", "||", ";", "|", "&"))
            words = words[cut + 1 :]
        words = [re.sub(VARIABLE, lambda match: _value(container, image, match), word) for word in words]
    words = words[1:] if words[:1] == ["exec"] else words
    for runner in RUNNERS:
        if tuple(words[: len(runner)]) == runner:
            words = words[len(runner) :]
    return words


VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})")


def _value(container: Container, image: ContainerImage | None, match: re.Match[str]) -> str:
    name = match[1] or match[2]
    value = variable(container, image, name)
    return value if value else match[3] if match[3] is not None else match[0]


def variable(container: Container, image: ContainerImage | None, name: str) -> str:
    """A variable as the container starts, as far as manifest and Dockerfile say; else empty."""
    if image is not None:
        return image.variable(name)
    offered = container.env.get(name)
    return (offered.value or "") if offered is not None else ""


def server_command(container: Container, image: ContainerImage | None) -> ServerCommand | None:
    """The server a container starts; None where it is none that is known."""
    words = command_words(container, image)
    if not words:
        return None
    program, rest = posixpath.basename(words[0]), words[1:]
    if re.fullmatch(r"python[\d.]*", program):
        while rest and rest[0].startswith("-") and rest[0] != "-m":
            rest = rest[2:] if rest[0] in ("-X", "-W") else rest[1:]
        if len(rest) > 1 and rest[0] == "-m":
            program, rest = rest[1], rest[2:]
        elif rest:
            program, rest = posixpath.basename(rest[0]), rest[1:]
    program = "django" if program in ("manage.py", "django-admin") else program
    for name in (*((program, word) for word in rest if not word.startswith("-")), (program,)):
        server = SERVERS.get(name)
        if server is not None:
            more = variable(container, image, server.options_variable) if server.options_variable else ""
            return ServerCommand(name=" ".join(name), server=server, words=(*_split(more), *rest))
    return None


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []


@fact
def server_commands(model: Model) -> dict[Container, ServerCommand]:
    """The server of each container that starts one."""
    images = container_images(model)
    found = {container: server_command(container, images.get(container)) for container in model.containers}
    return {container: command for container, command in found.items() if command is not None}


@fact
def servers_listening(model: Model) -> dict[Container, Listening]:
    """Where the server of each container listens, where that can be told."""
    images = container_images(model)
    found = {
        container: _listening(container, images.get(container), command)
        for container, command in server_commands(model).items()
        if container.role != "init"
    }
    return {container: listening for container, listening in found.items() if listening is not None}


def _listening(
    container: Container, image: ContainerImage | None, command: ServerCommand
) -> Listening | None:
    server = command.server
    if server.port is None or any(command.option([name]) is not None for name in server.elsewhere):
        return None
    host, port = command.option(server.hosts), command.option(server.ports)
    bind = command.option(server.binds)
    if host is not None and (not host or host.startswith("-")):
        host = EVERY
    if command.name == "http.server":
        port = next((word for word in command.words if word.isdigit()), None)
    if command.name == "django runserver":
        bind = next((word for word in command.words[1:] if re.fullmatch(rf"(\S+:)?{PORT}", word)), None)
    given_host, given_port = host is not None or bind is not None, port is not None or bind is not None
    if bind is None and not (given_host and given_port):
        configured = _configured(image, command)
        if configured is None:
            return None
        bind = configured or (f"{EVERY}:{_port_of(container, image)}" if _port_of(container, image) else None)
        if bind is None and image is None and (server.config_file or not container.env_is_known):
            return None
    if bind is not None:
        match = re.fullmatch(rf"(?:(.*):)?{PORT}", bind)
        if match is None:
            return None
        # Django takes a bare port as one of 127.0.0.1, and 0 for every address
        given_host = match[1] is not None
        host = {None: server.host, "0": EVERY}.get(match[1], match[1])
        port = match[2]
    host = host or variable(container, image, server.host_variable) or server.host
    port = port or variable(container, image, server.port_variable) or str(server.port)
    if not port.isdigit() or "$" in host:
        return None
    return Listening(command=command, host=host, port=int(port), host_given=given_host, port_given=given_port)


def _port_of(container: Container, image: ContainerImage | None) -> str:
    """gunicorn alone listens on every address where PORT is set."""
    command = server_command(container, image)
    return variable(container, image, "PORT") if command is not None and command.name == "gunicorn" else ""


def _configured(image: ContainerImage | None, command: ServerCommand) -> str | None:
    """What a configuration file binds to: empty where there is none, None where it cannot be read."""
    named = command.option(command.server.config)
    path = named or command.server.config_file
    if not path:
        return ""
    written = (
        image.text_of(posixpath.normpath(posixpath.join(image.workdir, path))) if image is not None else None
    )
    if written is None:
        return None if named else ""
    if not command.server.binds:
        return None
    try:
        if path.endswith(".toml"):
            bind: object = tomllib.loads(written[0]).get("bind", "")
        else:
            bind = next(
                (
                    ast.literal_eval(node.value)
                    for node in ast.parse(written[0]).body
                    if isinstance(node, ast.Assign)
                    and any(isinstance(target, ast.Name) and target.id == "bind" for target in node.targets)
                ),
                "",
            )
    except (ValueError, SyntaxError):
        return None
    bind = bind[0] if isinstance(bind, list) and len(bind) == 1 else bind
    return bind if isinstance(bind, str) else None
