"""What the app in a container reads of the environment the container would start with."""

from __future__ import annotations

import msgspec

from preflight.cluster.environment import EnvVar
from preflight.cluster.objects import Located
from preflight.cluster.workloads import Container
from preflight.documents.paths import Step
from preflight.model import Model, fact
from preflight.repository.app import AppKnowledge, Checked, Variable


class ContainerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A container whose settings type is known, and what the type says to its environment."""

    container: Container
    app: AppKnowledge
    variables: tuple[Variable, ...]
    values: dict[str, str]
    """What is offered and can be seen here, empty values included."""
    checked: Checked

    def offered(self, variable: Variable) -> list[EnvVar]:
        """Every name the variable is offered by, with a value or one that cannot be seen here."""
        found = []
        for name, each in self.container.env.items():
            if self.app.variable(name) == variable and (each.value is None or each.value.strip()):
                found.append(each)
        return found

    def value(self, variable: str) -> str | None:
        """What the app would use: the value offered, else the default; None where it cannot be seen."""
        known = self.app.variable(variable)
        if known is None:
            return None
        offered = self.offered(known)
        return offered[0].value if offered else known.default


@fact
def container_settings(model: Model) -> dict[Container, ContainerSettings]:
    """Those of each container of the render whose settings type is declared."""
    found = {}
    for container in model.containers:
        app = model.app(container)
        if app is None or app.settings is None:
            continue
        values = {name: each.value for name, each in container.env.items() if each.value is not None}
        found[container] = ContainerSettings(
            container=container,
            app=app,
            variables=app.settings,
            values=values,
            checked=app.check(
                values,
                unknown=[name for name, each in container.env.items() if each.value is None],
                open_ended=not container.env_is_known,
            ),
        )
    return found


def written_at(container: Container, offered: EnvVar) -> tuple[Located, tuple[Step, ...]]:
    """The part and path where an offered value is written: the ConfigMap's entry, or the `env` item."""
    if offered.source is not None and not offered.missing:
        fields = ("stringData", "data", "binaryData")
        field = next((each for each in fields if offered.key in offered.source.mapping(each)), "data")
        return offered.source, (field, offered.key)
    return container, (*offered.path[len(container.path) :], "value")


def asked(container: Container, name: str) -> tuple[Step, ...]:
    """The path below a container where a variable that is not offered is asked for: the `envFrom` item whose
    source has the names most like it, else the container's own `name`."""
    best, most = None, -1
    for item in container.env_from:
        keys = item.source.mapping("data") if item.source is not None else {}
        alike = max((_alike(item.prefix + key, name) for key in keys), default=0)
        if alike > most:
            best, most = item, alike
    return best.path[len(container.path) :] if best is not None else ("name",)


def _alike(one: str, other: str) -> int:
    """How many letters two names begin with together."""
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
