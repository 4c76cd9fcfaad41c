"""Messages made of the fields that a caller gives, read as a worker would read them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from vhm.client.errors import Refused
from vhm.contract.messages import Anchor, InvalidMessageError, Message, decode

M = TypeVar("M", bound=Message)

NOT_UNICODE = "text: not valid Unicode, half a surrogate pair is in it"


def checked(kind: type[M], fields: Mapping[str, Any]) -> M:
    """The message, as a worker would read it. Raises Refused with every fault."""
    try:
        return decode(kind, msgspec.json.encode({k: v for k, v in fields.items() if v is not None}))
    except InvalidMessageError as error:
        raise Refused(error.errors) from None
    except UnicodeEncodeError:
        raise Refused([NOT_UNICODE]) from None
    except (TypeError, ValueError) as error:  # a value that JSON cannot hold
        raise Refused([str(error)]) from None


def anchor_of(owner: str, fields: Mapping[str, Any]) -> Anchor:
    """The memory of `owner` that the `fields` of an anchor describe, `session` and `speaker` those of its
    meta; one without an id or a moment is given them.

    An id that is not given is derived from owner and content, the moment included: what is sent again
    after a failure is the same memory, what is said again another day is not. Raises Refused."""
    stored_at = fields.get("stored_at") or datetime.now(UTC)
    content = {**fields, "owner": owner, "stored_at": stored_at}
    said = {name: content.pop(name, None) for name in ("session", "speaker")}
    content["meta"] = {
        **fields.get("meta", {}),
        **{key: value for key, value in said.items() if value is not None},
    }
    if fields.get("anchor_id") is None:
        try:
            name = msgspec.json.encode(content, order="deterministic").decode()
        except UnicodeEncodeError:
            raise Refused([NOT_UNICODE]) from None
        except (TypeError, ValueError) as error:
            raise Refused([str(error)]) from None
        content["anchor_id"] = uuid.uuid5(uuid.NAMESPACE_URL, f"vhm:{name}")
    return checked(Anchor, content)
