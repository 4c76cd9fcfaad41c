"""Reads the files of a kustomization: nothing outside the repository, nothing remote, nothing endless."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from preflight.documents.node import Node
from preflight.documents.parse import MOST_BYTES, Stream, parse
from preflight.findings import CheckError, Place

SUFFIXES = (".yaml", ".yml", ".json")
"""Of manifests."""
KUSTOMIZATION_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")

_REMOTE = re.compile(
    r"""^(git::|gh:|(https?|ssh|file)://|github\.com[/:]|[a-z][a-z0-9-]*@[^/:]+[:/])|\?(ref|version)=|\.git(/|$|\?)""",
    re.IGNORECASE,
)


def is_remote(path: str) -> bool:
    """Whether kustomize would fetch this from a network (or clone it) rather than read it."""
    return bool(_REMOTE.search(path))


def kustomization_file(folder: Path) -> Path | None:
    """The kustomization file of a folder, None where it has none."""
    for name in KUSTOMIZATION_NAMES:
        if (folder / name).is_file():
            return folder / name
    return None


class Reader:
    """Reads files for one tree. `files` collects what was read, relative to the repository root; `outside`
    the entries whose file lies in the repository and not below the kustomization that names it."""

    def __init__(self, root: Path, allow_remote: bool) -> None:
        self.root = root.resolve()
        self.allow_remote = allow_remote
        self.files: list[str] = []
        self.streams: list[Stream] = []
        self.outside: list[Node] = []

    def name(self, path: Path) -> str:
        """A path as places say it: relative to the repository root, with `/`."""
        return Path(os.path.relpath(path, self.root)).as_posix()

    def resolve(self, folder: Path, entry: Node) -> Path | None:
        """The file or folder an entry names; None where it is remote (and allowed) or does not exist.

        Raises `CheckError` for a remote entry that is not allowed and for one outside the repository.
        """
        text = entry.text()
        if is_remote(text):
            if self.allow_remote:
                return None
            raise CheckError(
                f"{entry.file}:{entry.line}: {text} is remote; give --allow-remote to have it fetched"
            )
        path = (folder / text).resolve()
        if not path.is_relative_to(self.root):
            raise CheckError(f"{entry.file}:{entry.line}: {text} lies outside the repository {self.root}")
        if path.is_file() and not path.is_relative_to(folder.resolve()):
            self.outside.append(entry)
        return path if path.exists() else None

    def read(self, path: Path, asked: Place) -> bytes:
        """A file's bytes. Raises `CheckError` where it is no regular file or too large."""
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise CheckError(f"{asked}: {self.name(path)} is no regular file")
            if found.st_size > MOST_BYTES:
                size = f"{found.st_size // 1_000_000} MB, more than {MOST_BYTES // 1_000_000} are not read"
                raise CheckError(f"{asked}: {self.name(path)} has {size}")
            data = path.read_bytes()
        except OSError as error:
            raise CheckError(f"{asked}: {self.name(path)} cannot be read: {error.strerror}") from None
        self.files.append(self.name(path))
        return data

    def documents(self, path: Path, asked: Place) -> list[Node]:
        """The documents of a YAML file; raises `YamlError`."""
        stream = parse(self.read(path, asked), self.name(path))
        self.streams.append(stream)
        return stream.documents
