"""The environment that a container would start with, as far as the render tells."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from preflight.cluster.objects import Obj, ObjectIndex
from preflight.documents.paths import Step, dig, list_at, strings
from preflight.findings import Place

Origin = Literal["literal", "configmap", "secret", "fieldref", "resourcefieldref", "filekeyref"]


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


class EnvFrom(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a container's `envFrom`."""

    kind: Literal["ConfigMap", "Secret"]
    name: str
    prefix: str
    optional: bool
    path: tuple[Step, ...]
    source: Obj | None
    """The object, if the render holds it."""


def sources(doc: Mapping[str, Any], path: tuple[Step, ...], obj: Obj, index: ObjectIndex) -> list[EnvFrom]:
    """The `envFrom` items of the container whose document stands at `path` of `obj`, in order."""
    found = []
    for number, item in enumerate(list_at(doc, "envFrom")):
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            ref = dig(item, field)
            if isinstance(ref, dict):
                name = str(ref.get("name") or "")
                found.append(
                    EnvFrom(
                        kind="ConfigMap" if kind == "ConfigMap" else "Secret",
                        name=name,
                        prefix=str(dig(item, "prefix", default="")),
                        optional=ref.get("optional") is True,
                        path=(*path, "envFrom", number),
                        source=index.find(kind, obj.namespace, name),
                    )
                )
    return found


def offers(doc: Mapping[str, Any], path: tuple[Step, ...], obj: Obj, index: ObjectIndex) -> list[EnvVar]:
    """Every variable offered, in the kubelet's order: `envFrom` items, then `env`; later ones win."""
    inherited = list(_of_sources(sources(doc, path, obj, index)))
    return [*inherited, *_of_items(doc, path, obj, index, inherited)]


def _of_sources(items: list[EnvFrom]) -> Iterator[EnvVar]:
    for item in items:
        if item.source is None:
            continue
        for key, value in data_of(item.source).items():
            yield EnvVar(
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


def _of_items(
    doc: Mapping[str, Any], path: tuple[Step, ...], obj: Obj, index: ObjectIndex, inherited: list[EnvVar]
) -> Iterator[EnvVar]:
    so_far = {each.name: each.value for each in inherited}
    for number, item in enumerate(list_at(doc, "env")):
        name = dig(item, "name")
        if not isinstance(name, str):
            continue
        variable = _item(obj, index, name, item, (*path, "env", number), so_far)
        if not variable.missing:
            so_far[name] = variable.value
        yield variable


def _item(
    obj: Obj,
    index: ObjectIndex,
    name: str,
    item: dict[str, Any],
    path: tuple[Step, ...],
    so_far: dict[str, str | None],
) -> EnvVar:
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        ref = dig(item, "valueFrom", field)
        if isinstance(ref, dict):
            return _keyed(obj, index, name, kind, ref, path, field)
    for field in ("fieldRef", "resourceFieldRef", "fileKeyRef"):
        if dig(item, "valueFrom", field) is not None:
            origin: Origin = "fieldref" if field == "fieldRef" else "resourcefieldref"
            origin = "filekeyref" if field == "fileKeyRef" else origin
            place = obj.where(*path, "valueFrom", field)
            return EnvVar(name=name, value=None, origin=origin, place=place, path=path)
    raw = dig(item, "value", default="")
    raw = raw if isinstance(raw, str) else str(raw)
    value, unexpanded = expand(raw, so_far)
    return EnvVar(
        name=name,
        value=value,
        raw=raw,
        origin="literal",
        place=obj.where(*path, "value"),
        path=path,
        unexpanded=unexpanded,
    )


def _keyed(
    obj: Obj,
    index: ObjectIndex,
    name: str,
    kind: str,
    ref: dict[str, Any],
    path: tuple[Step, ...],
    field: str,
) -> EnvVar:
    source_name, key = str(ref.get("name") or ""), str(ref.get("key") or "")
    source = index.find(kind, obj.namespace, source_name)
    data = data_of(source) if source is not None else {}
    missing = source is not None and key not in data
    place = obj.where(*path, "valueFrom", field, "key")
    return EnvVar(
        name=name,
        value=data.get(key),
        raw=data.get(key),
        origin="configmap" if kind == "ConfigMap" else "secret",
        optional=ref.get("optional") is True,
        missing=missing,
        place=place_of_key(source, key) if source is not None and not missing else place,
        path=path,
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
