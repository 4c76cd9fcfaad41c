"""What the checked repository's own code says: settings, routes, topics, and who provides a module.

The names a repository declares in `[tool.preflight.containers.<name>]` of its pyproject.toml are imported in
a subprocess (`repository.probe`), in that repository's interpreter, with a timeout; never in this process.
One subprocess serves a whole run, and a question to it costs well under a millisecond once the names are
imported. Nothing is remembered between runs.

    with Apps(root, config.containers) as apps:     # starts importing, while kustomize renders
        app = apps.get("indexer")                   # None for a container that is not declared
        app.settings, app.topics                    # None when not declared
        app.check(values, unknown, open_ended)      # what the settings type says to an environment
        app.routes([Request(path="/readyz")])       # how it answers the kubelet
        app.providers(["yaml"])                     # module -> distributions
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType

import msgspec

from preflight.repository.config import ContainerConfig
from preflight.repository.probe_process import SECONDS, Process


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One environment variable of a settings type."""

    name: str
    kind: str
    """int, float, bool, str, enum, or other."""
    type: str
    """What a value must look like, in words: `a whole number from 1 to 65535`, `one of DEBUG, INFO`."""
    required: bool
    default: str | None = None
    """As it would be written in an environment; None when there is none, or it is secret."""
    secret: bool = False
    aliases: tuple[str, ...] = ()
    is_address: bool = False
    """Declared an address by its type or its name: ..._URL, ..._SERVERS, ..._HOST, ..._ADDR."""
    choices: tuple[str, ...] = ()
    any_case: bool = False
    """Whether the app reads the name whatever its case."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name the app reads it by, the preferred one first."""
        return (self.name, *self.aliases)


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic an app declares; `writers` and `readers` as far as the declaration names them."""

    name: str
    writers: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong between variables that are each right."""

    message: str
    variables: tuple[str, ...]
    """The variables the message names, in its order."""
    certain: bool
    """False when a value that cannot be seen here (a Secret made elsewhere) could put it right."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a settings type says to one container's environment. No text holds a secret's value."""

    wrong: dict[str, str] = {}
    """Variable as it was offered → what is wrong with its value: `got 'x', wants a whole number`."""
    missing: tuple[str, ...] = ()
    """Required variables that are not offered, or are empty, under every one of their names."""
    conflicts: tuple[Conflict, ...] = ()
    """Only when nothing is wrong or missing."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A GET of the kubelet's: `headers` are those that the probe names."""

    path: str
    port: int = 80
    headers: tuple[tuple[str, str], ...] = ()


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How an app answers the kubelet's GET, redirects on the same host followed."""

    status: int | None
    """None: no answer within five seconds."""
    location: str | None = None
    """Where it was redirected last, as a whole URL."""
    stays: bool = False
    """Whether that is the pod's own address still: by https, or once too often."""
    starts: bool = False
    """Whether the app does something as it starts, which may add routes."""

    @property
    def fails(self) -> bool:
        """Whether the kubelet takes it for a failure that time does not mend: 400 to 499, or a redirect to
        https of the pod itself. One to another host is a success for the kubelet."""
        if self.status is not None and 300 <= self.status < 400:
            return self.stays
        return self.status is not None and 400 <= self.status < 500


class AppKnowledge:
    """What is known of one declared container's application."""

    def __init__(self, container: str, config: ContainerConfig, process: Process) -> None:
        self.container = container
        self.config = config
        self._process = process

    @cached_property
    def settings(self) -> tuple[Variable, ...] | None:
        """The variables it reads; None when no settings type is declared."""
        told = self._process.declared()[self.container]["settings"]
        return None if told is None else msgspec.convert(told, tuple[Variable, ...])

    @cached_property
    def topics(self) -> tuple[Topic, ...] | None:
        """Its topics; None when none are declared."""
        told = self._process.declared()[self.container]["topics"]
        return None if told is None else msgspec.convert(told, tuple[Topic, ...])

    def variable(self, name: str) -> Variable | None:
        """The variable read by this name, aliases included."""
        found = self._by_name.get(name)
        if found is None and (other := self._by_name.get(name.upper())) is not None and other.any_case:
            return other
        return found

    @cached_property
    def _by_name(self) -> dict[str, Variable]:
        return {name: variable for variable in reversed(self.settings or ()) for name in variable.names}

    def check(
        self, values: Mapping[str, str], unknown: Iterable[str] = (), open_ended: bool = False
    ) -> Checked:
        """What the settings type says to an environment; nothing when none is declared. `unknown` are
        variables offered with a value that cannot be seen here; `open_ended` says that others may be
        offered too (a Secret taken whole that is made elsewhere)."""
        if self.settings is None:
            return Checked()
        asked = {
            "container": self.container,
            "values": dict(values),
            "unknown": list(unknown),
            "open": open_ended,
        }
        return msgspec.convert(self._process.ask(environments=[asked])["environments"][0], Checked)

    def routes(self, requests: Sequence[Request]) -> list[Route]:
        """How it answers each request; nothing when no ASGI app is declared."""
        if self.config.app is None:
            return []
        asked = [msgspec.to_builtins(request) for request in requests]
        answers = self._process.ask(routes={self.container: asked})["routes"][self.container]
        return msgspec.convert(answers, list[Route])

    def providers(self, modules: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Top-level module → canonical names of the installed distributions that provide it."""
        return msgspec.convert(
            self._process.ask(modules=list(modules))["modules"], dict[str, tuple[str, ...]]
        )

    def closure(self, distributions: Iterable[str]) -> frozenset[str]:
        """These distributions with all they require, as far as they are installed."""
        return frozenset(self._process.ask(modules=[], installed=sorted(distributions))["closure"])


class Apps:
    """The declared apps of one repository, by container name; a context manager, see the module.

    Every method raises `CheckError` with one line when a declared name cannot be used.
    """

    def __init__(
        self, root: Path, containers: Mapping[str, ContainerConfig], seconds: float = SECONDS
    ) -> None:
        self._process = Process(root, containers, seconds)
        self.known = {name: AppKnowledge(name, config, self._process) for name, config in containers.items()}

    def __enter__(self) -> Apps:
        if self.known:
            self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()

    def get(self, container: str) -> AppKnowledge | None:
        """What is known of the container of this name; None when it is not declared."""
        return self.known.get(container)

    def load(self) -> None:
        """Wait until every declared name is imported, so that a failure is known at once."""
        if self.known:
            self._process.declared()
