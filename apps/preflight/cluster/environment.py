"""The environment that a container would start with, as far as the render tells."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Literal

import msgspec

from preflight.cluster.objects import Field, Located, Obj, ObjectIndex
from preflight.documents.paths import Step, strings
from preflight.findings import Place

Origin = Literal["literal", "configmap", "secret", "fieldref", "resourcefieldref", "filekeyref"]
Source = Literal["ConfigMap", "Secret"]
ORIGINS: dict[str, Origin] = {
    "configMapKeyRef": "configmap",
    "secretKeyRef": "secret",
    "fieldRef": "fieldref",
    "resourceFieldRef": "resourcefieldref",
    "fileKeyRef": "filekeyref",
}
"""What `valueFrom` may hold."""


class EnvVar(msgspec.Struct, frozen=True, kw_only=True):
    """One variable a container is offered.

    `value` is None where the manifests cannot tell: a Secret made elsewhere, a field of the running pod.
    `missing` is True where the ConfigMap or Secret is in the render and lacks the key. Secret values are
    never to be printed: see `is_secret`.
    """

    name: str
    value: str | None
    origin: Origin
    optional: bool = False
    missing: bool = False
    place: Place
    """Where the value is written: the env item, the ConfigMap's entry, the generator's env file."""
    path: tuple[Step, ...]
    """Where the container asks for it: its `env` or `envFrom` item."""
    source: Obj | None = None
    """The ConfigMap or Secret it comes from, if the render holds it."""
    source_name: str = ""
    """That object's name as the container writes it."""
    key: str = ""
    """The key there."""
    raw: str | None = None
    """The value before `$(NAME)` was expanded."""
    unexpanded: tuple[str, ...] = ()
    """Names in `$(NAME)` that nothing before it sets: they stay in the value literally."""

    @property
    def is_secret(self) -> bool:
        """Whether the value comes from a Secret."""
        return self.origin == "secret"


def files_variables(variable: EnvVar) -> list[str]:
    """The variables of an env file that one variable holds as a whole; none where it holds no such file."""
    if not re.search(r"(^|\.)env$", variable.name):
        return []
    lines = [line for line in (variable.raw or variable.value or "").splitlines() if line.strip()]
    lines = [line for line in lines if not line.lstrip().startswith("#")]
    names = [match[1] for line in lines if (match := re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=", line))]
    return names if len(names) == len(lines) else []


class EnvFrom(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a container's `envFrom`."""

    kind: Source
    name: str
    prefix: str
    optional: bool
    path: tuple[Step, ...]
    source: Obj | None
    """The object, if the render holds it."""


def sources(container: Located, index: ObjectIndex) -> list[EnvFrom]:
    """The `envFrom` items of a container, in order."""
    kinds: dict[str, Source] = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
    found = []
    for item in container.fields("envFrom.*"):
        for field, kind in kinds.items():
            ref = item.get(field)
            if isinstance(ref, dict):
                name = str(ref.get("name") or "")
                found.append(
                    EnvFrom(
                        kind=kind,
                        name=name,
                        prefix=str(item.get("prefix", default="")),
                        optional=ref.get("optional") is True,
                        path=item.path,
                        source=index.find(kind, container.obj.namespace, name),
                    )
                )
    return found


def offers(container: Located, index: ObjectIndex) -> list[EnvVar]:
    """Every variable offered, in the kubelet's order: `envFrom` items, then `env`; later ones win."""
    found = [
        EnvVar(
            name=item.prefix + key,
            value=value,
            raw=value,
            origin="configmap" if item.kind == "ConfigMap" else "secret",
            optional=item.optional,
            place=place_of_key(item.source, key),
            path=item.path,
            source=item.source,
            source_name=item.name,
            key=key,
        )
        for item in sources(container, index)
        if item.source is not None
        for key, value in data_of(item.source).items()
    ]
    so_far = {each.name: each.value for each in found}
    for item in container.fields("env.*"):
        name = item.get("name")
        if isinstance(name, str):
            variable = _variable(name, item, index, so_far)
            if not variable.missing:
                so_far[name] = variable.value
            found.append(variable)
    return found


def _variable(name: str, item: Field, index: ObjectIndex, so_far: dict[str, str | None]) -> EnvVar:
    for field, origin in ORIGINS.items():
        ref = item.get("valueFrom", field)
        if ref is not None:
            if isinstance(ref, dict) and origin in ("configmap", "secret"):
                return _of_key(name, item, field, ref, index)
            place = item.where("valueFrom", field)
            return EnvVar(name=name, value=None, origin=origin, place=place, path=item.path)
    raw = str(item.get("value", default=""))
    value, unexpanded = expand(raw, so_far)
    return EnvVar(
        name=name,
        value=value,
        raw=raw,
        origin="literal",
        place=item.where("value"),
        path=item.path,
        unexpanded=unexpanded,
    )


def _of_key(name: str, item: Field, field: str, ref: dict[str, Any], index: ObjectIndex) -> EnvVar:
    source_name, key = str(ref.get("name") or ""), str(ref.get("key") or "")
    source = index.find(
        "ConfigMap" if field == "configMapKeyRef" else "Secret", item.obj.namespace, source_name
    )
    data = data_of(source) if source is not None else {}
    is_there = source is not None and key in data
    return EnvVar(
        name=name,
        value=data.get(key),
        raw=data.get(key),
        origin=ORIGINS[field],
        optional=ref.get("optional") is True,
        missing=source is not None and not is_there,
        place=place_of_key(source, key) if source and is_there else item.where("valueFrom", field, "key"),
        path=item.path,
        source=source,
        source_name=source_name,
        key=key,
    )


def data_of(obj: Obj) -> dict[str, str]:
    """What a ConfigMap or Secret offers by key; `data` of a Secret is decoded, binary is kept as ''."""
    values = dict.fromkeys(obj.mapping("binaryData"), "")
    for key, value in strings(obj.get("data")).items():
        values[key] = _decoded(value) if obj.kind == "Secret" else value
    return values | strings(obj.get("stringData"))


def place_of_key(obj: Obj, key: str) -> Place:
    """Where the value of one key of a ConfigMap or Secret is written."""
    field = next((f for f in ("stringData", "data", "binaryData") if key in obj.mapping(f)), "data")
    return obj.where(field, key)


_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(raw: str, known: dict[str, str | None]) -> tuple[str | None, tuple[str, ...]]:
    """A value with `$(NAME)` replaced as the kubelet does, and the names it leaves as they are.

    `$$` is an escaped `$`. The value is None if it takes in one that is not known.
    """
    unknown: list[str] = []
    left: list[str] = []

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        if name not in known:
            left.append(name)
            return match[0]
        value = known[name]
        if value is None:
            unknown.append(name)
        return value or ""

    value = _REFERENCE.sub(replace, raw)
    return (None if unknown else value), tuple(left)


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=False).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
