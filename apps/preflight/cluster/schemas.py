"""Kubernetes' JSON schemas and kubeconform, which checks a render against them.

The schemas come from the Python package kubernetes-validate, which carries those of several versions; no
network is asked. kubeconform is taken from PATH.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from preflight.cluster.objects import Obj
from preflight.findings import CheckError

SECONDS = 180.0
GARBAGE = "400"
"""Go's GOGC: a check is over before its garbage matters; a fifth less computing than with 100."""
_FOLDER = re.compile(r"v1\.(\d+)\.0-local-strict")
NULL_FITS_TWICE = re.compile(r"oneOf failed, subschemas [\d, ]+ matched")
"""What is said of `cpu: null`, which each alternative takes; the API server takes it for absent."""
_FAULT = re.compile(r"- at '(?P<path>[^']*)': (?P<text>.*?)(?=\s+- at '|\Z)", re.DOTALL)


class SchemaFault(msgspec.Struct, frozen=True):
    """One thing the schema refuses: a JSON pointer into the object, and why."""

    pointer: str
    text: str


class Schemas(msgspec.Struct, frozen=True):
    """The strict schemas of one version: unknown fields are refused."""

    version: str
    source: Path
    """As the package has them."""

    def knows(self, api_version: str, kind: str) -> bool:
        """Whether there is a schema for this kind in this API version."""
        group, _, version = api_version.rpartition("/")
        suffix = f"-{group.partition('.')[0]}-{version}" if group else f"-{version}"
        return f"{kind.lower()}{suffix}.json" in _names(self.source)


@lru_cache(maxsize=4)
def _names(folder: Path) -> frozenset[str]:
    return frozenset(each.name for each in folder.iterdir())


@lru_cache(maxsize=4)
def find_schemas(minor: int) -> Schemas | None:
    """Those of Kubernetes 1.`minor`, else of the nearest version; None where the package is not there."""
    spec = importlib.util.find_spec("kubernetes_validate")
    places = spec.submodule_search_locations if spec is not None else None
    if not places:
        return None
    found = {
        int(match[1]): folder
        for folder in (Path(places[0]) / "kubernetes-json-schema").iterdir()
        if (match := _FOLDER.fullmatch(folder.name))
    }
    if not found:
        return None
    nearest = min(found, key=lambda each: (abs(each - minor), each))
    return Schemas(f"1.{nearest}", found[nearest])


def unavailable(minor: int) -> str:
    """Why a render cannot be checked against schemas, in one line; empty where it can."""
    if find_schemas(minor) is None:
        return "not checked against schemas: the Python package kubernetes-validate is not installed"
    if shutil.which("kubeconform") is None:
        return "not checked against schemas: kubeconform is not on PATH"
    return ""


def check(objects: Sequence[Obj], schemas: Schemas) -> list[list[SchemaFault]]:
    """What the schemas refuse, for each object; objects without a schema are skipped.

    Raises `CheckError` where kubeconform does not do its work.
    """
    program = shutil.which("kubeconform")
    if program is None:
        return [[] for _ in objects]
    location = f"{prepared(schemas)}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    with tempfile.TemporaryDirectory(prefix="preflight-") as made:
        indexes = _write(objects, Path(made))
        command = [program, "-output", "json", "-strict", "-ignore-missing-schemas", "-n", "4"]
        try:
            # kubeconform found on PATH, told a folder of our own
            done = subprocess.run(  # noqa: S603
                [*command, "-schema-location", location, made],
                capture_output=True,
                timeout=SECONDS,
                check=False,
                env={"GOGC": GARBAGE, **os.environ},
            )
            answer = ANSWER.decode(done.stdout)
        except subprocess.TimeoutExpired:
            raise CheckError(f"kubeconform did not end within {SECONDS:.0f} seconds") from None
        except (OSError, msgspec.DecodeError) as error:
            raise CheckError(f"kubeconform cannot be used: {error}") from None
    faults: list[list[SchemaFault]] = [[] for _ in objects]
    for resource in answer.resources:
        if resource.status in ("statusInvalid", "statusError"):
            file = Path(resource.filename).name
            index = indexes.get((file, resource.kind, resource.name), indexes.get((file, "", "")))
            if index is None:
                raise CheckError(f"kubeconform speaks of an object it was not told of: {resource.name}")
            faults[index] = _faults(resource.msg)
    return faults


