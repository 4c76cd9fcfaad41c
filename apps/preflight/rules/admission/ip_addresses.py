"""IP addresses and blocks of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from preflight.model import Model
from preflight.rules.fields import Field, fields, mapping, reach
from preflight.rules.registry import Violation, at, rule

BLOCKS: dict[str, dict[str, None]] = {
    "NetworkPolicy": {
        "spec.ingress.*.from.*.ipBlock.cidr": None,
        "spec.egress.*.to.*.ipBlock.cidr": None,
        "spec.ingress.*.from.*.ipBlock.except.*": None,
        "spec.egress.*.to.*.ipBlock.except.*": None,
    },
    "Service": {"spec.loadBalancerSourceRanges.*": None},
}
ADDRESSES: dict[str, dict[str, None]] = {"Service": {"spec.externalIPs.*": None, "spec.loadBalancerIP": None}}


@rule("invalid-address", family="admission", severity="error", outcome="rejected by the API server")
def invalid_address(model: Model) -> Iterator[Violation]:
    """An IP address or block that does not parse, or an `except` outside its block.

    A NetworkPolicy's `cidr` wants a prefix length; a name or a bare address is refused.

        ipBlock:
          cidr: 10.0.0.1       # 10.0.0.1/32
    """
    for field, _ in fields(model, BLOCKS, {}, {}):
        if isinstance(field.value, str) and _block(field.value) is None:
            yield at(
                field.part,
                *field.path,
                message=f"{field.value!r} is no block of addresses",
                fix="write an address with a prefix length, such as 10.0.0.0/8",
            )
    for obj in model.objects_of("NetworkPolicy"):
        for way, peers in (("ingress", "from"), ("egress", "to")):
            for field in reach(obj, f"spec.{way}.*.{peers}.*.ipBlock", obj.doc):
                yield from _exceptions(field)
    for field, _ in fields(model, ADDRESSES, {"hostAliases.*.ip": None}, {}):
        if isinstance(field.value, str) and field.value and not _is_address(field.value):
            yield at(
                field.part,
                *field.path,
                message=f"{field.value!r} is no IP address",
                fix="write an address such as 10.0.0.1",
            )


def _exceptions(field: Field) -> Iterator[Violation]:
    """What an ipBlock excepts must be a part of it, and not all of it."""
    whole = _block(str(mapping(field.value).get("cidr")))
    excepted = mapping(field.value).get("except")
    for index, text in enumerate(excepted if isinstance(excepted, list) else []):
        part = _block(str(text))
        if whole is None or part is None or part.version != whole.version:
            continue
        inside = part.prefixlen > whole.prefixlen and part.network_address in whole
        if not inside:
            yield at(
                field.part,
                *field.path,
                "except",
                index,
                message=f"{text} is no part of {whole}",
                fix="name a smaller block inside it",
            )


def _block(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A block of addresses; leading zeros are accepted as the server accepts them."""
    try:
        plain = re.sub(r"(?<![0-9a-fA-F:])0+(?=\d)", "", text)
        return ipaddress.ip_network(plain, strict=False) if "/" in text else None
    except ValueError:
        return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
