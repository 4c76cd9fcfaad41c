"""Reading an embeddings response of OpenAI's API, whoever serves it."""

from __future__ import annotations

from vhm.provider_errors import bad_answer


def vectors_of(response: object) -> list[list[float]]:
    """The vectors of a response in the order of the texts; a server may answer 200 without any vector.

    Raises ProviderError.
    """
    data = getattr(response, "data", None)
    if not isinstance(data, list):
        raise bad_answer("not OpenAI's JSON")
    indices = [getattr(item, "index", None) for item in data]
    if sorted(index for index in indices if isinstance(index, int)) == list(range(len(data))):
        data = sorted(data, key=lambda item: item.index)
    return [getattr(item, "embedding", None) or [] for item in data]
