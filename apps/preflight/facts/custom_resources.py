"""Custom kinds that people use: what they name, what they select, and which Services their controllers make.

One table. A kind that is not in it is left alone; so is a field that a version of it calls otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from preflight.cluster.kinds import CLUSTER_SCOPED
from preflight.cluster.objects import Field, Obj
from preflight.documents.paths import dig, strings
from preflight.model import Model, fact
from preflight.spelling import near


class Name(msgspec.Struct, frozen=True):
    """A field that names an object: its kind, unless a `kind` beside it says otherwise, in the namespace that
    a `namespace` beside it says, else its own."""

    pattern: str
    kind: str
    key: str = ""
    """The field beside it that names a key of that ConfigMap or Secret."""


class MadeSecret(msgspec.Struct, frozen=True):
    """A Secret that a controller makes of a custom resource."""

    maker: str
    """`Kind/name` of the custom resource."""
    name: str
    keys: frozenset[str] | None
    """None where only the store knows them."""


class CustomKind(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a custom kind."""

    names: tuple[Name, ...] = ()
    owner: str = ""
    """The kind of what Strimzi's label names."""
    services: Callable[[Obj], dict[str, frozenset[int]]] | None = None
    """The Services its controller makes, with their ports."""
    secret: Callable[[Obj], MadeSecret] | None = None
    """The Secret its controller makes."""


NOTHING = CustomKind()


def _strimzi(kafka: Obj) -> dict[str, frozenset[int]]:
    """Strimzi's: one for all internal listeners, which has 9091 for the brokers themselves, and one for each
    other listener."""
    ports = {9091}
    others: dict[str, frozenset[int]] = {}
    for listener in kafka.items("spec", "kafka", "listeners"):
        number, name = dig(listener, "port"), str(dig(listener, "name"))
        if isinstance(number, int):
            if dig(listener, "type", default="internal") == "internal":
                ports.add(number)
            else:
                others[f"{kafka.name}-kafka-{name}-bootstrap"] = frozenset({number})
    both = (f"{kafka.name}-kafka-bootstrap", f"{kafka.name}-kafka-brokers")
    return dict.fromkeys(both, frozenset(ports)) | others


def _fixed(**ports: int) -> Callable[[Obj], dict[str, frozenset[int]]]:
    """Services called after the object, each with one port; `_` stands for a hyphen."""
    return lambda obj: {
        f"{obj.name}{end.replace('_', '-')}": frozenset({port}) for end, port in ports.items()
    }


def _external(obj: Obj) -> MadeSecret:
    """External Secrets': the keys it names, or those of its template."""
    target = obj.mapping("spec", "target")
    template = dig(target, "template", "data")
    keys = frozenset(str(dig(entry, "secretKey")) for entry in obj.items("spec", "data"))
    if isinstance(template, dict):
        merged = dig(target, "template", "mergePolicy") == "Merge"
        keys = frozenset(template) | keys if merged else frozenset(template)
    open_ended = (
        obj.get("spec", "dataFrom") is not None
        or dig(target, "template", "templateFrom") is not None
        or dig(target, "creationPolicy", default="Owner") not in ("Owner", "Orphan")
    )
    return MadeSecret(obj.ref, str(target.get("name") or obj.name), None if open_ended else keys)


def _sealed(obj: Obj) -> MadeSecret:
    """Sealed Secrets': what is encrypted, and what its template adds."""
    template = obj.mapping("spec", "template")
    keys = {*obj.mapping("spec", "encryptedData"), *strings(dig(template, "data"))}
    name = dig(template, "metadata", "name", default=obj.name)
    return MadeSecret(obj.ref, str(name), frozenset(keys))


CANARY, BLUE_GREEN = "spec.strategy.canary", "spec.strategy.blueGreen"
STRIMZI_LABEL = "strimzi.io/cluster"

