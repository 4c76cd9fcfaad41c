"""What OpenAI's embeddings and everything that looks like them have in common."""

from __future__ import annotations

from vhm.contract.env_loader import Secret
from vhm.embedding.errors import Fault, broken, odd, refused
from vhm.provider_errors import openai_status


def rows(answer: object) -> list[list[float]]:
    """The vectors of an answer in the order of the texts; a server may answer 200 and no vectors at all.
    Raises Fault."""
    data = getattr(answer, "data", None)
    if not isinstance(data, list):
        raise odd("not OpenAI's JSON")
    places = [getattr(item, "index", None) for item in data]
    if sorted(place for place in places if isinstance(place, int)) == list(range(len(data))):
        data = sorted(data, key=lambda item: item.index)
    return [getattr(item, "embedding", None) or [] for item in data]


def fault(error: Exception, model: str, key: Secret, variable: str) -> Fault:
    """What a client library raised, OpenAI's or a copy of the same shape; `variable` holds the key."""
    if isinstance(error, Fault):
        return error
    status = openai_status(error, key)
    if status is not None:
        return refused(status, model, variable)
    if isinstance(error, ValueError | TypeError | AttributeError):
        return odd("not OpenAI's JSON")
    return broken(error)
