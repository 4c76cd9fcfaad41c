"""Fields of which only one may be given: what is left when a patch adds one and the base keeps the other."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from preflight.cluster.objects import Field, Located
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule

HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
HOOKS = ("exec", "httpGet", "tcpSocket", "sleep")


class Choice(msgspec.Struct, frozen=True):
    """In what `pattern` leads to, at most one of `fields`; none named: whatever stands beside `name`."""

    holder: str
    """`container`, `pod`, or a kind of object."""
    pattern: str
    fields: tuple[str, ...] = ()


CHOICES = (
    Choice("container", "env.*", ("value", "valueFrom")),
    Choice(
        "container",
        "env.*.valueFrom",
        ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"),
    ),
    Choice("container", "envFrom.*", ("configMapRef", "secretRef")),
    Choice("container", "startupProbe", HANDLERS),
    Choice("container", "readinessProbe", HANDLERS),
    Choice("container", "livenessProbe", HANDLERS),
    Choice("container", "lifecycle.postStart", HOOKS),
    Choice("container", "lifecycle.preStop", HOOKS),
    Choice("pod", "volumes.*"),
    Choice("PodDisruptionBudget", "spec", ("minAvailable", "maxUnavailable")),
)


@rule("fields-exclude-each-other", family="admission", severity="error", outcome="rejected by the API server")
def fields_exclude_each_other(model: Model) -> Iterator[Violation]:
    """Two fields of which only one may be given.

    `value` and `valueFrom`, two handlers of a probe, two types of a volume, `rollingUpdate` under
    `type: Recreate`. A strategic merge joins containers, variables and volumes by name: a patch that gives
    one another source or type leaves it both, unless it sets the base's to null.

        volumes:
        - name: data
          emptyDir: null           # the base's type
          persistentVolumeClaim: {claimName: data}
    """
    for choice in CHOICES:
        for holder in _holders(model, choice.holder):
            for place in holder.fields(choice.pattern):
                names = choice.fields or tuple(name for name in place.mapping() if name != "name")
                given = [name for name in names if place.get(name) not in (None, "")]
                if len(given) > 1:
                    yield _violation(place, given)
    for deployment in model.objects_of("Deployment"):
        strategy = deployment.field("spec", "strategy")
        if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate") is not None:
            yield at(
                strategy,
                "rollingUpdate",
                message="rollingUpdate is not allowed with strategy.type: Recreate",
                fix="set rollingUpdate: null where the type is set",
            )


def _violation(place: Field, given: list[str]) -> Violation:
    """At the field that was added, which mostly stands in another file than the object."""
    origin = place.obj.origin.file
    added = next((name for name in reversed(given) if place.where(name).file != origin), given[-1])
    others = [name for name in given if name != added]
    named = place.get("name")
    subject = f"{named}: " if isinstance(named, str) else ""
    return at(
        place,
        added,
        message=f"{subject}{added} is not allowed beside {' and '.join(others)} ({place.where(others[0])})",
        fix=f"keep one of them; in a patch, set {others[0]}: null",
    )


def _holders(model: Model, holder: str) -> Iterator[Located]:
    if holder == "container":
        yield from model.containers
    elif holder == "pod":
        yield from model.workloads
    else:
        yield from model.objects_of(holder)
