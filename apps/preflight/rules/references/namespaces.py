"""Namespaces that are named and made, and objects that are there twice."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.objects import Obj
from preflight.facts.existence import are_applied_together, missing
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule


@rule("missing-namespace", family="references", severity="warning", outcome="rejected by the API server")
def missing_namespace(model: Model) -> Iterator[Violation]:
    """A namespace that objects are in and that the render does not make, though it makes another.

    Applied to a cluster without it, the objects are refused: `namespaces "x" not found`. Where the render
    makes no namespace at all, they are taken to be made elsewhere. An error where a slip explains it.

        metadata:
          namespace: vmh               # the Namespace is vhm
    """
    if not model.objects_of("Namespace"):
        return
    seen: set[str] = set()
    for obj in model.objects:
        absent = None
        if obj.namespace and obj.namespace not in seen:
            absent = missing(model, "Namespace", "", obj.namespace)
        seen.add(obj.namespace)
        if absent is not None:
            yield at(
                obj.field("metadata", "namespace"),
                message=f"Namespace {obj.namespace} not found{absent.hint}",
                fix=f"write {absent.meant}"
                if absent.meant
                else f'make it, or say provided = ["Namespace/{obj.namespace}"] in [tool.preflight]',
                severity=absent.severity,
            )


@rule("duplicate-object", family="references", severity="error", outcome="applies nothing")
def duplicate_object(model: Model) -> Iterator[Violation]:
    """The same object twice, with different content.

    `kubectl apply` sends both and the later one stays, so that the earlier one has no effect; a reconciler
    applies them in turn for ever. Files of a folder may be alternatives: there, only objects of one file
    are compared.

        kind: Service                  # both are Service/indexer-service in namespace vhm
    """
    first: dict[tuple[str, str, str, str], Obj] = {}
    for obj in model.objects:
        if not obj.name or "generateName" in obj.mapping("metadata"):
            continue
        key = (obj.group, obj.kind, obj.namespace, obj.name)
        earlier = first.setdefault(key, obj)
        if earlier is not obj and earlier.doc != obj.doc and are_applied_together(model, earlier, obj):
            yield at(
                earlier.field("metadata", "name"),
                message=f"{obj.ref} stands again, with other content, at {obj.origin}",
                fix="keep one of the two, or rename one",
            )
