"""Names of images, taken apart as the kubelet does it (github.com/distribution/reference)."""

from __future__ import annotations

import re

import msgspec

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
_PLACEHOLDER = re.compile(r"\$\{|\{\{|^ko://|^\$[A-Z]|\$[A-Z_]+$")


class ImageName(msgspec.Struct, frozen=True, kw_only=True):
    """`registry/repository:tag@digest`; what is absent is empty."""

    registry: str = ""
    """`registry.k8s.io`, `localhost`, `localhost:5000`; empty for Docker Hub's short names."""
    repository: str
    tag: str = ""
    digest: str = ""
    problem: str = ""
    """Why the kubelet does not take it; empty for a good name."""

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    @property
    def is_local(self) -> bool:
        """Built on this machine: `localhost/` is what podman and buildah put before a short name."""
        return self.registry == "localhost"


def parse(image: str) -> ImageName:
    """The parts of an image's name; never raises."""
    rest, at, digest = image.partition("@")
    head, slash, tail = rest.rpartition("/")
    last, colon, tag = tail.partition(":")
    path = head + slash + last
    first, cut, below = path.partition("/")
    has_registry = bool(cut) and (
        "." in first or ":" in first or first == "localhost" or first.lower() != first
    )
    name = ImageName(
        registry=first if has_registry else "",
        repository=below if has_registry else path,
        tag=tag,
        digest=digest,
    )
    return msgspec.structs.replace(name, problem=_problem(name, bool(at), bool(colon)))


def is_placeholder(image: str) -> bool:
    """Whether another tool fills the name in before it is applied: envsubst, Flux, a template, ko."""
    return _PLACEHOLDER.search(image) is not None


def _problem(name: ImageName, with_digest: bool, with_tag: bool) -> str:
    if name.registry and not _DOMAIN.fullmatch(name.registry):
        return f"{name.registry!r} is no registry's address"
    if not _REPOSITORY.fullmatch(name.repository):
        if _REPOSITORY.fullmatch(name.repository.lower()):
            return f"{name.repository!r} has capital letters"
        return f"{name.repository!r} is no repository's name" if name.repository else "it names no repository"
    if with_tag and not _TAG.fullmatch(name.tag):
        return f"{name.tag!r} is no tag" if name.tag else "there is a colon and no tag"
    if with_digest and name.digest.startswith("sha256:") and not _SHA256.fullmatch(name.digest):
        return f"its digest is not 64 hexadecimal digits: {name.digest[:80]!r}"
    if with_digest and not _DIGEST.fullmatch(name.digest):
        return f"{name.digest[:80]!r} is no digest"
    return ""
