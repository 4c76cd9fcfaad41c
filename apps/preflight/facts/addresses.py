"""Addresses in settings: what a container calls, and which Service of the render that is."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from ipaddress import ip_address

import msgspec

from preflight.cluster.environment import data_of
from preflight.cluster.objects import Field
from preflight.cluster.services import Service
from preflight.cluster.workloads import Container, Workload
from preflight.facts.images import ContainerImage, container_images
from preflight.facts.known_images import known
from preflight.facts.mounts import below, mounts, volume_files
from preflight.facts.settings import ContainerSettings, Written, container_settings, written_at
from preflight.facts.text_addresses import SYNTAXES, in_script
from preflight.findings import Outcome, Place
from preflight.model import Model, fact

PORTS = {
    "http": 80, "https": 443, "ws": 80, "wss": 443, "redis": 6379, "rediss": 6379, "postgres": 5432,
    "postgresql": 5432, "mysql": 3306, "mongodb": 27017, "amqp": 5672, "amqps": 5671, "nats": 4222,
    "kafka": 9092,
}  # fmt: skip
"""What a scheme means where an address names no port."""
NAMED = re.compile(r"(^|_)(URLS?|URI|SERVERS?|HOSTS?|ADDR|ADDRESS|BOOTSTRAP|BROKERS?|DSN|ENDPOINT)$", re.I)
"""Variables that are addresses by their name, where no settings type says so."""
EXEMPT = re.compile(
    r"VOTERS|LISTENER|ADVERTISED|QUORUM|CERT|TLS_|SSL_|SAN$|ALLOWED|CORS|BIND|LISTEN|NO_PROXY", re.I
)
"""Names that look like addresses and are none that the container calls."""
ADDRESS = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?:[^@/\s]*@)?"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?\.?)(?::(?P<port>\d{1,5}))?(?:[/?#].*)?",
    re.I,
)
LOCAL = ("localhost", "ip6-localhost", "::1")


class Address(msgspec.Struct, frozen=True):
    """One host of an address, in lower case, and its port as far as it is said or the scheme says it."""

    host: str
    port: int | None
    guessed: bool = False
    """Whether only the scheme says it."""

    @property
    def is_local(self) -> bool:
        """Whether it is the pod itself."""
        return self.host in LOCAL or self.host.startswith("127.")

    @property
    def is_numeric(self) -> bool:
        """Whether the host is an IP address."""
        try:
            return bool(ip_address(self.host))
        except ValueError:
            return False

    @property
    def is_of_cluster(self) -> bool:
        """Whether the host can only be a name of the cluster's own: a single label, or `.svc` in it."""
        labels = self.host.rstrip(".").split(".")
        return not self.is_local and not self.is_numeric and (len(labels) == 1 or "svc" in labels[1:])


def parse(value: str) -> list[Address]:
    """The addresses of a value: URLs or `host[:port]`, separated by commas; none where it is neither."""
    found = []
    for part in value.split(","):
        match = ADDRESS.fullmatch(part.strip())
        if match is None:
            return []
        port = int(match["port"]) if match["port"] else PORTS.get((match["scheme"] or "").lower())
        found.append(Address(match["host"].strip("[]").lower(), port, guessed=not match["port"]))
    return found


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """An address a container is told to call."""

    container: Container
    variable: str
    address: Address
    service: Service | None
    """The Service of the render it means."""
    known: bool = False
    """Whether the settings type of the container declares it an address."""
    required: bool = False
    offered: bool = True
    """False: it is the setting's default, which nothing overrides."""
    written: Field
    """Where the address is written (the container's `name` for a default)."""
    unresolved: Outcome | None = None
    """What surely comes of a name that does not resolve."""

    @property
    def outcome(self) -> Outcome:
        """What comes of it that nobody answers: an app that cannot do without is never ready, one that can
        works without; of an app whose settings are not known only the silence is certain. A pod whose init
        container waits for an answer is never ready."""
        if self.container.role == "init":
            return "never ready"
        if self.unresolved is not None:
            return "ready but unreachable"
        if self.known and not self.required:
            return "ready but unreachable"
        ready = "readinessProbe" in self.container.probes or "startupProbe" in self.container.probes
        return "never ready" if self.known and ready else "ready but silent"


@fact
def calls(model: Model) -> list[Call]:
    """Every address the containers of the render are told to call, in their order."""
    declared = container_settings(model)
    found: list[Call] = []
    for container in model.containers:
        settings = declared.get(container)
        found += _declared(model, settings) if settings is not None else _by_name(model, container)
        found += _in_scripts(model, container)
        found += _in_files(model, container)
    return found


def _in_scripts(model: Model, container: Container) -> Iterator[Call]:
    """The hosts that the words of a container's command ask, each once."""
    said = set()
    for field in ("command", "args"):
        words = [str(word) for word in container.items(field)]
        # a tool and its arguments may be items of their own
        texts = (
            [*enumerate(words), (0, " ".join(words))]
            if all(" " not in word for word in words)
            else [*enumerate(words)]
        )
        for index, text in texts:
            for found in in_script(text):
                address = Address(found.host.lower(), found.port, found.guessed)
                if address not in said and not address.is_numeric:
                    said.add(address)
                    yield Call(
                        container=container,
                        variable=found.words[:80],
                        address=address,
                        service=service_of(model, address.host, container.obj.namespace),
                        required=container.role == "init",
                        written=container.field(field, index),
                        unresolved="never ready" if container.role == "init" else None,
                    )


