"""What the workloads promise others: names, ports, probes the app answers, room to stop and to run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from manifests.overlays import WORKERS, Container, deployment, environment, objects
from vhm.contract.topics import TOPICS, needs
from vhm.runtime.health import create_app

UNITS = {"m": 1e-3, "Mi": 2**20, "Gi": 2**30}


def quantity(text: str) -> float:
    """A Kubernetes quantity as a number: cores or bytes."""
    for unit, factor in UNITS.items():
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text)


def probes(container: Container) -> list[str]:
    paths = []
    for probe in (container.startup_probe, container.readiness_probe, container.liveness_probe):
        assert probe.http_get is not None
        assert probe.http_get.port in {port.name for port in container.ports}
        paths.append(probe.http_get.path)
    return paths


def test_the_app_answers_every_probe(overlay: str, worker: str, kustomize: Path) -> None:
    paths = probes(deployment(kustomize, overlay, worker).container)
    assert len(set(paths)) == 3

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(app=create_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
            return [(await client.get(path)).status_code for path in [*paths, "/health"]]

    assert set(asyncio.run(ask())) <= {200, 503}


def test_the_health_port_is_the_one_the_worker_listens_on(overlay: str, worker: str, kustomize: Path) -> None:
    container = deployment(kustomize, overlay, worker).container
    [port] = [port for port in container.ports if port.name == "health"]
    assert port.container_port == int(environment(kustomize, overlay, container)["HEALTH_PORT"])
    service = next(
        o for o in objects(kustomize, overlay, "Service") if o.metadata.name == f"{worker}-service"
    )
    assert service.whole["spec"]["selector"] == {"app": worker}
    [published] = [port for port in service.whole["spec"]["ports"] if port["name"] == "health"]
    assert (published["port"], published["targetPort"]) == (8080, port.name)


def test_a_worker_has_time_to_stop(overlay: str, worker: str, kustomize: Path) -> None:
    found = deployment(kustomize, overlay, worker)
    asked = environment(kustomize, overlay, found.container)[f"{worker.upper()}_SHUTDOWN_TIMEOUT_SECONDS"]
    assert found.workload.template.spec.termination_grace_period_seconds > float(asked) + 5


def test_selectors_stay_what_installed_ones_are(overlay: str, worker: str, kustomize: Path) -> None:
    assert deployment(kustomize, overlay, worker).workload.selector == {"matchLabels": {"app": worker}}


def test_a_worker_asks_for_what_it_was_measured_at(overlay: str, worker: str, kustomize: Path) -> None:
    resources = deployment(kustomize, overlay, worker).container.resources
    assert resources["requests"]["memory"] == "256Mi"
    assert resources["limits"] == {"memory": "512Mi"}


def test_minikube_is_enough(kustomize: Path) -> None:
    memory = cpu = 0.0
    for found in objects(kustomize, "minikube"):
        if found.kind in ("Deployment", "StatefulSet"):
            requests = found.container.resources["requests"]
            memory += quantity(requests["memory"]) * found.workload.replicas
            cpu += quantity(requests["cpu"]) * found.workload.replicas
    assert memory <= 2 * 2**30
    assert cpu <= 1


def test_every_topic_is_created_where_the_broker_creates_none(kustomize: Path) -> None:
    created: set[str] = set()
    for worker in WORKERS:
        given = environment(kustomize, "minikube", deployment(kustomize, "minikube", worker).container)
        if given["KAFKA_CREATE_TOPICS"] == "true":
            created |= set(needs(worker))
    assert created == {topic.name for topic in TOPICS}


def test_no_replica_is_without_a_partition(overlay: str, worker: str, kustomize: Path) -> None:
    found = deployment(kustomize, overlay, worker)
    partitions = environment(kustomize, overlay, found.container)["KAFKA_TOPIC_PARTITIONS"]
    assert found.workload.replicas <= int(partitions)
