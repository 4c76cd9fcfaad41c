"""What an image is called, where it is pulled from, for which architecture it is, and of which tree."""

from __future__ import annotations

import re
from collections.abc import Iterator

from preflight.cluster import image_reference
from preflight.cluster.workloads import Container
from preflight.facts.images import container_images
from preflight.model import Model, fact
from preflight.repository.content_tag import tag_of_tree
from preflight.rules.registry import Violation, at, rule
from preflight.spelling import is_placeholder

ARCHITECTURES = {
    "amd64": "amd64",
    "arm64": "arm64",
    "arm64v8": "arm64",
    "x86_64": "amd64",
    "aarch64": "arm64",
}
UNPULLED = (".local", ".localhost", ".internal", ".test")
"""Ends of registry names that stand for images loaded onto a node."""


@rule("image-name-invalid", family="images", severity="error", outcome="InvalidImageName")
def image_name_invalid(model: Model) -> Iterator[Violation]:
    """An image whose name the kubelet cannot read.

    The API server takes any text without blanks around it. The kubelet wants a repository in small letters,
    one tag of letters, digits, `_`, `.` and `-`, and a digest of 64 hexadecimal digits. Names that another
    tool fills in first (`${TAG}`, `{{ }}`, `ko://`, the one blank that OpenShift's triggers replace) are left
    alone; `<name>` and `PROJECT_ID`, for sed or a person to fill in, are a warning.

        image: registry.example.com/VHM-Worker:1.2      # capital letters
    """
    for container in model.containers:
        image = container.image
        if not image.strip() or image_reference.is_placeholder(image):
            continue
        problem = image_reference.parse(image.strip()).problem
        padded = image != image.strip()
        if padded or problem:
            yield at(
                container.field("image"),
                message=f"image {image[:120]!r}: {'blanks around it' if padded else problem}",
                fix="write registry/repository:tag, the repository in small letters",
                severity="warning" if is_placeholder(image) else None,
                outcome=("rejected by the API server" if container.obj.kind == "Pod" else "no pods")
                if padded
                else None,
            )


@rule("image-not-pinned", family="images", severity="warning", outcome="runs old code")
def image_not_pinned(model: Model) -> Iterator[Violation]:
    """An image without a tag or with `latest` that is the repository's own, or is not pulled again.

    Without a tag the name means `latest`. Where the repository builds the image itself, nothing rolls out
    when it changes and nothing can be rolled back; with `imagePullPolicy: IfNotPresent` a node keeps the
    first `latest` it has pulled. A name that a kustomization of the repository gives a tag (`images:`), or
    that skaffold builds, is fine.

        image: vhm-worker:latest              # and dockerfile = "images/worker.Dockerfile" declared for it
    """
    for container in model.containers:
        image = container.image
        name = image_reference.parse(image)
        if not image or name.problem or name.digest or name.tag not in ("", "latest"):
            continue
        if image_reference.is_placeholder(image) or (not name.tag and name.name in _tagged(model)):
            continue
        app = model.app(container)
        own = app is not None and app.config.dockerfile is not None
        kept = container.get("imagePullPolicy") == "IfNotPresent"
        if own or kept:
            tag = "the tag latest" if name.tag else "no tag, which means latest"
            what = "a node keeps the one it has pulled" if kept else "a new build does not roll out"
            yield at(
                container.field("image"),
                message=f"image {image} has {tag}: {what}",
                fix="name a version or a digest",
            )


@fact
def _tagged(model: Model) -> frozenset[str]:
    """Images that a kustomization of the repository gives a tag or a digest, or skaffold one of its own."""
    names = {image_reference.parse(each.image).name for each in model.containers if each.image}
    found = {
        entry.text("name")
        for kustomization in model.checkout.kustomizations.values()
        for entry in kustomization.items("images")
        if entry.text("newTag") or entry.text("digest")
    }
    skaffold = model.root / "skaffold.yaml"
    if skaffold.is_file():
        text = skaffold.read_text("utf-8", "replace")[:100_000]
        found |= {name for name in names if re.search(rf"(?m)^\s*- image: {re.escape(name)}\s*$", text)}
    return frozenset(found)


