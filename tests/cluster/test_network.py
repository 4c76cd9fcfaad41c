"""Who may talk to whom, where the cluster enforces NetworkPolicies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster import images
from cluster.cluster import HERE, Cluster

KAFKA = "kafka-service.vhm:9092"
QDRANT = "qdrant-service.vhm:6333"
GATEWAY = "gateway-service.vhm:8000"
INDEXER, RETELLER = "indexer-service.vhm:8080", "reteller-service.vhm:8080"
REACH = HERE / "inside" / "reach.py"


@pytest.fixture
def outsider(cluster: Cluster) -> Iterator[Cluster]:
    """The same pod in a namespace without policies, without the labels of a client."""
    pod = (HERE / "client.yaml").read_text().replace("TAG", images.tag())
    pod = pod.replace("namespace: vhm", "namespace: default").replace('    kafka-client: "true"\n', "")
    pod = pod.replace('    gateway-client: "true"\n', "")
    cluster.apply(pod)
    cluster.kubectl("-n", "default", "wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
    yield cluster
    cluster.kubectl("-n", "default", "delete", "pod", "client", "--grace-period=1")


def test_a_stranger_reads_health_pages_and_nothing_else(outsider: Cluster) -> None:
    script = REACH.read_text(encoding="utf-8")
    command = ("-n", "default", "exec", "-i", "client", "--", "python", "-", INDEXER, GATEWAY, KAFKA, QDRANT)
    said = outsider.kubectl(*command, stdin=script)
    if '"kafka-service.vhm:9092": true' in said:
        pytest.skip("this cluster enforces no NetworkPolicy: minikube start --cni calico does")
    assert said.strip() == f'{{"{INDEXER}": true, "{GATEWAY}": false, "{KAFKA}": false, "{QDRANT}": false}}'


def test_each_worker_reaches_what_it_needs_and_no_more(outsider: Cluster) -> None:
    cluster = outsider
    addresses = (KAFKA, QDRANT, INDEXER, RETELLER)
    if cluster.python("deployment/reteller", REACH, QDRANT)[QDRANT]:
        pytest.skip("this cluster enforces no NetworkPolicy: minikube start --cni calico does")
    for worker, allowed in (
        ("indexer", {KAFKA, QDRANT}),
        ("resonance", {KAFKA, QDRANT}),
        ("reteller", {KAFKA}),
    ):
        reached = cluster.python(f"deployment/{worker}", REACH, *addresses)
        # what a pod says to its own Service may come back to it without leaving its node
        reached.pop(f"{worker}-service.vhm:8080", None)
        assert {address for address, reaches in reached.items() if reaches} == allowed, worker


def test_a_client_of_the_broker_and_the_gateway_is_no_client_of_the_store(
    client: str, cluster: Cluster
) -> None:
    reached = cluster.python(client, REACH, KAFKA, GATEWAY, QDRANT)
    if reached[QDRANT]:
        pytest.skip("this cluster enforces no NetworkPolicy: minikube start --cni calico does")
    assert reached[KAFKA]
    assert reached[GATEWAY]
