"""The env contract: what the manifests offer is what the workers' settings types read, both ways."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import get_type_hints

import msgspec

from manifests.overlays import WORKERS, Object, deployment, environment, objects
from vhm.contract.env_loader import Environment, aliases, is_secret, load

SECRET = "vhm-secrets"


def settings(worker: str) -> type[Environment]:
    kind: type[Environment] = importlib.import_module(f"vhm.{worker}.settings").Settings
    return kind


def variables(worker: str, *, secret: bool) -> set[str]:
    """The worker's variables that are secrets, or those that are not."""
    hints = get_type_hints(settings(worker), include_extras=True)
    return {
        field.encode_name
        for field in msgspec.structs.fields(settings(worker))
        if is_secret(hints[field.name]) is secret
    }


def other_names(worker: str) -> set[str]:
    hints = get_type_hints(settings(worker), include_extras=True)
    return {name for hint in hints.values() for name in aliases(hint)}


def takers(kustomize: Path, overlay: str, config: Object) -> list[str]:
    """The workers that take this ConfigMap."""
    return [
        worker
        for worker in WORKERS
        for source in deployment(kustomize, overlay, worker).container.env_from
        if source.config_map_ref and source.config_map_ref.name == config.metadata.name
    ]


def test_every_setting_is_offered(overlay: str, worker: str, kustomize: Path) -> None:
    offered = environment(kustomize, overlay, deployment(kustomize, overlay, worker).container)
    assert variables(worker, secret=False) - offered.keys() == set()


def test_every_key_is_read_by_a_worker_that_takes_it(overlay: str, kustomize: Path) -> None:
    for config in objects(kustomize, overlay, "ConfigMap"):
        workers = takers(kustomize, overlay, config)
        if workers:
            read = set().union(*(variables(w, secret=False) | other_names(w) for w in workers))
            assert config.whole["data"].keys() - read == set(), config.metadata.name


def test_a_change_rolls_only_those_that_read_it(overlay: str, kustomize: Path) -> None:
    for config in objects(kustomize, overlay, "ConfigMap"):
        for worker in takers(kustomize, overlay, config):
            unread = config.whole["data"].keys() - variables(worker, secret=False) - other_names(worker)
            assert unread == set(), f"{worker} takes {config.metadata.name} and does not read all of it"


def test_values_decode(overlay: str, worker: str, kustomize: Path) -> None:
    given = environment(kustomize, overlay, deployment(kustomize, overlay, worker).container)
    # made outside the manifests; a provider's key may want more settings, a broker's and a store's do not
    keys = ("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD", "QDRANT_API_KEY")
    load(settings(worker), given | dict.fromkeys(keys, "given"))


def test_minikube_runs_without_any_secret(worker: str, kustomize: Path) -> None:
    load(
        settings(worker),
        environment(kustomize, "minikube", deployment(kustomize, "minikube", worker).container),
    )


def test_secrets_come_from_a_secret_alone(overlay: str, worker: str, kustomize: Path) -> None:
    container = deployment(kustomize, overlay, worker).container
    assert not variables(worker, secret=True) & environment(kustomize, overlay, container).keys()
    sources = [source.secret_ref for source in container.env_from if source.secret_ref]
    # nobody but the gateway sees the keys to it
    assert [source.name for source in sources] == [SECRET, *(["gateway-keys"] if worker == "gateway" else [])]
    assert all(source.optional for source in sources) or overlay != "minikube"