@rule("local-image-pulled", family="images", severity="error", outcome="ErrImagePull")
def local_image_pulled(model: Model) -> Iterator[Violation]:
    """An image of this machine that the kubelet would pull all the same.

    `localhost/` is what podman and buildah write before a short name; no registry answers there on a node.
    The kubelet pulls although the node has the image where the policy is `Always`, and that is the default
    for `latest` and for no tag.

        image: localhost/worker:t1
        imagePullPolicy: Always        # IfNotPresent
    """
    for container in model.containers:
        name = image_reference.parse(container.image)
        policy = container.get("imagePullPolicy")
        moving = name.tag == "latest" or not (name.tag or name.digest)
        by_default = policy is None and moving and name.is_local and name.name not in _tagged(model)
        if name.is_local and not name.problem and (policy == "Always" or by_default):
            said = "imagePullPolicy is Always" if policy else "Always is the policy for latest and for no tag"
            yield at(
                container.field("imagePullPolicy" if policy else "image"),
                message=f"image {container.image} is on the node or nowhere, and {said}",
                fix="write imagePullPolicy: IfNotPresent",
            )


@rule("remote-image-not-pulled", family="images", severity="warning", outcome="ErrImageNeverPull")
def remote_image_not_pulled(model: Model) -> Iterator[Violation]:
    """An image of a registry that the kubelet is told never to pull.

    With `Never` the pod starts only on nodes somebody has loaded the image onto: a new or another node says
    ErrImageNeverPull.

        image: registry.k8s.io/pause:3.10
        imagePullPolicy: Never         # IfNotPresent
    """
    for container in model.containers:
        host = image_reference.parse(container.image).registry.partition(":")[0]
        remote = "." in host and not host.endswith(UNPULLED) and not re.fullmatch(r"[\d.]+", host)
        if container.get("imagePullPolicy") == "Never" and remote and host != "docker.io":
            yield at(
                container.field("imagePullPolicy"),
                message=f"imagePullPolicy is Never, and image {container.image} comes from a registry",
                fix="write IfNotPresent",
            )


@rule("image-of-other-architecture", family="images", severity="error", outcome="CrashLoopBackOff")
def image_of_other_architecture(model: Model) -> Iterator[Violation]:
    """An image for one architecture on nodes of another.

    A Dockerfile whose last FROM names a platform, or an image named after one, is for that architecture
    alone: elsewhere the container ends with `exec format error`.

        FROM --platform=linux/amd64 python:3.14-slim     # and nodeSelector kubernetes.io/arch: arm64
    """
    platforms = {
        each.container: (each.stage.platform or "").split("/") for each in container_images(model).values()
    }
    label = "kubernetes.io/arch"
    for container in model.containers:
        wanted = container.workload.get("nodeSelector", label)
        platform = platforms.get(container, [])
        built_for = platform[1] if len(platform) > 1 and platform[1] in ("amd64", "arm64") else ""
        has = built_for or _of_name(container)
        if wanted is not None and has and has != wanted:
            yield at(
                container.workload.field("nodeSelector", label),
                message=f"the pods go to nodes of {wanted}, and the image of container {container.name} is "
                f"built for {has}",
                fix="build the image for that architecture, or choose the nodes it is for",
            )


def _of_name(container: Container) -> str:
    """The one architecture an image is named after: `amd64/redis`, `pause-arm64`, `1.2-linux-amd64`."""
    name = image_reference.parse(container.image)
    first = name.repository.partition("/")[0]
    last = re.split(r"[-_/]", name.repository)[-1]
    tag = re.split(r"[-_]", name.tag)[-1] if "-" in name.tag else ""
    return next((ARCHITECTURES[word] for word in (first, last, tag) if word in ARCHITECTURES), "")


@rule("image-not-of-this-tree", family="images", severity="error", outcome="runs old code")
def image_not_of_this_tree(model: Model) -> Iterator[Violation]:
    """An image whose tag is not the one that the code beside the manifest makes.

    Where tags are made of content, the repository says by which command: `tag = ["images/build", "--tag"]` in
    `[tool.preflight.containers.<name>]`. Code that was changed and not built, or built and not written into
    the overlay, is found before pods run the code of yesterday, or find no image.

        newTag: "t0a1b2c3d4e5f"        # the tree makes t9e8d7c6b5a40
    """
    for container in model.containers:
        app = model.app(container)
        command = app.config.tag if app is not None else ()
        name = image_reference.parse(container.image)
        if not command or name.problem or not name.tag:
            continue
        wanted = _tag(model, command)
        if name.tag != wanted:
            yield at(
                container.field("image"),
                message=f"image {container.image}: this tree makes {wanted}",
                fix=f"build it and write {wanted}",
            )


def _tag(model: Model, command: tuple[str, ...]) -> str:
    facts = model.checkout.facts
    if (tag_of_tree, command) not in facts:
        facts[tag_of_tree, command] = tag_of_tree(model.root, command)
    return str(facts[tag_of_tree, command])
