"""Qdrant: its key against the workers that call it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster.environment import EnvVar
from preflight.cluster.workloads import Workload
from preflight.facts.addresses import calls
from preflight.facts.existence import missing
from preflight.facts.settings import asked, container_settings
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule


@rule("store-key-not-shared", family="messaging", severity="warning", outcome="never ready")
def store_key_not_shared(model: Model) -> Iterator[Violation]:
    """A store that asks for a key which a worker that calls it is not offered.

    Every request is answered with 401. An error where the key is surely there: the store cannot start without
    it, or the render holds its value; a warning where the Secret is optional and made elsewhere.

        envFrom:                       # the store takes QDRANT_API_KEY of vhm-secrets, and this worker
        - configMapRef:                # takes no Secret
            name: store-config
    """
    seen = set()
    for call in calls(model):
        settings = container_settings(model).get(call.container)
        key = _key_of(call.service.workloads) if call.service is not None else None
        if settings is None or key is None or call.container in seen:
            continue
        prefix = call.variable.partition("_")[0]
        variable = settings.variable(f"{prefix}_API_KEY")
        taken = any(
            source.kind == "Secret" and source.name == key.source_name for source in call.container.env_from
        )
        if variable is None or not variable.secret or settings.offered(variable) or taken:
            continue
        seen.add(call.container)
        absent = missing(model, "Secret", call.service.namespace if call.service else "", key.source_name)
        if absent is not None and absent.severity == "error":
            continue  # a slip in the store's own reference, said there
        certain = bool(key.value) or not key.optional
        if certain or key.source is None:
            yield at(
                asked(call.container, variable.name),
                message=f"{variable.name} is not offered, and {call.address.host} asks for the key "
                f"{key.key} of {key.source_name}",
                fix=f"take the Secret {key.source_name} here as well",
                severity="error" if certain else "warning",
                outcome=call.outcome,
            )


def _key_of(workloads: list[Workload]) -> EnvVar | None:
    """The Secret's key that a Qdrant server of these workloads takes for its own."""
    for workload in workloads:
        for container in workload.containers:
            found = container.env.get("QDRANT__SERVICE__API_KEY")
            if re.search(r"(^|/)qdrant/qdrant([:@]|$)", container.image) and found is not None:
                return found if found.is_secret else None
    return None
