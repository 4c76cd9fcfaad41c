"""Variables that are offered and that nothing reads, and those that set what nobody meant to set."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from preflight.cluster.objects import Field
from preflight.cluster.workloads import Container
from preflight.documents.paths import dig, list_at, walk
from preflight.facts.existence import is_custom
from preflight.facts.settings import ContainerSettings, container_settings
from preflight.model import Model, fact
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import hint, listed, near

ASIDE = {"node_modules", "site-packages", "build", "dist", "__pycache__"}
MOST_TEXTS = 200_000
QUOTED = re.compile(r"""["']([A-Za-z_][A-Za-z0-9_]*)["']""")
AMBIENT = re.compile(
    r"(PATH|HOME|HOSTNAME|USER|SHELL|TERM|TZ|TMPDIR|LANG|LANGUAGE|LC_\w+|NO_COLOR|FORCE_COLOR|COLUMNS|DEBUG"
    r"|(HTTPS?|NO|ALL|FTP)_PROXY|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|WEB_CONCURRENCY"
    r"|(AWS|ASPNETCORE|AZURE|CATALINA|CUDA|DD|DOTNET|GCP|GOOGLE|GRPC|GUNICORN|HF|HYPERCORN|JAVA|JDK|JVM"
    r"|KUBERNETES|LD|MALLOC|MKL|NEW_RELIC|NODE|NPM|NUMEXPR|NVIDIA|OMP|ONNX|OPENBLAS|ORT|OTEL|POD|RUBY|RUST"
    r"|SENTRY|SPRING|TOKENIZERS|UVICORN)_\w+|(PYTHON|GO)\w+)",
    re.I,
)
"""Variables that an interpreter, a library or the platform reads behind the app's back."""


@rule(
    "variable-unread",
    family="environment",
    severity="warning",
    outcome="applies nothing",
    unless=["env-file-as-one-key", "merged-key-misspelt"],
)
def variable_unread(model: Model) -> Iterator[Violation]:
    """A ConfigMap key that nothing in the containers that take it reads, or a setting's name misspelt.

    Whoever changes it changes nothing. A key is reported when the settings of every container that takes it
    could be made, and come out the same with another value and without it; when no code of the repository
    has its name; and where containers take the ConfigMap key by key, when none takes this one. What
    interpreters and libraries read (PYTHONPATH, HTTPS_PROXY, OTEL_…) is left alone. It is an error where a
    setting that is not set otherwise has nearly that name. Of `env` items only such slips are reported.

        RESONANCE_LOGLEVEL=DEBUG       # resonance reads RESONANCE_LOG_LEVEL
    """
    known = container_settings(model)
    takers: dict[tuple[str, str, str], list[tuple[Container, str]]] = defaultdict(list)
    by_key: dict[tuple[str, str], set[str]] = defaultdict(set)
    for container in model.containers:
        for each in container.offers:
            if each.source is not None and each.source.kind == "ConfigMap" and not each.missing:
                source = each.source
                takers[(source.namespace, source.name, each.key)].append((container, each.name))
                by_key[(source.namespace, source.name)].add(container.name)
    elsewhere = _named_elsewhere(model)
    for config in model.objects_of("ConfigMap"):
        for key in config.mapping("data") if config.name not in elsewhere else ():
            taken = takers.get((config.namespace, config.name, key), [])
            dead = [known[c] for c, name in taken if c in known and not _reads(model, known[c], name)]
            if taken and len(dead) == len(taken):
                yield _unread(config.field("data", key), taken[0][1], dead)
            elif (
                not taken
                and isinstance(config.get("data", key), str)
                and by_key[(config.namespace, config.name)]
                and not any(settings.variable(key) for settings in known.values())
                and not _is_mentioned(model, key)
            ):
                names = sorted(by_key[(config.namespace, config.name)])
                take = "take" if len(names) > 1 else "takes"
                yield at(
                    config.field("data", key),
                    message=f"{key} is taken by nothing: {listed(names)} {take} this ConfigMap key by key",
                    fix="remove it, or take it by a configMapKeyRef",
                )
    for settings in known.values():
        for each in settings.container.offers:
            in_env = each.path[-2] == "env"
            if in_env and _slip(each.name, [settings]) and not _reads(model, settings, each.name):
                yield _unread(settings.container.field("env", each.path[-1], "name"), each.name, [settings])


def _unread(field: Field, name: str, readers: list[ContainerSettings]) -> Violation:
    meant = _slip(name, readers)
    who = listed(settings.container.name for settings in readers)
    required = any(settings.requires(meant) for settings in readers if meant)
    return at(
        field,
        message=f"{name} is read by nothing in {who}{hint(meant)}",
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


def _reads(model: Model, settings: ContainerSettings, name: str) -> bool:
    container = settings.container
    # what is offered under two names is for aliases-disagree
    if settings.reads(name) or name in settings.answer.shadowed or AMBIENT.fullmatch(name):
        return True
    mentioned = re.compile(rf"\$[({{]?{re.escape(name)}\b")
    texts = (*container.command, *container.args, *(each.raw or "" for each in container.offers))
    probes = (str(value) for probe in container.probes.values() for _, value in walk(probe))
    return any(mentioned.search(text) for text in (*texts, *probes)) or _is_mentioned(model, name)


def _is_mentioned(model: Model, name: str) -> bool:
    """Whether the repository's code has the name as a text: it may read it beside its settings."""
    return name in _texts_of_code(model)


@fact
def _texts_of_code(model: Model) -> frozenset[str]:
    """The texts of the repository's Python code that could name a variable, its tests left out."""
    found: set[str] = set()
    for root in model.config.import_roots:
        for folder, names, files in os.walk(model.root / root):
            names[:] = [name for name in names if name not in ASIDE and not name.startswith((".", "test"))]
            for file in files:
                if file.endswith(".py") and not file.startswith(("test_", "conftest")):
                    with open(os.path.join(folder, file), encoding="utf-8", errors="replace") as source:
                        found |= set(QUOTED.findall(source.read()))
            if len(found) > MOST_TEXTS:
                break
    return frozenset(found)


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
    name like that and nothing else sets it: an error where the type refuses such a value, a warning where
    a port's name gets it.

        kind: Service
        metadata:
          name: health                 # and the app reads HEALTH_PORT
    """
    for settings in container_settings(model).values():
        refused = {name: each for each in settings.answer.problems for name in each.variables}
        for name, service in settings.start.links.items():
            variable = settings.variable(name)
            problem = refused.get(name)
            value = settings.start.pod.state[name]
            taken = variable is not None and settings.reads(name) and value.startswith("tcp://")
            if problem is not None or (taken and name.endswith("_PORT")):
                expected = (problem.expected if problem is not None else "") or "a value of its own"
                yield at(
                    settings.container.field("name"),
                    message=f"{name} is {value} because there is a Service {service.name}; "
                    f"{settings.container.name} expects {expected}",
                    fix="write enableServiceLinks: false in the pod, or set the variable",
                    severity=None if problem is not None else "warning",
                    outcome=None if problem is not None else "ready but unreachable",
                )