def _in_files(model: Model, container: Container) -> Iterator[Call]:
    """The hosts in the files of a proxy that looks all of them up as it starts."""
    image = container_images(model).get(container)
    proxy = known(image.stage.base if image is not None else container.image)
    syntax = SYNTAXES.get(proxy.looks_up)
    for text, written in _files(model, container, image, proxy.files) if syntax is not None else ():
        for found in syntax(text) if syntax is not None else ():
            address = Address(found.host.lower(), found.port)
            yield Call(
                container=container,
                variable=" ".join(found.words.split())[:80],
                address=address,
                service=service_of(model, address.host, container.obj.namespace),
                required=True,
                written=written.at(_line_of(model, written.place, found.words)),
                unresolved="CrashLoopBackOff",
            )


def _files(
    model: Model, container: Container, image: ContainerImage | None, folder: str
) -> Iterator[tuple[str, Written]]:
    """The files below a folder: those of ConfigMaps, and those that the Dockerfile copies there."""
    hidden = []
    for mount in mounts(container):
        if below(mount.folder, folder):
            hidden.append(mount.folder)
            files, _ = volume_files(model, container.workload, mount.volume)
            for name, (source, key) in files.items():
                if source.kind == "ConfigMap" and mount.item.get("subPath") in (None, name):
                    yield data_of(source)[key], Written(source, ("data", key), source.where("data", key))
    for copy in image.stage.copies if image is not None else ():
        inside = copy.source_stage is None and below(copy.target.rstrip("/"), folder)
        for given in copy.sources if inside else ():
            path = model.root / given.lstrip("/")
            target = posixpath.join(copy.target, path.name) if copy.target.endswith("/") else copy.target
            readable = path.is_file() and path.stat().st_size < 100_000
            if readable and not any(below(target, each) for each in hidden):
                place = Place(path.relative_to(model.root).as_posix(), 1)
                yield path.read_text("utf-8", "replace"), Written(container, ("image",), place)


def _line_of(model: Model, start: Place, words: str) -> Place:
    """The line of a file, from `start` on, that holds words; `start` where none does."""
    first = words.strip().partition("\n")[0]
    try:
        lines = (model.root / start.file).read_text("utf-8", "replace").splitlines()
    except OSError:
        return start
    found = (number for number, line in enumerate(lines, 1) if number >= start.line and first in line)
    return Place(start.file, next(found, start.line))


def _declared(model: Model, settings: ContainerSettings) -> Iterator[Call]:
    for variable in settings.variables:
        if not variable.is_address or EXEMPT.search(variable.name):
            continue
        offered = settings.offered(variable)
        value = offered[0].value if offered else variable.default
        for address in parse(value or ""):
            yield Call(
                container=settings.container,
                variable=offered[0].name if offered else variable.name,
                address=address,
                service=service_of(model, address.host, settings.container.obj.namespace),
                known=True,
                required=variable.required,
                offered=bool(offered),
                written=settings.written(variable),
            )


def _by_name(model: Model, container: Container) -> Iterator[Call]:
    for name, each in container.env.items():
        if not NAMED.search(name) or EXEMPT.search(name) or not each.value:
            continue
        port_apart = f"{NAMED.sub('', name)}_PORT" in container.env
        for address in parse(each.value):
            if address.guessed and port_apart:
                address = Address(address.host, None)
            yield Call(
                container=container,
                variable=name,
                address=address,
                service=service_of(model, address.host, container.obj.namespace),
                written=written_at(container, each),
            )


def service_of(model: Model, host: str, namespace: str) -> Service | None:
    """The Service a host name means, the names of single pods of a StatefulSet included."""
    pod = pod_of(model, host, namespace)
    return model.service_at(host if pod is None else host.partition(".")[2], namespace)


def pod_of(model: Model, host: str, namespace: str) -> Workload | None:
    """The StatefulSet whose single pod a host name means."""
    label, _, rest = host.rstrip(".").partition(".")
    if not rest or model.service_at(host, namespace) is not None:
        return None
    return next((w for w in model.workloads if _is_pod_of(label, w.name) and w.kind == "StatefulSet"), None)


def _is_pod_of(label: str, workload: str) -> bool:
    return re.fullmatch(rf"{re.escape(workload)}-\d+", label) is not None


def listening(model: Model, container: Container) -> dict[int, str]:
    """The ports a known app listens on, each with the setting that says so; empty where it cannot be told."""
    settings = container_settings(model).get(container)
    found = {}
    for variable in settings.variables if settings is not None else ():
        if settings is not None and variable.kind == "int" and OWN_PORT.fullmatch(variable.name):
            value = settings.value(variable.name)
            if value is None or not value.strip().isdigit():
                return {}
            found[int(value)] = variable.name
    return found


OWN_PORT = re.compile(
    r"(\w+_)?(ADMIN|API|APP|BIND|HEALTH|HTTP|LISTEN|METRICS|PROBE|SERVER|UVICORN|WEB)_PORT|PORT", re.I
)
"""Settings that are ports of the app itself, and not of what it calls."""
