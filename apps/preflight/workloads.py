"""Workloads, their pods' containers, and the environment each container would start with."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from preflight.findings import Place
from preflight.objects import Obj, dig, strings
from preflight.registry import Step

if TYPE_CHECKING:
    from preflight.model import Model

POD_TEMPLATE: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where each kind keeps its pod template."""

ContainerRole = Literal["main", "init", "sidecar"]
Origin = Literal["literal", "configmap", "secret", "fieldref", "resourcefieldref", "filekeyref"]


class EnvVar(msgspec.Struct, frozen=True, kw_only=True):
    """One variable a container is offered.

    `value` is None where the manifests cannot tell: a Secret made elsewhere, a field of the running pod.
    `missing` is True where the ConfigMap or Secret is in the render and lacks the key. Secret values are
    never to be printed: see `is_secret`.
    """

    name: str
    value: str | None
    origin: Origin
    optional: bool = False
    missing: bool = False
    place: Place
    """Where the value is written: the env item, the ConfigMap's entry, the generator's env file."""
    path: tuple[Step, ...]
    """Where the container asks for it: its `env` or `envFrom` item."""
    source: Obj | None = None
    """The ConfigMap or Secret it comes from, if the render holds it."""
    source_name: str = ""
    """That object's name as the container writes it."""
    key: str = ""
    """The key there."""
    raw: str | None = None
    """The value before `$(NAME)` was expanded."""
    unexpanded: tuple[str, ...] = ()
    """Names in `$(NAME)` that nothing before it sets: they stay in the value literally."""

    @property
    def is_secret(self) -> bool:
        """Whether the value comes from a Secret."""
        return self.origin == "secret"


