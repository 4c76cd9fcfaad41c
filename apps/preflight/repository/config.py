"""What a repository tells preflight about itself: `[tool.preflight]` of its own pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from preflight.findings import CheckError, Place, Severity

NEWEST_KNOWN = "1.34"
"""The Kubernetes version checked against where none is named."""
IMPORT_ROOTS = ("", "apps", "src")
"""Folders below the root that names are imported from."""

KubernetesVersion = Annotated[
    str, Meta(pattern=r"^v?1\.\d{1,3}(\.\d+)?$", description="a Kubernetes version, such as 1.34")
]
ObjectName = Annotated[str, Meta(pattern=r"^[A-Za-z]+/\S+$", description="Kind/name")]
ImportName = Annotated[str, Meta(pattern=r"^[\w.]+:[\w.]+$", description="module.path:name")]
SettingsName = Annotated[
    str, Meta(pattern=r"^[\w.]+(:[\w.]+)?$", description="module.path:name, or a Django settings module")
]


class ContainerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What runs in the containers of one name: names to import, and the Dockerfile of its image."""

    settings: SettingsName | None = None
    app: ImportName | None = None
    topics: ImportName | None = None
    metrics: ImportName | None = None
    dockerfile: str | None = None
    tag: tuple[str, ...] = ()
    """A program of the repository with its arguments, which prints the tag of the image this tree makes."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """`[tool.preflight]`; every key is optional."""

    kubernetes_version: KubernetesVersion = NEWEST_KNOWN
    provided: tuple[ObjectName, ...] = ()
    skip: tuple[str, ...] = ()
    """Rules or families that are not applied."""
    severity: dict[str, Severity] = field(default_factory=dict)
    """By rule, whatever the rule itself says."""
    exclude: tuple[str, ...] = ()
    """Files and folders that are nobody's manifests here, as glob patterns from the root (`charts/**`)."""
    import_roots: tuple[str, ...] = IMPORT_ROOTS
    """Folders below the root that names are imported from, as far as they exist."""
    tag: tuple[str, ...] = ()
    """What `tag` is for a container that has none of its own."""
    rules: tuple[str, ...] = ()
    """Modules with rules of the repository's own."""
    containers: dict[str, ContainerConfig] = field(default_factory=dict)

    @property
    def minor(self) -> int:
        """The minor version: 34 for 1.34."""
        return int(self.kubernetes_version.split(".")[1])

    def provides(self, kind: str, name: str) -> bool:
        """Whether the cluster is said to have this object already."""
        return f"{kind}/{name}" in self.provided

    def excludes(self, path: PurePosixPath) -> bool:
        """Whether a path below the root, or a folder it is in, is one that `exclude` names."""
        return any(
            fnmatchcase(str(part), pattern.rstrip("/").removesuffix("/**"))
            for part in (path, *path.parents)
            for pattern in self.exclude
        )


def find_root(target: Path) -> Path:
    """The repository a target belongs to: the nearest folder upwards with `.git` or `[tool.preflight]`.

    Without either, the folder of the target itself.
    """
    start = target.resolve()
    start = start if start.is_dir() else start.parent
    for folder in (start, *start.parents):
        if (folder / ".git").exists() or _table(folder / "pyproject.toml") is not None:
            return folder
    return start


def load_config(root: Path) -> Config:
    """The repository's own configuration; raises `CheckError` naming the file and the key that is wrong."""
    file = root / "pyproject.toml"
    table = _table(file)
    if table is None:
        return Config()
    try:
        config = msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        raise CheckError(f"{file}: [tool.preflight] {error}") from None
    if config.tag:
        containers = {
            name: msgspec.structs.replace(each, tag=each.tag or config.tag) if each.dockerfile else each
            for name, each in config.containers.items()
        }
        config = msgspec.structs.replace(config, containers=containers)
    return config


def _table(file: Path) -> object | None:
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CheckError(f"{file}: cannot be read: {error}") from None
    if "tool.preflight" not in text:
        return None
    try:
        tool = _toml(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise CheckError(f"{file}: not TOML: {error}") from None
    return tool.get("preflight") if isinstance(tool, dict) else None


@lru_cache(maxsize=4)
def _toml(text: str) -> dict[str, Any]:
    """Its meaning, for those who ask the same file one after the other."""
    return tomllib.loads(text)


def project_of(root: Path) -> dict[str, Any]:
    """A repository's pyproject.toml; empty where it has none that can be read."""
    try:
        return _toml((root / "pyproject.toml").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def declared_at(root: Path, container: str, key: str, name: str) -> Place:
    """The line of pyproject.toml that declares a `name` for a container."""
    lines = (root / "pyproject.toml").read_text("utf-8", "replace").splitlines()
    quoted = re.compile(rf"\b{key}\s*=\s*[\"']{re.escape(name)}[\"']")
    table = re.compile(rf"\s*\[\s*tool\.preflight\.containers\.[\"']?{re.escape(container)}[\"']?\s*\]")
    start = next((number for number, line in enumerate(lines) if table.match(line)), 0)
    numbers = [*range(start, len(lines)), *range(start)]
    return Place("pyproject.toml", next((n + 1 for n in numbers if quoted.search(lines[n])), start + 1))