def _write(objects: Sequence[Obj], folder: Path) -> dict[tuple[str, str, str], int]:
    """Write objects as streams in which each has another name, and one without a proper name in a file of
    its own; the objects' numbers by file, kind and name."""
    indexes: dict[tuple[str, str, str], int] = {}
    streams: dict[str, list[bytes]] = defaultdict(list)
    same: Counter[tuple[str, str]] = Counter()
    for index, each in enumerate(objects):
        file, kind, name = f"own-{index}.yaml", "", ""
        if each.name and each.name in (each.get("metadata", "name"), each.get("metadata", "generateName")):
            kind, name = each.kind, each.name
            same[kind, name] += 1
            file = f"{same[kind, name]}.yaml"
        indexes[file, kind, name] = index
        streams[file].append(msgspec.json.encode(each.doc))
    for file, documents in streams.items():
        (folder / file).write_bytes(b"\n---\n".join(documents))
    return indexes


class _Resource(msgspec.Struct):
    filename: str
    kind: str
    name: str
    status: str
    msg: str = ""


class _Answer(msgspec.Struct):
    resources: list[_Resource]


ANSWER = msgspec.json.Decoder(_Answer)
"""Made once: two threads in which msgspec meets a type for the first time crash the interpreter."""


def _faults(message: str) -> list[SchemaFault]:
    """The innermost of the nested complaints, one for each place."""
    found: dict[str, list[str]] = {}
    for match in _FAULT.finditer(message):
        text = " ".join(match["text"].split())
        if NULL_FITS_TWICE.fullmatch(text):
            continue
        if text != "validation failed" and not text.startswith(("'anyOf' failed", "'oneOf' failed")):
            texts = found.setdefault(match["path"], [])
            if text not in texts:
                texts.append(text)
    if not found and not NULL_FITS_TWICE.search(message):
        return [SchemaFault("", " ".join(message.split())[:300])]
    return [SchemaFault(pointer, "; ".join(texts)) for pointer, texts in found.items()]


def prepared(schemas: Schemas) -> Path:
    """The schemas of whole objects in the user's cache folder, each with the definitions it needs and no
    others, and without prose: kubeconform reads and compiles what a schema refers to again for every kind.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "preflight"
    package = schemas.source.parents[1]
    # importlib.metadata would say the same, and is slow to import
    release = next((each.stem for each in package.parent.glob(f"{package.name}-*.dist-info")), "unknown")
    folder = cache / f"schemas-{release}-whole" / schemas.version
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    known = _read(schemas.source / "_definitions.json")["$defs"]
    needs = {name: _references(definition) for name, definition in known.items()}
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        new = Path(made) / "new"
        new.mkdir()
        for file in schemas.source.glob("*.json"):
            schema = _read(file) if not file.name.startswith("_") else {}
            if GROUP_VERSION_KIND in schema:
                names = _reached(_references(schema), needs)
                schema["$defs"] = {name: known[name] for name in sorted(names)}
                (new / file.name).write_bytes(msgspec.json.encode(schema))
        if not folder.exists():
            new.rename(folder)
    return folder


GROUP_VERSION_KIND = "x-kubernetes-group-version-kind"
"""What schemas of whole objects have, and those of their parts have not."""
DEFINITIONS = "/api/_definitions.json"


def _read(file: Path) -> dict[str, Any]:
    bare: dict[str, Any] = _bare(msgspec.json.decode(file.read_bytes()))
    return bare


def _bare(schema: Any) -> Any:
    """The schema without descriptions (a property of that name is a mapping, and stays), and with references
    into its own definitions."""
    if isinstance(schema, list):
        return [_bare(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.removeprefix(DEFINITIONS) if key == "$ref" and isinstance(value, str) else _bare(value)
        for key, value in schema.items()
        if key != "description" or not isinstance(value, str)
    }


def _references(schema: Any) -> set[str]:
    """Names of the definitions a bare schema refers to."""
    return set(re.findall(r'"\$ref":"#/\$defs/([^"]+)"', msgspec.json.encode(schema).decode()))


def _reached(names: set[str], needs: dict[str, set[str]]) -> set[str]:
    """These definitions and all they need."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs[name]
    return found