class EnvFrom(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a container's `envFrom`."""

    kind: Literal["ConfigMap", "Secret"]
    name: str
    prefix: str
    optional: bool
    path: tuple[Step, ...]
    source: Obj | None
    """The object, if the render holds it."""


class Container:
    """One container of a workload's pod template."""

    def __init__(self, workload: Workload, role: ContainerRole, path: tuple[Step, ...]) -> None:
        self.workload = workload
        self.role = role
        self.path = path
        self.obj = workload.obj
        doc = workload.obj.get(*path)
        self.doc: dict[str, Any] = doc if isinstance(doc, dict) else {}
        name, image = self.doc.get("name"), self.doc.get("image")
        self.name = name if isinstance(name, str) else ""
        self.image = image if isinstance(image, str) else ""

    @property
    def container_name(self) -> str:
        """Its name; see `registry.Located`."""
        return self.name

    def get(self, *path: Step, default: Any = None) -> Any:
        """The value at `path` below the container."""
        return dig(self.doc, *path, default=default)

    def items(self, *path: Step) -> list[Any]:
        """The list at `path`, empty where there is none."""
        value = self.get(*path)
        return value if isinstance(value, list) else []

    def where(self, *path: Step) -> Place:
        """The source line of a field of the container; its `name:` line where the field is absent."""
        return self.obj.where(*self.path, *path)

    @property
    def command(self) -> list[str]:
        """`command:` as given, the image's ENTRYPOINT otherwise being used."""
        return [str(each) for each in self.items("command")]

    @property
    def args(self) -> list[str]:
        """`args:` as given."""
        return [str(each) for each in self.items("args")]

    @property
    def ports(self) -> list[dict[str, Any]]:
        """The `ports:` items that are mappings."""
        return [each for each in self.items("ports") if isinstance(each, dict)]

    def port(self, wanted: object) -> int | None:
        """The number of a port given by number or by name; None where the name is not declared."""
        if isinstance(wanted, int) and not isinstance(wanted, bool):
            return wanted
        for each in self.ports:
            number = each.get("containerPort")
            if isinstance(wanted, str) and each.get("name") == wanted and isinstance(number, int):
                return number
        return None

    @cached_property
    def probes(self) -> dict[str, dict[str, Any]]:
        """Its probes, by `startupProbe`, `readinessProbe`, `livenessProbe`."""
        names = ("startupProbe", "readinessProbe", "livenessProbe")
        return {name: probe for name in names if isinstance(probe := self.doc.get(name), dict)}

    @cached_property
    def env_from(self) -> list[EnvFrom]:
        """Its `envFrom` items, in order."""
        found = []
        for index, item in enumerate(self.items("envFrom")):
            for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                ref = dig(item, field)
                if isinstance(ref, dict):
                    name = str(ref.get("name") or "")
                    found.append(
                        EnvFrom(
                            kind="ConfigMap" if kind == "ConfigMap" else "Secret",
                            name=name,
                            prefix=str(dig(item, "prefix", default="")),
                            optional=ref.get("optional") is True,
                            path=(*self.path, "envFrom", index),
                            source=self.workload.model.find(kind, self.obj.namespace, name),
                        )
                    )
        return found

    @cached_property
    def offers(self) -> list[EnvVar]:
        """Every variable offered, in the kubelet's order: `envFrom` items, then `env`; later ones win."""
        return [*self._offers_of_sources(), *self._offers_of_items()]

    @cached_property
    def env(self) -> dict[str, EnvVar]:
        """The variables it would start with, as far as the render tells (service links are not in it)."""
        return {each.name: each for each in self.offers if not (each.missing and each.optional)}

    @property
    def env_is_known(self) -> bool:
        """Whether `env` names every variable: each `envFrom` source is in the render."""
        return all(each.source is not None for each in self.env_from)

    def _offers_of_sources(self) -> Iterator[EnvVar]:
        for each in self.env_from:
            if each.source is None:
                continue
            for key, value in data_of(each.source).items():
                yield EnvVar(
                    name=each.prefix + key,
                    value=value,
                    raw=value,
                    origin="configmap" if each.kind == "ConfigMap" else "secret",
                    optional=each.optional,
                    place=place_of_key(each.source, key),
                    path=each.path,
                    source=each.source,
                    source_name=each.name,
                    key=key,
                )

    def _offers_of_items(self) -> Iterator[EnvVar]:
        so_far = {each.name: each.value for each in self._offers_of_sources()}
        for index, item in enumerate(self.items("env")):
            name = dig(item, "name")
            if not isinstance(name, str):
                continue
            variable = self._item(name, item, (*self.path, "env", index), so_far)
            if not variable.missing:
                so_far[name] = variable.value
            yield variable

    def _item(
        self, name: str, item: dict[str, Any], path: tuple[Step, ...], so_far: dict[str, str | None]
    ) -> EnvVar:
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            ref = dig(item, "valueFrom", field)
            if isinstance(ref, dict):
                return self._keyed(name, kind, ref, path, field)
        for field in ("fieldRef", "resourceFieldRef", "fileKeyRef"):
            if dig(item, "valueFrom", field) is not None:
                origin: Origin = "fieldref" if field == "fieldRef" else "resourcefieldref"
                origin = "filekeyref" if field == "fileKeyRef" else origin
                place = self.obj.where(*path, "valueFrom", field)
                return EnvVar(name=name, value=None, origin=origin, place=place, path=path)
        raw = dig(item, "value", default="")
        raw = raw if isinstance(raw, str) else str(raw)
        value, unexpanded = expand(raw, so_far)
        return EnvVar(
            name=name,
            value=value,
            raw=raw,
            origin="literal",
            place=self.obj.where(*path, "value"),
            path=path,
            unexpanded=unexpanded,
        )

    def _keyed(self, name: str, kind: str, ref: dict[str, Any], path: tuple[Step, ...], field: str) -> EnvVar:
        source_name, key = str(ref.get("name") or ""), str(ref.get("key") or "")
        source = self.workload.model.find(kind, self.obj.namespace, source_name)
        data = data_of(source) if source is not None else {}
        missing = source is not None and key not in data
        place = self.obj.where(*path, "valueFrom", field, "key")
        return EnvVar(
            name=name,
            value=data.get(key),
            raw=data.get(key),
            origin="configmap" if kind == "ConfigMap" else "secret",
            optional=ref.get("optional") is True,
            missing=missing,
            place=place_of_key(source, key) if source is not None and not missing else place,
            path=path,
            source=source,
            source_name=source_name,
            key=key,
        )

    def __repr__(self) -> str:
        return f"Container({self.name} of {self.obj.ref})"


class Workload:
    """An object that makes pods, or a Pod; `pod` is the pod's spec, `template` where it lies."""

    def __init__(self, model: Model, obj: Obj) -> None:
        self.model = model
        self.obj = obj
        self.template: tuple[Step, ...] = POD_TEMPLATE[obj.kind]
        self.path: tuple[Step, ...] = (*self.template, "spec")
        pod = obj.get(*self.path)
        self.pod: dict[str, Any] = pod if isinstance(pod, dict) else {}

        self.kind = obj.kind
        self.name = obj.name
        self.namespace = obj.namespace

    @property
    def container_name(self) -> str:
        """Empty; see `registry.Located`."""
        return ""

    @cached_property
    def labels(self) -> dict[str, str]:
        """The labels of its pods."""
        return strings(self.obj.get(*self.template, "metadata", "labels"))

    @cached_property
    def annotations(self) -> dict[str, str]:
        """The annotations of its pods."""
        return strings(self.obj.get(*self.template, "metadata", "annotations"))

    @property
    def replicas(self) -> int:
        """How many pods it asks for: `replicas` (1 where absent), a Job's parallelism, 1 for a DaemonSet."""
        field = "parallelism" if self.kind == "Job" else "replicas"
        number = self.obj.get("spec", field, default=1)
        return number if isinstance(number, int) and not isinstance(number, bool) else 1

    @cached_property
    def containers(self) -> list[Container]:
        """Init containers and sidecars (init containers that restart always), then the main ones."""
        found = []
        for index, each in enumerate(self.items("initContainers")):
            role: ContainerRole = "sidecar" if dig(each, "restartPolicy") == "Always" else "init"
            found.append(Container(self, role, (*self.path, "initContainers", index)))
        for index, _ in enumerate(self.items("containers")):
            found.append(Container(self, "main", (*self.path, "containers", index)))
        return found

    @property
    def volumes(self) -> list[dict[str, Any]]:
        """The pod's volumes that are mappings; claim templates are not in it."""
        return [each for each in self.items("volumes") if isinstance(each, dict)]

    def get(self, *path: Step, default: Any = None) -> Any:
        """The value at `path` below the pod's spec."""
        return dig(self.pod, *path, default=default)

    def items(self, *path: Step) -> list[Any]:
        """The list at `path` below the pod's spec."""
        value = self.get(*path)
        return value if isinstance(value, list) else []

    def where(self, *path: Step) -> Place:
        """The source line of a field of the pod's spec."""
        return self.obj.where(*self.path, *path)

    def __repr__(self) -> str:
        return f"Workload({self.obj.ref})"


def data_of(obj: Obj) -> dict[str, str]:
    """What a ConfigMap or Secret offers by key; `data` of a Secret is decoded, binary is kept as ''."""
    values = dict.fromkeys(obj.mapping("binaryData"), "")
    for key, value in strings(obj.get("data")).items():
        values[key] = _decoded(value) if obj.kind == "Secret" else value
    return values | strings(obj.get("stringData"))


def place_of_key(obj: Obj, key: str) -> Place:
    """Where the value of one key of a ConfigMap or Secret is written."""
    field = next((f for f in ("stringData", "data", "binaryData") if key in obj.mapping(f)), "data")
    return obj.where(field, key)


_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(raw: str, known: dict[str, str | None]) -> tuple[str | None, tuple[str, ...]]:
    """A value with `$(NAME)` replaced as the kubelet does, and the names it leaves as they are.

    `$$` is an escaped `$`. The value is None if it takes in one that is not known.
    """
    unknown: list[str] = []
    left: list[str] = []

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        if name not in known:
            left.append(name)
            return match[0]
        value = known[name]
        if value is None:
            unknown.append(name)
        return value or ""

    value = _REFERENCE.sub(replace, raw)
    return (None if unknown else value), tuple(left)


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=False).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
