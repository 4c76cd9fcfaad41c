"""Whether an image can run as the manifest wants it: not as root."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.cluster.workloads import Container, Workload
from preflight.documents.paths import dig
from preflight.facts.images import container_images
from preflight.facts.known_images import known
from preflight.findings import Place
from preflight.model import Model
from preflight.repository.dockerfile import Stage
from preflight.rules.registry import Violation, at, rule


@rule(
    "cannot-run-as-non-root",
    family="images",
    severity="error",
    outcome="CreateContainerConfigError",
    unless=["pod-security-violated"],
)
def cannot_run_as_non_root(model: Model) -> Iterator[Violation]:
    """`runAsNonRoot: true` for an image that runs as root, or as a user whose number is not known.

    The kubelet looks at the number of the user, `runAsUser` or the image's own, and does not start the
    container where it is 0 (`image will run as root`) or the image names its user
    (`image has non-numeric user (app), cannot verify user is non-root`). A warning where the repository is
    for OpenShift too, which gives pods a number of the namespace's range.

        USER app                       # USER 10001, or runAsUser: 10001
    """
    images = container_images(model)
    for container in model.containers:
        part, wanted = effective(container, "runAsNonRoot")
        owner, number = effective(container, "runAsUser")
        if wanted is not True or _is_windows(container):
            continue
        if number == 0:
            yield at(
                owner.field("securityContext", "runAsUser"),
                message="runAsUser 0 is root, and runAsNonRoot is true",
                fix="write the number of another user",
            )
        elif number is None:
            image = images.get(container)
            place: Place | None = None
            if image is not None:
                problem = _of_stage(image.stage)
                place = image.place(image.stage.user.line if image.stage.user else image.stage.line)
            else:
                problem = f"{container.image} runs as root" if known(container.image).user == 0 else ""
            if problem:
                yield at(
                    part.field("securityContext", "runAsNonRoot"),
                    message=f"runAsNonRoot is true, and {problem}",
                    fix="name a user by number: USER 10001 in the Dockerfile, or runAsUser: 10001",
                    severity="warning" if model.checkout.is_for_openshift else None,
                    place=place if image is not None and image.stage.user is not None else None,
                )


def _of_stage(stage: Stage) -> str:
    """Why the image of a stage cannot be run as another user than root; empty where it can, or may."""
    if stage.user is None:
        root = known(stage.base).user == 0
        return f"the image runs as root: no USER, and {stage.base} has none" if root else ""
    user = stage.user.value.partition(":")[0]
    if user in ("0", "root"):
        return "the image runs as root"
    if user and not user.isdigit() and "$" not in user:
        return f"the image's user {user} has a name and no number"
    return ""


def effective(container: Container, field: str) -> tuple[Container | Workload, object]:
    """Whose security context sets a field, and its value: the container's, else the pod's."""
    own = container.get("securityContext", field)
    return (
        (container, own)
        if own is not None
        else (container.workload, container.workload.get("securityContext", field))
    )


def _is_windows(container: Container) -> bool:
    return bool(dig(container.workload.pod, "os", "name") == "windows")
