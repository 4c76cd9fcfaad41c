"""What is known of public images: users, folders, programs, variables; the rows of packs/images.toml."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from preflight.cluster import image_reference

MIRRORS = ("docker.io/", "index.docker.io/", "mirror.gcr.io/", "public.ecr.aws/docker/")
TOOLS = (
    "ash", "bash", "cat", "chmod", "chown", "cp", "curl", "dash", "echo", "env", "find", "grep", "ls",
    "mkdir", "mv", "nc", "ping", "ps", "sed", "sh", "sleep", "test", "touch", "tr", "true", "wget",
)  # fmt: skip
"""Programs that an image without a shell does not have either."""


class KnownImage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What one row, or all rows that fit an image together, say. The fields are explained in the file."""

    names: tuple[str, ...] = ()
    tags: str = ""
    but_not: str = ""
    user: int | None = None
    owner: int | None = None
    writes: tuple[str, ...] = ()
    configuration: tuple[str, ...] = ()
    """What, mounted over, may tell it to write elsewhere."""
    capabilities: tuple[str, ...] = ()
    file_capabilities: tuple[str, ...] = ()
    data: str = ""
    data_variable: str = ""
    volumes: tuple[str, ...] = ()
    refuses_lost_and_found: bool | None = None
    absent: tuple[str, ...] = ()
    renamed: dict[str, str] = {}
    bare: bool = False
    programs: tuple[str, ...] = ()
    own_each: tuple[str, ...] = ()
    refuses_url: tuple[str, ...] = ()
    looks_up: str = ""
    files: str = ""
    heap: tuple[str, ...] = ()
    needs: tuple[tuple[str, ...], ...] = ()
    ports: tuple[int, ...] = ()
    ends: bool = False
    withdrawn: str = ""
    instead: str = ""

    def lacks(self, program: str) -> bool:
        """Whether it surely does not have a program of this name on its PATH."""
        return program in self.absent or (self.bare and program in TOOLS)

    def fits(self, name: str, tag: str) -> bool:
        """Whether the row is about an image of this name and tag; an unknown tag fits no condition on it."""
        return (
            any(fnmatchcase(name, pattern) for pattern in self.names)
            and (not self.tags or (bool(tag) and re.search(self.tags, tag) is not None))
            and (not self.but_not or (bool(tag) and re.search(self.but_not, tag) is None))
        )


class _Pack(msgspec.Struct, forbid_unknown_fields=True):
    image: list[KnownImage]


# two threads in which msgspec meets a type for the first time crash the interpreter
msgspec.json.Decoder(_Pack)


@lru_cache(maxsize=1)
def rows() -> list[KnownImage]:
    """Every row of the pack."""
    text = (files("preflight") / "packs" / "images.toml").read_text("utf-8")
    return msgspec.toml.decode(text, type=_Pack).image


NOTHING = KnownImage()


@lru_cache(maxsize=4096)
def known(image: str) -> KnownImage:
    """All that is known of an image by its reference; an empty row where nothing is."""
    reference = image_reference.parse(image)
    name = reference.name
    for mirror in MIRRORS:
        name = name.removeprefix(mirror)
    name = name.removeprefix("library/")
    tag = reference.tag or ("" if reference.digest else "latest")
    joined: dict[str, Any] = {}
    for row in rows():
        for field, value in msgspec.structs.asdict(row).items() if row.fits(name, tag) else ():
            if value == getattr(NOTHING, field):
                continue
            before = joined.get(field)
            if isinstance(value, tuple) and before:
                value = tuple(dict.fromkeys((*before, *value)))
            elif isinstance(value, dict) and before:
                value = {**before, **value}
            joined[field] = value
    return KnownImage(**joined | {"names": (name,)})


def shown(image: str) -> str:
    """An image's reference for a message: without its digest."""
    return image.partition("@")[0]
