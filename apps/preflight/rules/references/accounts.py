"""Accounts, pull secrets, classes of pods, and who is bound to which role."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.objects import Located
from preflight.documents.paths import Step, dig
from preflight.facts.existence import missing
from preflight.findings import Outcome
from preflight.model import Model
from preflight.rules.registry import Violation, at, rule


@rule("missing-service-account", family="references", severity="warning", outcome="no pods")
def missing_service_account(model: Model) -> Iterator[Violation]:
    """A ServiceAccount that a pod runs as and that the render does not hold.

    The pod is refused at its creation (`error looking up service account`), so a Deployment shows no pods at
    all and says why only in the events of its ReplicaSet.

        serviceAccountName: worker     # the ServiceAccount is workers
    """
    for workload in model.workloads:
        field = "serviceAccountName" if "serviceAccountName" in workload.pod else "serviceAccount"
        yield from _named(
            model,
            workload,
            (field,),
            "ServiceAccount",
            workload.namespace,
            "rejected by the API server" if workload.kind == "Pod" else "no pods",
        )


@rule("missing-pull-secret", family="references", severity="warning", outcome="ErrImagePull")
def missing_pull_secret(model: Model) -> Iterator[Violation]:
    """A pull secret that the render does not hold.

    The kubelet goes on without it (an event says FailedToRetrieveImagePullSecret) and pulls as a stranger: a
    private image ends in ErrImagePull.

        imagePullSecrets:
        - name: registry-cred          # the Secret is registry-creds
    """
    parts: list[tuple[Located, str, int]] = [
        (workload, workload.namespace, len(workload.items("imagePullSecrets")))
        for workload in model.workloads
    ]
    parts += [
        (each, each.namespace, len(each.items("imagePullSecrets")))
        for each in model.objects_of("ServiceAccount")
    ]
    for part, namespace, number in parts:
        for index in range(number):
            path: tuple[Step, ...] = ("imagePullSecrets", index, "name")
            yield from _named(model, part, path, "Secret", namespace, "ErrImagePull")


@rule("missing-priority-class", family="references", severity="warning", outcome="no pods")
def missing_priority_class(model: Model) -> Iterator[Violation]:
    """A PriorityClass that a pod names and that the render does not hold.

    Admission refuses the pod: `no PriorityClass with name x was found`. Built in are only
    `system-cluster-critical` and `system-node-critical`.

        priorityClassName: high-prioritty
    """
    for workload in model.workloads:
        yield from _named(
            model, workload, ("priorityClassName",), "PriorityClass", "", _refused(workload.kind)
        )


@rule("missing-runtime-class", family="references", severity="warning", outcome="no pods")
def missing_runtime_class(model: Model) -> Iterator[Violation]:
    """A RuntimeClass that a pod names and that the render does not hold.

    The pod is refused at its creation: `RuntimeClass "x" not found`.

        runtimeClassName: gvisor       # name it in `provided` where the nodes have it
    """
    for workload in model.workloads:
        yield from _named(model, workload, ("runtimeClassName",), "RuntimeClass", "", _refused(workload.kind))


def _refused(kind: str) -> Outcome:
    return "rejected by the API server" if kind == "Pod" else "no pods"


@rule("missing-role", family="references", severity="warning", outcome="applies nothing")
def missing_role(model: Model) -> Iterator[Violation]:
    """A binding to a Role or ClusterRole that the render does not hold.

    The API server takes the binding and it grants nothing: the app's calls to the API are answered with 403.

        roleRef:
          kind: Role
          name: leader-elections       # the Role is leader-election
    """
    for binding in model.objects_of("RoleBinding", "ClusterRoleBinding"):
        kind = binding.get("roleRef", "kind")
        if kind in ("Role", "ClusterRole"):
            namespace = binding.namespace if kind == "Role" else ""
            yield from _named(model, binding, ("roleRef", "name"), kind, namespace, "applies nothing")


@rule("missing-subject", family="references", severity="warning", outcome="applies nothing")
def missing_subject(model: Model) -> Iterator[Violation]:
    """A binding for a ServiceAccount that the render does not hold, or has in another namespace.

    The API server takes the binding and it grants nothing to the account the pods run as. The usual cause is
    a subject's namespace that was not changed with the rest.

        subjects:
        - kind: ServiceAccount
          name: worker
          namespace: default           # the account is in namespace vhm
    """
    for binding in model.objects_of("RoleBinding", "ClusterRoleBinding"):
        for index, subject in enumerate(binding.items("subjects")):
            namespace = dig(subject, "namespace", default=binding.namespace)
            if dig(subject, "kind") == "ServiceAccount" and isinstance(namespace, str):
                absent = missing(model, "ServiceAccount", namespace, str(dig(subject, "name")))
                if absent is not None:
                    meant = absent.meant or absent.elsewhere
                    yield at(
                        binding,
                        "subjects",
                        index,
                        "namespace" if absent.elsewhere and "namespace" in subject else "name",
                        message=f"ServiceAccount {subject['name']} is not among what is applied to namespace "
                        f"{namespace}{absent.hint}",
                        fix=f"write {meant}" if meant else "make it, or bind an account that is there",
                        severity=absent.severity,
                    )


def _named(
    model: Model, part: Located, path: tuple[Step, ...], kind: str, namespace: str, outcome: Outcome
) -> Iterator[Violation]:
    name = part.obj.get(*part.path, *path)
    absent = missing(model, kind, namespace, name) if isinstance(name, str) else None
    if absent is not None:
        where = f" applied to namespace {namespace}" if namespace else " applied"
        yield at(
            part,
            *path,
            message=f"{kind} {name} is not among what is{where}{absent.hint}",
            fix=f"write {absent.meant}"
            if absent.meant
            else f'make it, or say provided = ["{kind}/{name}"] in [tool.preflight] if the cluster has it',
            severity=absent.severity,
            outcome=outcome,
        )
