"""Services and whom they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from preflight.cluster.objects import Located, Obj
from preflight.cluster.workloads import Workload
from preflight.documents.paths import strings


class Service(Located):
    """A Service and whom it leads to."""

    def __init__(self, obj: Obj, workloads: Sequence[Workload]) -> None:
        self._all = workloads
        self.obj = obj
        self.doc = obj.doc
        self.name = obj.name
        self.namespace = obj.namespace

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
        return [port for port in self.obj.items("spec", "ports") if isinstance(port, dict)]

    @cached_property
    def workloads(self) -> list[Workload]:
        """The workloads whose pods it selects."""
        selector = self.selector
        return [
            each
            for each in self._all
            if selector and each.namespace == self.namespace and selector.items() <= each.labels.items()
        ]

    def __repr__(self) -> str:
        return f"Service({self.name})"
