"""NetworkPolicies: what is surely cut, and what cannot be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from preflight.cluster.objects import Obj
from preflight.facts.network_policies import permits_dns, permitted
from preflight.findings import Place
from preflight.model import Model
from preflight.repository.config import Config


def pod(name: str, namespace: str = "app", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name, **labels}},
        "spec": {"containers": [{"name": name, "ports": [{"name": "http", "containerPort": 8080}]}]},
    }


def policy(selects: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"for-{selects}", "namespace": "app"},
        "spec": {"podSelector": {"matchLabels": {"app": selects}}, **spec},
    }


def model(*docs: dict[str, Any]) -> Model:
    objects = [Obj(doc, None, Place("all.yaml", 1)) for doc in docs]
    return Model(root=Path(), config=Config(), target="all.yaml", objects=objects)


def allowed(*policies: dict[str, Any], server: str = "app") -> bool:
    """Whether `client` may reach port 8080 of `server`, by both directions' policies."""
    one = model(pod("client"), pod("server", server), *policies)
    client, called = one.workloads
    return permitted(one, client, "egress", called, 8080) and permitted(one, called, "ingress", client, 8080)


TO_SERVER = [{"podSelector": {"matchLabels": {"app": "server"}}}]


@pytest.mark.parametrize(
    ("policies", "reached"),
    [
        ([], True),
        ([policy("other", policyTypes=["Ingress", "Egress"])], True),
        ([policy("client", policyTypes=["Egress"])], False),
        ([policy("client", policyTypes=["Ingress"])], True),
        ([policy("server")], False),
        ([policy("client", egress=[{}])], True),
        ([policy("client", egress=[{"to": TO_SERVER}])], True),
        ([policy("client", policyTypes=["Egress"], egress=[{"to": TO_SERVER}])], True),
        (
            [policy("client", policyTypes=["Egress"], egress=[{"to": TO_SERVER, "ports": [{"port": 8080}]}])],
            True,
        ),
        (
            [
                policy(
                    "client", policyTypes=["Egress"], egress=[{"to": TO_SERVER, "ports": [{"port": "http"}]}]
                )
            ],
            True,
        ),
        (
            [policy("client", policyTypes=["Egress"], egress=[{"to": TO_SERVER, "ports": [{"port": 80}]}])],
            False,
        ),
        (
            [
                policy(
                    "client",
                    policyTypes=["Egress"],
                    egress=[{"to": TO_SERVER, "ports": [{"port": 8000, "endPort": 8100}]}],
                )
            ],
            True,
        ),
        (
            [
                policy(
                    "client", policyTypes=["Egress"], egress=[{"ports": [{"port": 8080, "protocol": "UDP"}]}]
                )
            ],
            False,
        ),
        (
            [policy("client", policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}])],
            True,
        ),
        (
            [
                policy("client", policyTypes=["Egress"]),
                policy("client", policyTypes=["Egress"], egress=[{"to": TO_SERVER}]),
            ],
            True,
        ),
    ],
)
def test_traffic(policies: list[dict[str, Any]], reached: bool) -> None:
    assert allowed(*policies) is reached


def test_a_pod_selector_alone_means_the_policys_own_namespace() -> None:
    cut = policy("client", policyTypes=["Egress"], egress=[{"to": TO_SERVER}])
    assert allowed(cut) is True
    assert allowed(cut, server="elsewhere") is False


def test_labels_of_a_namespace_that_is_not_in_the_render_may_be_there() -> None:
    def to(labels: dict[str, str]) -> dict[str, Any]:
        peer = {"namespaceSelector": {"matchLabels": labels}}
        return policy("client", policyTypes=["Egress"], egress=[{"to": [peer]}])

    assert allowed(to({"team": "search"}), server="elsewhere") is True
    assert allowed(to({"kubernetes.io/metadata.name": "elsewhere"}), server="elsewhere") is True
    assert allowed(to({"kubernetes.io/metadata.name": "another"}), server="elsewhere") is False


def test_another_kind_of_policy_may_permit_what_these_do_not() -> None:
    cilium = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "open", "namespace": "app"},
        "spec": {},
    }
    assert allowed(policy("server")) is False
    assert allowed(policy("server"), cilium) is True


@pytest.mark.parametrize(
    ("entry", "asks"),
    [
        ({}, True),
        ({"ports": [{"port": 53, "protocol": "UDP"}]}, True),
        ({"ports": [{"port": 53, "protocol": "TCP"}]}, False),
        ({"ports": [{"port": 443}]}, False),
        ({"to": [{"ipBlock": {"cidr": "10.96.0.10/32"}}], "ports": [{"port": 53, "protocol": "UDP"}]}, True),
        ({"to": [{"namespaceSelector": {}}], "ports": [{"port": 53, "protocol": "UDP"}]}, True),
        ({"to": [{"podSelector": {}}], "ports": [{"port": 53, "protocol": "UDP"}]}, False),
        (
            {
                "to": [
                    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
                ],
                "ports": [{"port": 53, "protocol": "UDP"}],
            },
            True,
        ),
        ({"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "app"}}}]}, False),
    ],
)
def test_dns(entry: dict[str, Any], asks: bool) -> None:
    one = model(pod("client"), policy("client", policyTypes=["Egress"], egress=[entry]))
    assert permits_dns(one, one.workloads[0]) is asks
