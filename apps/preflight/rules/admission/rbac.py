"""What the API server refuses in RBAC objects."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.model import Model
from preflight.rules.fields import mapping
from preflight.rules.registry import Violation, at, rule

RBAC = "rbac.authorization.k8s.io"


@rule("invalid-binding", family="admission", severity="error", outcome="rejected by the API server")
def invalid_binding(model: Model) -> Iterator[Violation]:
    """A binding whose subject or role reference is incomplete, or a rule that allows nothing that can be.

    A ClusterRoleBinding names the namespace of a ServiceAccount (kustomize sets it only for accounts of the
    render; in a RoleBinding it defaults to the binding's own); a ServiceAccount has no apiGroup.

        kind: ClusterRoleBinding
        subjects:
        - kind: ServiceAccount
          name: indexer              # namespace: vhm
    """
    for obj in model.objects_of("RoleBinding", "ClusterRoleBinding"):
        for index, subject in enumerate(obj.items("subjects")):
            given = mapping(subject)
            if given.get("kind") != "ServiceAccount":
                continue
            if not given.get("namespace") and obj.kind == "ClusterRoleBinding":
                yield at(
                    obj,
                    "subjects",
                    index,
                    message=f"ServiceAccount {given.get('name')} without a namespace",
                    fix="name its namespace",
                )
            if given.get("apiGroup"):
                yield at(
                    obj,
                    "subjects",
                    index,
                    "apiGroup",
                    message="a ServiceAccount is in the core group",
                    fix="remove apiGroup",
                )
        group = obj.get("roleRef", "apiGroup")
        if group not in (None, "", RBAC):
            yield at(obj, "roleRef", "apiGroup", message=f"{group!r} has no roles", fix=f"write {RBAC}")
    for obj in model.objects_of("Role", "ClusterRole"):
        for index, each in enumerate(obj.items("rules")):
            given = mapping(each)
            lacking = next(
                (name for name in ("verbs", "apiGroups", "resources") if not given.get(name)), None
            )
            if given.get("nonResourceURLs"):
                lacking = "verbs" if not given.get("verbs") else None
            if lacking:
                yield at(obj, "rules", index, message=f"a rule without {lacking}", fix=f"give {lacking}")
            if given.get("nonResourceURLs") and obj.kind == "Role":
                yield at(
                    obj,
                    "rules",
                    index,
                    "nonResourceURLs",
                    message="only a ClusterRole may have them",
                    fix="make it a ClusterRole",
                )
