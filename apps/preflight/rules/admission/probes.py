"""Probes, hooks and what they ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from preflight.cluster.workloads import Container
from preflight.documents.paths import Step
from preflight.model import Model
from preflight.rules.fields import mapping
from preflight.rules.registry import Violation, at, rule

HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")


@rule("invalid-probe", family="admission", severity="error", outcome="rejected by the API server")
def invalid_probe(model: Model) -> Iterator[Violation]:
    """A probe or hook that cannot be: no handler or two, a success threshold that only readiness may have, or
    on an init container that ends before it could be probed.

    `successThreshold` must be 1 for liveness and startup. Exactly one of exec, httpGet, tcpSocket, grpc.

        livenessProbe:
          successThreshold: 2      # must be 1
    """
    for container in model.containers:
        for probe, doc in container.probes.items():
            yield from _handlers(container, (probe,), doc)
            threshold = doc.get("successThreshold")
            if probe != "readinessProbe" and threshold not in (None, 0, 1):
                yield at(
                    container,
                    probe,
                    "successThreshold",
                    message=f"{threshold}; of a {probe} it must be 1",
                    fix="remove it",
                )
            if probe == "readinessProbe" and "terminationGracePeriodSeconds" in doc:
                yield at(
                    container,
                    probe,
                    "terminationGracePeriodSeconds",
                    message="a readiness probe ends nothing and may not have it",
                    fix="remove it",
                )
            if container.role == "init":
                yield at(
                    container,
                    probe,
                    message="an init container may have no probe unless it restarts always",
                    fix="remove it, or say restartPolicy: Always for a sidecar",
                )
        for hook, doc in mapping(container.get("lifecycle")).items():
            if hook in ("postStart", "preStop"):
                yield from _handlers(container, ("lifecycle", hook), mapping(doc), (*HANDLERS, "sleep"))


def _handlers(
    container: Container, path: tuple[Step, ...], doc: dict[str, Any], known: tuple[str, ...] = HANDLERS
) -> Iterator[Violation]:
    given = [each for each in known if doc.get(each) is not None]
    if len(given) != 1:
        yield at(
            container,
            *path,
            message=f"has {' and '.join(given) if given else 'no handler'}, wants one of {', '.join(known)}",
            fix="give exactly one",
        )