KINDS = {
    "argoproj.io/Application": CustomKind(names=(Name("spec.project", "AppProject"),)),
    "argoproj.io/Rollout": CustomKind(
        names=(
            Name("spec.workloadRef.name", "Deployment"),
            Name(f"{CANARY}.stableService", "Service"),
            Name(f"{CANARY}.canaryService", "Service"),
            Name(f"{CANARY}.analysis.templates.*.templateName", "AnalysisTemplate"),
            Name(f"{BLUE_GREEN}.activeService", "Service"),
            Name(f"{BLUE_GREEN}.previewService", "Service"),
        )
    ),
    "bitnami.com/SealedSecret": CustomKind(secret=_sealed),
    "cert-manager.io/Certificate": CustomKind(names=(Name("spec.issuerRef.name", "Issuer"),)),
    "elasticsearch.k8s.elastic.co/Elasticsearch": CustomKind(services=_fixed(_es_http=9200)),
    "external-secrets.io/ExternalSecret": CustomKind(
        names=(Name("spec.secretStoreRef.name", "SecretStore"),), secret=_external
    ),
    "gateway.networking.k8s.io/HTTPRoute": CustomKind(names=(Name("spec.parentRefs.*.name", "Gateway"),)),
    "helm.toolkit.fluxcd.io/HelmRelease": CustomKind(
        names=(
            Name("spec.chart.spec.sourceRef.name", "HelmRepository"),
            Name("spec.chartRef.name", "OCIRepository"),
            Name("spec.valuesFrom.*.name", "ConfigMap", "valuesKey"),
            Name("spec.dependsOn.*.name", "HelmRelease"),
        )
    ),
    "kafka.strimzi.io/Kafka": CustomKind(services=_strimzi),
    "kafka.strimzi.io/KafkaConnector": CustomKind(owner="KafkaConnect"),
    "kafka.strimzi.io/KafkaNodePool": CustomKind(owner="Kafka"),
    "kafka.strimzi.io/KafkaRebalance": CustomKind(owner="Kafka"),
    "kafka.strimzi.io/KafkaTopic": CustomKind(owner="Kafka"),
    "kafka.strimzi.io/KafkaUser": CustomKind(owner="Kafka"),
    "keda.sh/ScaledObject": CustomKind(
        names=(
            Name("spec.scaleTargetRef.name", "Deployment"),
            Name("spec.triggers.*.authenticationRef.name", "TriggerAuthentication"),
        )
    ),
    "keda.sh/TriggerAuthentication": CustomKind(
        names=(
            Name("spec.secretTargetRef.*.name", "Secret", "key"),
            Name("spec.configMapTargetRef.*.name", "ConfigMap", "key"),
        )
    ),
    "kibana.k8s.elastic.co/Kibana": CustomKind(services=_fixed(_kb_http=5601)),
    "kustomize.toolkit.fluxcd.io/Kustomization": CustomKind(
        names=(
            Name("spec.sourceRef.name", "GitRepository"),
            Name("spec.dependsOn.*.name", "Kustomization"),
            Name("spec.decryption.secretRef.name", "Secret"),
            Name("spec.postBuild.substituteFrom.*.name", "ConfigMap"),
        )
    ),
    "networking.istio.io/DestinationRule": CustomKind(names=(Name("spec.host", "Service"),)),
    "networking.istio.io/VirtualService": CustomKind(
        names=tuple(
            Name(f"spec.{protocol}.*.route.*.destination.host", "Service")
            for protocol in ("http", "tcp", "tls")
        )
    ),
    "postgresql.cnpg.io/Cluster": CustomKind(services=_fixed(_rw=5432, _ro=5432, _r=5432)),
    "source.toolkit.fluxcd.io/GitRepository": CustomKind(names=(Name("spec.secretRef.name", "Secret"),)),
    "source.toolkit.fluxcd.io/HelmRepository": CustomKind(names=(Name("spec.secretRef.name", "Secret"),)),
    "traefik.io/IngressRoute": CustomKind(
        names=(
            Name("spec.routes.*.services.*.name", "Service"),
            Name("spec.routes.*.middlewares.*.name", "Middleware"),
        )
    ),
}
"""Every custom kind that is known, by group and kind."""


def _known(obj: Obj) -> CustomKind:
    return KINDS.get(f"{obj.group}/{obj.kind}", NOTHING)


class NamedObject(msgspec.Struct, frozen=True):
    """A name in a custom resource, and what it means."""

    field: Field
    kind: str
    namespace: str
    name: str
    key: Field | None = None


def named_objects(model: Model) -> Iterator[NamedObject]:
    """Every name in a field, or a label, of a custom resource that the table knows."""
    for obj in model.objects:
        row = _known(obj)
        for each in row.names:
            for field in obj.fields(each.pattern):
                beside = obj.get(*field.path[:-1])
                kind = str(dig(beside, "kind", default=each.kind))
                if isinstance(field.doc, str) and field.doc and dig(beside, "optional") is not True:
                    own = "" if kind in CLUSTER_SCOPED or kind.startswith("Cluster") else obj.namespace
                    namespace = own and str(dig(beside, "namespace", default=own))
                    key = obj.field(*field.path[:-1], each.key) if dig(beside, each.key) is not None else None
                    yield NamedObject(field, kind, namespace, field.doc, key)
        if row.owner and STRIMZI_LABEL in obj.labels:
            field = obj.field("metadata", "labels", STRIMZI_LABEL)
            yield NamedObject(field, row.owner, obj.namespace, field.doc)


