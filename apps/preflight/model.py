"""The model rules are written against: the render, its sources, and what is known of the apps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from preflight.apps import AppKnowledge
from preflight.config import Config
from preflight.findings import Place
from preflight.kustomize import Program
from preflight.objects import Obj, strings
from preflight.registry import Step
from preflight.workloads import POD_TEMPLATE, Container, Workload
from preflight.yamls import Duplicate

if TYPE_CHECKING:
    from preflight.kustomization import Tree


class Apps(Protocol):
    """Where knowledge of applications comes from: `preflight.apps.Apps`, or a dict."""

    def get(self, container: str, /) -> AppKnowledge | None:
        """What is known of the container of this name."""


class Service:
    """A Service and whom it leads to."""

    def __init__(self, model: Model, obj: Obj) -> None:
        self.model = model
        self.obj = obj
        self.path: tuple[Step, ...] = ()

        self.name = obj.name
        self.namespace = obj.namespace

    @property
    def container_name(self) -> str:
        """Empty; see `registry.Located`."""
        return ""

    @property
    def selector(self) -> dict[str, str]:
        """Its selector, empty where its endpoints are made by hand or it is an ExternalName."""
        return strings(self.obj.get("spec", "selector"))

    @property
    def headless(self) -> bool:
        """Whether its name leads to the pods' own addresses."""
        return bool(self.obj.get("spec", "clusterIP") == "None")

    @property
    def ports(self) -> list[dict[str, Any]]:
        """Its `ports:` items that are mappings."""
        return [each for each in self.obj.items("spec", "ports") if isinstance(each, dict)]

    @cached_property
    def workloads(self) -> list[Workload]:
        """The workloads whose pods it selects."""
        selector = self.selector
        return [
            each
            for each in self.model.workloads
            if selector and each.namespace == self.namespace and selector.items() <= each.labels.items()
        ]

    def where(self, *path: Step) -> Place:
        """The source line of a field."""
        return self.obj.where(*path)

    def __repr__(self) -> str:
        return f"Service({self.name})"


class Model:
    """All a rule may ask.

    `root` is the repository's folder, `target` what was asked to be checked, `kustomization` the tree of
    sources with a record of what each edit matched (None where the target is no kustomization), `duplicates`
    the keys written twice in its sources, `renderer` the program that rendered it, `apps` what is known
    of the containers' applications by container name, `before` the model of the tree as it is in
    `--against REF` (None without; its sources are gone, its objects are not).
    """

    def __init__(
        self,
        *,
        root: Path,
        config: Config,
        target: str,
        objects: list[Obj],
        kustomization: Tree | None = None,
        duplicates: Sequence[Duplicate] = (),
        renderer: Program | None = None,
        apps: Apps | None = None,
        before: Model | None = None,
    ) -> None:
        self.root = root
        self.config = config
        self.target = target
        # a target is named from where preflight was called, which need not be the root
        self.path = Path(target).resolve()
        self.objects = objects
        self.kustomization = kustomization
        self.duplicates = duplicates
        self.renderer = renderer
        self.apps: Apps = apps if apps is not None else {}
        self.before = before
        self._of_kinds: dict[tuple[str, ...], list[Obj]] = {}

    @cached_property
    def _by_name(self) -> dict[tuple[str, str, str], Obj]:
        return {(each.kind, each.namespace, each.name): each for each in self.objects}

    def objects_of(self, *kinds: str) -> list[Obj]:
        """The objects of these kinds, in the render's order."""
        if kinds not in self._of_kinds:
            self._of_kinds[kinds] = [each for each in self.objects if each.kind in kinds]
        return self._of_kinds[kinds]

    def find(self, kind: str, namespace: str, name: str) -> Obj | None:
        """The object of that kind and name; `namespace` is ignored for cluster-scoped kinds."""
        return self._by_name.get((kind, namespace, name)) or self._by_name.get((kind, "", name))

    @cached_property
    def workloads(self) -> list[Workload]:
        """Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs, CronJobs and Pods."""
        return [Workload(self, each) for each in self.objects if each.kind in POD_TEMPLATE]

    @cached_property
    def containers(self) -> list[Container]:
        """Every container of every workload."""
        return [container for workload in self.workloads for container in workload.containers]

    @cached_property
    def services(self) -> list[Service]:
        """The Services."""
        return [Service(self, each) for each in self.objects_of("Service") if not each.group]

    def services_of(self, workload: Workload) -> list[Service]:
        """The Services that select a workload's pods."""
        return [each for each in self.services if workload in each.workloads]

    def service_at(self, host: str, namespace: str) -> Service | None:
        """The Service a host name means from a pod of `namespace`.

        `name`, `name.namespace`, `name.namespace.svc` and `name.namespace.svc.cluster.local` are names of
        Services; anything else is none.
        """
        labels = host.rstrip(".").split(".")
        if labels[-2:] == ["cluster", "local"]:
            labels = labels[:-2]
        if len(labels) == 3 and labels[2] == "svc":
            labels = labels[:2]
        if len(labels) > 2:
            return None
        wanted = (labels[1] if len(labels) == 2 else namespace, labels[0])
        return next((each for each in self.services if (each.namespace, each.name) == wanted), None)

    def app(self, container: Container) -> AppKnowledge | None:
        """What is known of a container's application."""
        return self.apps.get(container.name)
