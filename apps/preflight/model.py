"""The model rules are written against: the render, its sources, and what is known of the apps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from preflight.cluster.kinds import POD_TEMPLATE
from preflight.cluster.objects import Obj, ObjectIndex
from preflight.cluster.services import LabelKey, Service
from preflight.cluster.workloads import Container, Workload
from preflight.documents.parse import Duplicate
from preflight.render.checkout import Checkout
from preflight.repository.app import AppKnowledge
from preflight.repository.config import Config

if TYPE_CHECKING:
    from preflight.render.trace import Tree


_Answer = TypeVar("_Answer")


def fact(question: Callable[[Model], _Answer]) -> Callable[[Model], _Answer]:
    """A question that several rules ask of a model: answered once, and kept with that model."""

    @wraps(question)
    def answer(model: Model) -> _Answer:
        if question not in model.facts:
            model.facts[question] = question(model)
        known: _Answer = model.facts[question]
        return known

    return answer


class Apps(Protocol):
    """Where knowledge of applications comes from: `preflight.repository.app.Apps`, or a dict."""

    def get(self, container: str, /) -> AppKnowledge | None:
        """What is known of the container of this name."""


class Model:
    """All a rule may ask.

    `root` is the repository's folder, `target` what was asked to be checked, `kustomization` the tree of
    sources with a record of what each edit matched (None where the target is no kustomization), `duplicates`
    the keys written twice in its sources, `apps` what is known of the containers' applications by container
    name, `before` the model of the tree as it is in `--against REF` (None without; its sources are gone, its
    objects are not), `checkout` the repository around it, `notes` what a person should know of the reading,
    `beside` the models of other targets of the same call that are applied together with it.
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
        apps: Apps | None = None,
        before: Model | None = None,
        checkout: Checkout | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.root = root
        self.config = config
        self.target = target
        # a target is named from where preflight was called, which need not be the root
        self.path = Path(target).resolve()
        self.objects = objects
        self.kustomization = kustomization
        self.duplicates = duplicates
        self.apps: Apps = apps if apps is not None else {}
        self.before = before
        self.checkout = checkout if checkout is not None else Checkout(root, config)
        self.notes = tuple(notes)
        self.beside: tuple[Model, ...] = ()
        self.index = ObjectIndex(objects)
        self.facts: dict[object, Any] = {}

    def objects_of(self, *kinds: str) -> list[Obj]:
        """The objects of these kinds, in the render's order."""
        return self.index.objects_of(*kinds)

    def find(self, kind: str, namespace: str, name: str) -> Obj | None:
        """The object of that kind and name; `namespace` is ignored for cluster-scoped kinds."""
        return self.index.find(kind, namespace, name)

    @cached_property
    def workloads(self) -> list[Workload]:
        """Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs, CronJobs and Pods."""
        return [Workload(self.index, obj) for obj in self.objects if obj.kind in POD_TEMPLATE]

    @cached_property
    def containers(self) -> list[Container]:
        """Every container of every workload."""
        return [container for workload in self.workloads for container in workload.containers]

    @cached_property
    def by_label(self) -> dict[LabelKey, list[Workload]]:
        """Workloads by namespace and by one label of their pods; by an empty label all."""
        found: dict[LabelKey, list[Workload]] = defaultdict(list)
        for workload in self.workloads:
            for key, value in {**workload.labels, "": ""}.items():
                found[workload.namespace, key, value].append(workload)
                found[None, key, value].append(workload)
        return found

    @cached_property
    def services(self) -> list[Service]:
        """The Services."""
        return [Service(obj, self.by_label) for obj in self.objects_of("Service") if not obj.group]

    def services_of(self, workload: Workload) -> list[Service]:
        """The Services that select a workload's pods."""
        return self._services_of.get(id(workload), [])

    @cached_property
    def _services_of(self) -> dict[int, list[Service]]:
        found: dict[int, list[Service]] = defaultdict(list)
        for service in self.services:
            for workload in service.workloads:
                found[id(workload)].append(service)
        return found

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
        return self._services_by_name.get(wanted)

    @cached_property
    def _services_by_name(self) -> dict[tuple[str, str], Service]:
        return {(each.namespace, each.name): each for each in reversed(self.services)}

    def app(self, container: Container) -> AppKnowledge | None:
        """What is known of a container's application."""
        return self.apps.get(container.name)
