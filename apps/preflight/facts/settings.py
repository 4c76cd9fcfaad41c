"""What the app in a container reads of the environment the container would start with."""

from __future__ import annotations

import re
from functools import cached_property

import msgspec

from preflight.cluster.environment import EnvVar
from preflight.cluster.objects import Field, Located
from preflight.cluster.workloads import Container
from preflight.documents.paths import Step, dig, list_at
from preflight.facts.pods import Start, starts
from preflight.findings import Place
from preflight.model import Model, fact
from preflight.repository.app import Answer, AppKnowledge, Apps, Problem, Request, Route, Topic, Variable

TOPIC_PREFIX = re.compile(r"(\w+_)?TOPIC_PREFIX")
"""Variables whose value an app puts before the names of its topics and groups."""


class ContainerSettings(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A container whose settings type could be asked, and what it says to the container's environment."""

    container: Container
    app: AppKnowledge
    start: Start
    answer: Answer

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What the settings type reads."""
        return self.answer.variables

    @cached_property
    def topics(self) -> tuple[Topic, ...]:
        """The topics its app declares, by the names they have on the broker."""
        declared = self.app.topics(self.start.pod)
        return tuple(msgspec.structs.replace(one, name=self.topic_prefix + one.name) for one in declared)

    @property
    def topic_prefix(self) -> str:
        """What it puts before the names of topics and groups."""
        names = (each.name for each in self.variables if TOPIC_PREFIX.fullmatch(each.name))
        return next((self.value(name) or "" for name in names), "")

    def variable(self, name: str) -> Variable | None:
        """The variable read by this name, aliases included."""
        if name not in self._by_name:
            self._by_name[name] = self.answer.variable(name)
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Variable | None]:
        return {}

    def offered(self, variable: Variable) -> list[EnvVar]:
        """Every name the variable is offered by, with a value or one that cannot be seen here; the name that
        counts first."""
        found = [
            each
            for name, each in self.container.env.items()
            if self.variable(name) == variable and (each.value is None or each.value.strip())
        ]
        return sorted(found, key=lambda each: each.name in self.answer.unread)

    def written(self, variable: Variable) -> Field:
        """Where what counts is written: the value, or the container's name where the default holds."""
        offered = self.offered(variable)
        return written_at(self.container, offered[0]) if offered else self.container.field("name")

    def value(self, variable: str) -> str | None:
        """What the app would use: the value offered, else the default; None where it cannot be seen."""
        known = self.variable(variable)
        if known is None:
            return None
        offered = self.offered(known)
        return offered[0].value if offered else known.default

    def reads(self, name: str) -> bool:
        """Whether a variable that the container is offered has any part in the settings."""
        return name not in self.answer.unread

    def requires(self, name: str) -> bool:
        """Whether a variable of this name is required and not offered."""
        return any(name in each.variables for each in self.problems("missing"))

    def problems(self, kind: str) -> list[Problem]:
        """What the type says to its environment, of one kind."""
        return [each for each in self.answer.problems if each.kind == kind]


@fact
def container_settings(model: Model) -> dict[Container, ContainerSettings]:
    """Those of each container of the render whose settings type is declared and could be asked."""
    found = {}
    for container, start in starts(model).items():
        app = model.app(container)
        answer = app.settings(start.pod) if app is not None else None
        if app is not None and answer is not None and answer.failed is None:
            found[container] = ContainerSettings(container=container, app=app, start=start, answer=answer)
    return found


def ask_ahead(model: Model, apps: Apps) -> None:
    """Begin to ask the apps of a model's containers, while other targets are rendered."""
    for container, start in starts(model).items():
        apps.ask_ahead(container.name, start.pod, list(requests(container).values()))


def topics(model: Model, container: Container) -> tuple[Topic, ...]:
    """The topics a container's app declares, by the names they have on the broker."""
    if (settings := container_settings(model).get(container)) is not None:
        return settings.topics
    app, start = model.app(container), starts(model).get(container)
    return app.topics(start.pod) if app is not None and start is not None else ()


def metrics(model: Model, container: Container) -> tuple[str, ...]:
    """The series a container's registry shows."""
    app, start = model.app(container), starts(model).get(container)
    return app.metrics(start.pod) if app is not None and start is not None else ()


def import_memory(model: Model, container: Container) -> int:
    """Bytes that importing a container's app takes at least; 0 where that is not known."""
    app, start = model.app(container), starts(model).get(container)
    asked = list(requests(container).values())
    return app.memory(start.pod, asked) if app is not None and start is not None else 0


def routes(model: Model, container: Container) -> dict[str, Route]:
    """How a container's app answers its HTTP probes, by probe; empty where it cannot be asked."""
    app, start = model.app(container), starts(model).get(container)
    asked = requests(container)
    found = app.routes(start.pod, list(asked.values())) if app is not None and start is not None else []
    return dict(zip(asked, found, strict=False))


def requests(container: Container) -> dict[str, Request]:
    """What the kubelet asks of a container, by probe; probes of another host and by https are left out."""
    found = {}
    for name, probe in container.probes.items():
        action = probe.get("httpGet")
        path = dig(action, "path", default="/")
        elsewhere = dig(action, "host") or dig(action, "scheme", default="HTTP") != "HTTP"
        if action and isinstance(path, str) and not elsewhere:
            headers = [
                (str(dig(item, "name")), str(dig(item, "value", default="")))
                for item in list_at(action, "httpHeaders")
            ]
            found[name] = Request(
                path=path if path.startswith("/") else f"/{path}",
                port=container.port(dig(action, "port")) or 80,
                headers=tuple(headers),
            )
    return found


class Written(Field):
    """A field whose value is written on another line than its own: in the env file of a generator, say."""

    def __init__(self, part: Located, path: tuple[Step, ...], place: Place) -> None:
        super().__init__(part, path, part.get(*path))
        self.place = place

    def where(self, *path: Step) -> Place:
        """The line of the value."""
        return self.place

    def at(self, place: Place) -> Written:
        """The same field, written on another line."""
        moved = Written(self.obj, self.path, place)
        moved.container_name = self.container_name
        return moved


def written_at(container: Container, offered: EnvVar) -> Written:
    """Where an offered value is written: the ConfigMap's entry, or the `env` item."""
    if offered.source is not None and not offered.missing:
        fields = ("stringData", "data", "binaryData")
        field = next((each for each in fields if offered.key in offered.source.mapping(each)), "data")
        return Written(offered.source, (field, offered.key), offered.place)
    return Written(container, (*offered.path[len(container.path) :], "value"), offered.place)


def asked(container: Container, name: str) -> Field:
    """Where a variable that is not offered is asked for: the `envFrom` item whose source has the names most
    like it, else the container's own `name`."""
    best, most = None, -1
    for item in container.env_from:
        keys = item.source.mapping("data") if item.source is not None else {}
        alike = max((_alike(item.prefix + key, name) for key in keys), default=0)
        if alike > most:
            best, most = item, alike
    return container.field(*best.path[len(container.path) :]) if best is not None else container.field("name")


def _alike(one: str, other: str) -> int:
    """How many letters two names begin with together."""
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
