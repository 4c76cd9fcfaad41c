"""The overlays of this repository and the objects they render to."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

ROOT = Path(__file__).parents[2]

OVERLAYS = sorted(path.parent.name for path in ROOT.glob("overlays/*/kustomization.yaml"))
"""Names of the folders in overlays/."""

WORKERS = ("indexer", "resonance", "reteller", "gateway")


class Meta(msgspec.Struct):
    """An object's metadata, as far as tests look at it."""

    name: str
    namespace: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Reference(msgspec.Struct):
    """The name of a ConfigMap or Secret."""

    name: str
    optional: bool = False


class EnvFrom(msgspec.Struct, rename="camel"):
    """One source of a container's environment."""

    config_map_ref: Reference | None = None
    secret_ref: Reference | None = None


class Port(msgspec.Struct, rename="camel"):
    """A container's or a Service's port."""

    name: str
    container_port: int | None = None
    port: int | None = None
    target_port: str | int | None = None


class HttpGet(msgspec.Struct):
    """What an HTTP probe asks for."""

    path: str
    port: str | int


class Probe(msgspec.Struct, rename="camel"):
    """A probe; seconds."""

    http_get: HttpGet | None = None
    tcp_socket: dict[str, str | int] | None = None
    period_seconds: int = 10
    failure_threshold: int = 3


class Container(msgspec.Struct, rename="camel"):
    """A container of a pod."""

    name: str
    image: str
    startup_probe: Probe
    readiness_probe: Probe
    liveness_probe: Probe
    ports: list[Port]
    resources: dict[str, dict[str, str]]
    args: list[str] = []
    env: list[dict[str, Any]] = []
    env_from: list[EnvFrom] = []


class PodSpec(msgspec.Struct, rename="camel"):
    """What a workload's pods are."""

    containers: list[Container]
    termination_grace_period_seconds: int


class PodTemplate(msgspec.Struct):
    """A workload's pod template."""

    metadata: Any
    spec: PodSpec


class WorkloadSpec(msgspec.Struct):
    """A Deployment's or StatefulSet's spec."""

    template: PodTemplate
    selector: dict[str, dict[str, str]]
    replicas: int = 1


class Object(msgspec.Struct):
    """Any object: its kind, its metadata, and all of it as it was rendered."""

    kind: str
    metadata: Meta
    whole: dict[str, Any]

    @property
    def workload(self) -> WorkloadSpec:
        """The spec of a Deployment or StatefulSet."""
        return msgspec.convert(self.whole["spec"], WorkloadSpec)

    @property
    def container(self) -> Container:
        """The one container of a workload's pods."""
        [container] = self.workload.template.spec.containers
        return container


@functools.cache
def render(kustomize: Path, overlay: str) -> str:
    """The overlay as one YAML stream."""
    done = subprocess.run(
        [kustomize, "build", ROOT / "overlays" / overlay], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def objects(kustomize: Path, overlay: str, kind: str | None = None) -> list[Object]:
    """The overlay's objects, of one kind or of all."""
    return [found for found in parse(render(kustomize, overlay)) if kind in (None, found.kind)]


def parse(stream: str) -> Iterator[Object]:
    """The objects of a YAML stream."""
    for whole in yaml.safe_load_all(stream):
        meta = msgspec.convert(whole["metadata"], Meta)
        yield Object(kind=whole["kind"], metadata=meta, whole=whole)


def deployment(kustomize: Path, overlay: str, name: str) -> Object:
    """The Deployment of that name."""
    return next(o for o in objects(kustomize, overlay, "Deployment") if o.metadata.name == name)


def environment(kustomize: Path, overlay: str, container: Container) -> dict[str, str]:
    """What the container's ConfigMaps give it; Secrets are not in a render."""
    maps = {o.metadata.name: o.whole["data"] for o in objects(kustomize, overlay, "ConfigMap")}
    taken: dict[str, str] = {}
    for source in container.env_from:
        if source.config_map_ref:
            taken |= maps[source.config_map_ref.name]
    return taken
