"""Services and whom they lead to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from preflight.cluster.objects import Located, Obj
from preflight.cluster.workloads import Workload
from preflight.documents.paths import strings

LabelKey = tuple[str | None, str, str]
"""A namespace (None: any), and a label of the pods with its value."""


class Service(Located):
    """A Service and whom it leads to."""

    def __init__(self, obj: Obj, by_label: Mapping[LabelKey, Sequence[Workload]]) -> None:
        self._by_label = by_label
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
        pairs = self.selector.items()
        sets = (self._by_label.get((self.namespace, *pair), []) for pair in pairs)
        return [each for each in min(sets, key=len, default=[]) if pairs <= each.labels.items()]

    def __repr__(self) -> str:
        return f"Service({self.name})"
