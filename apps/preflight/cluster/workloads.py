"""Workloads and their pods' containers."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

from preflight.cluster import environment
from preflight.cluster.environment import EnvFrom, EnvVar
from preflight.cluster.kinds import POD_TEMPLATE
from preflight.cluster.objects import Located, Obj, ObjectIndex
from preflight.documents.paths import Step, dig, strings

ContainerRole = Literal["main", "init", "sidecar"]


class Container(Located):
    """One container of a workload's pod template."""

    def __init__(self, workload: Workload, role: ContainerRole, path: tuple[Step, ...]) -> None:
        self.workload = workload
        self.role = role
        self.path = path
        self.obj = workload.obj
        doc = workload.obj.get(*path)
        self.doc: dict[str, Any] = doc if isinstance(doc, dict) else {}
        name, image = self.doc.get("name"), self.doc.get("image")
        self.name = self.container_name = name if isinstance(name, str) else ""
        self.image = image if isinstance(image, str) else ""

    @property
    def command(self) -> list[str]:
        """`command:` as given, the image's ENTRYPOINT otherwise being used."""
        return [str(item) for item in self.items("command")]

    @property
    def args(self) -> list[str]:
        """`args:` as given."""
        return [str(arg) for arg in self.items("args")]

    @property
    def ports(self) -> list[dict[str, Any]]:
        """The `ports:` items that are mappings."""
        return [port for port in self.items("ports") if isinstance(port, dict)]

    def port(self, wanted: object) -> int | None:
        """The number of a port given by number or by name; None where the name is not declared."""
        if isinstance(wanted, int) and not isinstance(wanted, bool):
            return wanted
        for port in self.ports:
            number = port.get("containerPort")
            if isinstance(wanted, str) and port.get("name") == wanted and isinstance(number, int):
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
        return environment.sources(self, self.workload.index)

    @cached_property
    def offers(self) -> list[EnvVar]:
        """Every variable offered, in the kubelet's order: `envFrom` items, then `env`; later ones win."""
        return environment.offers(self, self.workload.index)

    @cached_property
    def env(self) -> dict[str, EnvVar]:
        """The variables it would start with, as far as the render tells (service links are not in it)."""
        return {
            variable.name: variable
            for variable in self.offers
            if not (variable.missing and variable.optional)
        }

    @property
    def env_is_known(self) -> bool:
        """Whether `env` names every variable: each `envFrom` source is in the render."""
        return all(source.source is not None for source in self.env_from)

    def __repr__(self) -> str:
        return f"Container({self.name} of {self.obj.ref})"


class Workload(Located):
    """An object that makes pods, or a Pod; `pod` is the pod's spec, `template` where it lies."""

    def __init__(self, index: ObjectIndex, obj: Obj) -> None:
        self.index = index
        self.obj = obj
        self.template: tuple[Step, ...] = POD_TEMPLATE[obj.kind]
        self.path: tuple[Step, ...] = (*self.template, "spec")
        pod = obj.get(*self.path)
        self.pod: dict[str, Any] = pod if isinstance(pod, dict) else {}
        self.doc = self.pod
        self.kind = obj.kind
        self.name = obj.name
        self.namespace = obj.namespace

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
        return [volume for volume in self.items("volumes") if isinstance(volume, dict)]

    def __repr__(self) -> str:
        return f"Workload({self.obj.ref})"
