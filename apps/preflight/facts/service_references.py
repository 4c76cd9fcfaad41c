"""Services by name: what Ingresses, Gateway routes, webhooks and API services send to."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from preflight.cluster.objects import Obj
from preflight.documents.paths import Step, dig, list_at
from preflight.findings import Outcome
from preflight.model import Model

WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
ROUTES = ("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute")


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """One Service an object sends to; `path` leads to the name, `port_path` to the port if one is named."""

    obj: Obj
    path: tuple[Step, ...]
    namespace: str
    name: str
    port: int | str | None
    port_path: tuple[Step, ...]
    outcome: Outcome


def backends(model: Model) -> Iterator[Backend]:
    """Every Service that Ingresses, Gateway routes, webhooks and API services name."""
    for obj in model.objects_of("Ingress"):
        paths: list[tuple[Step, ...]] = [("spec", "defaultBackend")]
        for index, entry in enumerate(obj.items("spec", "rules")):
            for number, _ in enumerate(list_at(entry, "http", "paths")):
                paths.append(("spec", "rules", index, "http", "paths", number, "backend"))
        for path in paths:
            service = (*path, "service")
            by = "name" if obj.get(*service, "port", "name") is not None else "number"
            yield from _backend(obj, (*service, "name"), (*service, "port", by), obj.namespace)
    for obj in model.objects_of(*ROUTES):
        for index, entry in enumerate(obj.items("spec", "rules")):
            for number, ref in enumerate(list_at(entry, "backendRefs")):
                if dig(ref, "kind", default="Service") == "Service" and not dig(ref, "group"):
                    ref_path: tuple[Step, ...] = ("spec", "rules", index, "backendRefs", number)
                    namespace = dig(ref, "namespace", default=obj.namespace)
                    yield from _backend(obj, (*ref_path, "name"), (*ref_path, "port"), str(namespace))
    for obj in model.objects_of(*WEBHOOKS):
        for index, entry in enumerate(obj.items("webhooks")):
            hook: tuple[Step, ...] = ("webhooks", index, "clientConfig", "service")
            namespace = str(dig(entry, "clientConfig", "service", "namespace", default="default"))
            yield from _backend(
                obj, (*hook, "name"), (*hook, "port"), namespace, "rejected by the API server"
            )
    for obj in model.objects_of("APIService"):
        namespace = str(obj.get("spec", "service", "namespace", default="default"))
        yield from _backend(obj, ("spec", "service", "name"), ("spec", "service", "port"), namespace)


def _backend(
    obj: Obj,
    path: tuple[Step, ...],
    port_path: tuple[Step, ...],
    namespace: str,
    outcome: Outcome = "ready but unreachable",
) -> Iterator[Backend]:
    name, port = obj.get(*path), obj.get(*port_path)
    if isinstance(name, str) and name:
        yield Backend(
            obj=obj,
            path=path,
            namespace=namespace,
            name=name,
            port=port if isinstance(port, int | str) else None,
            port_path=port_path,
            outcome=outcome,
        )
