"""Services by name: what Ingresses, Gateway routes, webhooks and API services send to."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from preflight.cluster.objects import Obj
from preflight.documents.paths import Step
from preflight.findings import Outcome
from preflight.model import Model


class BackendPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where objects of these kinds name a Service: `pattern` leads to what holds its name."""

    kinds: tuple[str, ...]
    pattern: str
    ports: tuple[tuple[Step, ...], ...] = (("port",),)
    """Paths below to its port, the first that is given."""
    outcome: Outcome = "ready but unreachable"


INGRESS_PORTS: tuple[tuple[Step, ...], ...] = (("port", "name"), ("port", "number"))
BACKENDS = (
    BackendPlace(kinds=("Ingress",), pattern="spec.defaultBackend.service", ports=INGRESS_PORTS),
    BackendPlace(
        kinds=("Ingress",), pattern="spec.rules.*.http.paths.*.backend.service", ports=INGRESS_PORTS
    ),
    BackendPlace(
        kinds=("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"),
        pattern="spec.rules.*.backendRefs.*",
    ),
    BackendPlace(
        kinds=("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"),
        pattern="webhooks.*.clientConfig.service",
        outcome="rejected by the API server",
    ),
    BackendPlace(kinds=("APIService",), pattern="spec.service"),
)
NAMED_BY_ANNOTATION = "use-annotation"
"""The port by which AWS' load balancer controller knows that the name is an action of an annotation, and no
Service."""


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
    for place in BACKENDS:
        for obj in model.objects_of(*place.kinds):
            for ref in obj.fields(place.pattern):
                name = ref.get("name")
                if not isinstance(name, str) or not name:
                    continue
                if ref.get("kind", default="Service") != "Service" or ref.get("group"):
                    continue
                port_path = next(
                    (path for path in place.ports if ref.get(*path) is not None), place.ports[-1]
                )
                port = ref.get(*port_path)
                if port == NAMED_BY_ANNOTATION:
                    continue
                yield Backend(
                    obj=obj,
                    path=(*ref.path, "name"),
                    namespace=str(ref.get("namespace", default=obj.namespace or "default")),
                    name=name,
                    port=port if isinstance(port, int | str) else None,
                    port_path=(*ref.path, *port_path),
                    outcome=place.outcome,
                )
