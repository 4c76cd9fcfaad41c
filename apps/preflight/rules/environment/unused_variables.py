"""Variables that are offered and that nothing reads, and those that set what nobody meant to set."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from preflight.cluster.objects import Obj
from preflight.cluster.services import Service
from preflight.cluster.workloads import Container
from preflight.documents.paths import dig, list_at, walk
from preflight.facts.existence import is_custom
from preflight.facts.misspelt_keys import slips
from preflight.facts.settings import ContainerSettings, container_settings, listed
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import near

AMBIENT = re.compile(
    r"(PATH|HOME|HOSTNAME|USER|SHELL|TERM|TZ|TMPDIR|LANG|LANGUAGE|LC_\w+|NO_COLOR|FORCE_COLOR|COLUMNS|DEBUG"
    r"|(HTTPS?|NO|ALL|FTP)_PROXY|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|WEB_CONCURRENCY"
    r"|(AWS|ASPNETCORE|AZURE|CATALINA|CUDA|DD|DOTNET|GCP|GOOGLE|GRPC|GUNICORN|HF|HYPERCORN|JAVA|JDK|JVM"
    r"|KUBERNETES|LD|MALLOC|MKL|NEW_RELIC|NODE|NPM|NUMEXPR|NVIDIA|OMP|ONNX|OPENBLAS|ORT|OTEL|POD|RUBY|RUST"
    r"|SENTRY|SPRING|TOKENIZERS|UVICORN)_\w+|(PYTHON|GO)\w+)",
    re.I,
)
"""Variables that an interpreter, a library or the platform reads behind the app's back."""


@rule("variable-unread", family="environment", severity="warning", outcome="applies nothing")
def variable_unread(model: Model) -> Iterator[Violation]:
    """A ConfigMap key that nothing in the containers that take it reads, or a setting's name misspelt.

    Whoever changes it changes nothing. A key is reported when every container that takes it has a known
    settings type and none of them reads it, aliases included; what interpreters and libraries read
    (PYTHONPATH, HTTPS_PROXY, OTEL_…) is left alone. It is an error where a setting that is not set otherwise
    has nearly that name. Of `env` items only such slips are reported.

        RESONANCE_LOGLEVEL=DEBUG       # resonance reads RESONANCE_LOG_LEVEL
    """
    known = container_settings(model)
    takers: dict[tuple[str, str, str], list[tuple[Container, str]]] = defaultdict(list)
    for container in model.containers:
        for each in container.offers:
            if each.source is not None and each.source.kind == "ConfigMap" and not each.missing:
                source = each.source
                takers[(source.namespace, source.name, each.key)].append((container, each.name))
    elsewhere = _named_elsewhere(model)
    for config in model.objects_of("ConfigMap"):
        for key in config.mapping("data") if config.name not in elsewhere else ():
            taken = takers.get((config.namespace, config.name, key), [])
            dead = [known[c] for c, name in taken if c in known and not _reads(known[c], name)]
            misspelt = config.where("data", key) in slips(model)  # merged-key-misspelt says it
            if taken and len(dead) == len(taken) and not misspelt:
                yield _unread(config, ("data", key), taken[0][1], dead)
    for settings in known.values():
        for each in settings.container.offers:
            in_env = each.path[len(settings.container.path) :][0] == "env"
            if in_env and not _reads(settings, each.name) and _slip(each.name, [settings]):
                yield _unread(settings.container, ("env", each.path[-1], "name"), each.name, [settings])


def _unread(
    part: Obj | Container, path: tuple[str | int, ...], name: str, readers: list[ContainerSettings]
) -> Violation:
    meant = _slip(name, readers)
    who = listed(settings.container.name for settings in readers)
    required = any(meant in settings.checked.missing for settings in readers)
    return at(
        part,
        *path,
        message=f"{name}: read by nothing in {who}" + (f"; did you mean {meant}?" if meant else ""),
        fix=f"rename it to {meant}" if meant else "remove it, or declare it in the settings type",
        severity="error" if meant else "warning",
        outcome="CrashLoopBackOff" if required else None,
    )


def _slip(name: str, readers: Iterable[ContainerSettings]) -> str | None:
    """The setting of nearly that name that is not offered otherwise."""
    names = [
        each
        for settings in readers
        for variable in settings.variables
        if not settings.offered(variable)
        for each in variable.names
    ]
    return near(name, names)


def _reads(settings: ContainerSettings, name: str) -> bool:
    container = settings.container
    if settings.variable(name) is not None or AMBIENT.fullmatch(name):
        return True
    mentioned = re.compile(rf"\$[({{]?{re.escape(name)}\b")
    texts = (*container.command, *container.args, *(each.raw or "" for each in container.offers))
    probes = (str(value) for probe in container.probes.values() for _, value in walk(probe))
    return any(mentioned.search(text) for text in (*texts, *probes))


def _named_elsewhere(model: Model) -> set[str]:
    """ConfigMaps that are mounted as files, or that something other than a pod names."""
    named = set()
    for workload in model.workloads:
        for volume in workload.volumes:
            sources = [volume, *list_at(volume, "projected", "sources")]
            named |= {str(dig(source, "configMap", "name")) for source in sources}
    for obj in model.objects:
        if is_custom(obj):
            named |= {value for _, value in walk(obj.doc) if isinstance(value, str)}
    return named


@rule("service-link-sets-setting", family="environment", severity="error", outcome="CrashLoopBackOff")
def service_link_sets_setting(model: Model) -> Iterator[Violation]:
    """A variable that Kubernetes adds for a Service and that the app takes for a setting of its own.

    Unless the pod says `enableServiceLinks: false`, each Service of its namespace adds variables: one called
    `health` adds HEALTH_PORT=tcp://10.96.12.7:8080, which is no port number. Reported where the app reads a
    name like that, nothing else sets it, and the type refuses such a value.

        kind: Service
        metadata:
          name: health                 # and the app reads HEALTH_PORT
    """
    for settings in container_settings(model).values():
        workload = settings.container.workload
        if workload.get("enableServiceLinks") is False:
            continue
        links = {
            name: (value, service)
            for service in model.services
            if service.namespace == workload.namespace and not service.headless
            for name, value in _links(service)
        }
        for variable in settings.variables:
            name = next((each for each in variable.names if each in links), None)
            if name is None or settings.offered(variable):
                continue
            value, service = links[name]
            if name in settings.app.check({**settings.values, name: value}).wrong:
                yield at(
                    settings.container,
                    "name",
                    message=f"{name} is set to {value} because there is a Service {service.name}; "
                    f"the app wants {variable.type}",
                    fix="say enableServiceLinks: false in the pod",
                )


def _links(service: Service) -> Iterator[tuple[str, str]]:
    """The variables a Service adds to the pods of its namespace; the address stands for any."""
    prefix = service.name.upper().replace("-", "_")
    numbers = [port["port"] for port in service.ports if isinstance(port.get("port"), int)]
    if not numbers or service.obj.get("spec", "type") == "ExternalName":
        return
    yield f"{prefix}_SERVICE_HOST", "10.96.0.10"
    yield f"{prefix}_SERVICE_PORT", str(numbers[0])
    yield f"{prefix}_PORT", f"tcp://10.96.0.10:{numbers[0]}"
    for port in service.ports:
        number, protocol = port.get("port"), str(port.get("protocol", "TCP"))
        if "name" in port:
            yield f"{prefix}_SERVICE_PORT_{str(port['name']).upper().replace('-', '_')}", str(number)
        yield f"{prefix}_PORT_{number}_{protocol}", f"{protocol.lower()}://10.96.0.10:{number}"