def missing_parts(model: Model) -> Iterator[tuple[Field, str, list[str]]]:
    """Listeners and subsets that routes name and that their Gateway or DestinationRule does not have: the
    name, whose it is not, and the names there are."""
    for route in model.objects_of("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"):
        for parent in route.fields("spec.parentRefs.*"):
            space = str(parent.get("namespace", default=route.namespace))
            gateway = model.find("Gateway", space, str(parent.get("name")))
            section = parent.field("sectionName")
            if gateway is not None and "gateway.networking" in gateway.group and isinstance(section.doc, str):
                listeners = [str(name.doc) for name in gateway.fields("spec.listeners.*.name")]
                if section.doc not in listeners:
                    yield section, gateway.ref, listeners
    rules: dict[tuple[str, str], list[Obj]] = {}
    for rule in model.objects_of("DestinationRule"):
        rules.setdefault(_host(rule.get("spec", "host"), rule.namespace), []).append(rule)
    for route in model.objects_of("VirtualService"):
        for protocol in ("http", "tcp", "tls"):
            for target in route.fields(f"spec.{protocol}.*.route.*.destination"):
                subset, found = target.field("subset"), rules.get(_host(target.get("host"), route.namespace))
                names = [str(name.doc) for rule in found or () for name in rule.fields("spec.subsets.*.name")]
                if found and isinstance(subset.doc, str) and subset.doc not in names:
                    yield subset, found[0].ref, names


def _host(host: object, namespace: str) -> tuple[str, str]:
    """A host of Istio's as name and namespace of a Service; a short name is of the object's own namespace."""
    name, _, rest = str(host).partition(".")
    return (name, rest.partition(".")[0] or namespace)


@fact
def made_services(model: Model) -> dict[tuple[str, str], frozenset[int]]:
    """The Services that controllers make for custom resources of the render: (namespace, name) → ports."""
    found: dict[tuple[str, str], frozenset[int]] = {}
    for obj in model.objects:
        services = _known(obj).services
        for name, ports in services(obj).items() if services is not None else ():
            found[(obj.namespace, name)] = ports
    return found


@fact
def made_secrets(model: Model) -> dict[tuple[str, str], MadeSecret]:
    """The Secrets that controllers make of custom resources of the render, by namespace and name."""
    found: dict[tuple[str, str], MadeSecret] = {}
    for obj in model.objects:
        secret = _known(obj).secret
        if secret is not None:
            made = secret(obj)
            # two makers of one Secret: neither knows all its keys
            known = made.keys if (obj.namespace, made.name) not in found else None
            found[(obj.namespace, made.name)] = msgspec.structs.replace(made, keys=known)
    return found


def kafka_brokers(model: Model, cluster: Obj) -> int:
    """How many brokers a Kafka of Strimzi's has, by its node pools or its own `replicas`; 0 where that is not
    in the render."""
    count = 0
    for pool in model.objects_of("KafkaNodePool"):
        number, roles = pool.get("spec", "replicas"), pool.items("spec", "roles")
        label = pool.labels.get(STRIMZI_LABEL, "")
        # a label misspelt is a finding of its own
        own = pool.namespace == cluster.namespace and (label == cluster.name or near(label, [cluster.name]))
        if own and "broker" in roles:
            count += number if isinstance(number, int) else 0
    given = cluster.get("spec", "kafka", "replicas")
    return count or (given if isinstance(given, int) else 0)


MONITORS: dict[str, tuple[str, str]] = {
    "ServiceMonitor": ("Service", "spec.endpoints.*.port"),
    "VMServiceScrape": ("Service", "spec.endpoints.*.port"),
    "PodMonitor": ("pod", "spec.podMetricsEndpoints.*.port"),
    "VMPodScrape": ("pod", "spec.podMetricsEndpoints.*.port"),
}
"""Kind of monitor → what it selects, and where it names ports."""


class Scraped(msgspec.Struct, frozen=True):
    """A Service, or a workload's pods, that a monitor may select."""

    labels: dict[str, str]
    ports: tuple[object, ...]
    """The names of its ports."""


class Monitor(msgspec.Struct, frozen=True):
    """A ServiceMonitor or PodMonitor, what it selects, and what there is to select in its namespaces."""

    obj: Obj
    what: str
    ports: str
    """Where it names ports."""
    candidates: list[Scraped]

    @property
    def selector(self) -> object:
        """Its label selector; an absent one selects all."""
        return self.obj.get("spec", "selector", default={})


def monitors(model: Model) -> Iterator[Monitor]:
    """Every monitor of the render."""
    for obj in model.objects_of(*MONITORS):
        what, ports = MONITORS[obj.kind]
        spaces = obj.get("spec", "namespaceSelector", "matchNames", default=[obj.namespace])
        everywhere = obj.get("spec", "namespaceSelector", "any") is True
        candidates = [
            Scraped(service.obj.labels, tuple(name.doc for name in service.fields("spec.ports.*.name")))
            for service in model.services
            if everywhere or service.namespace in spaces
        ]
        if what == "pod":
            candidates = [
                Scraped(
                    workload.labels,
                    tuple(name.doc for name in workload.fields("containers.*.ports.*.name")),
                )
                for workload in model.workloads
                if everywhere or workload.namespace in spaces
            ]
        yield Monitor(obj, what, ports, candidates)
