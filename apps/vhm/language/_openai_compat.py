"""What OpenAI's chat completions and everything that looks like them have in common."""

from __future__ import annotations

import json

from openai.types.chat import ChatCompletionMessageParam

from vhm.contract.env_loader import Secret
from vhm.language.postprocess import cleaned
from vhm.language.protocol import Refused, broken, refused
from vhm.memory.prompt import Prompt
from vhm.provider_errors import openai_status


def messages(prompt: Prompt) -> list[ChatCompletionMessageParam]:
    """The prompt as chat messages."""
    return [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]


def story(completion: object) -> str:
    """The story in a completion; a server may answer 200 and no completion at all. Raises Refused."""
    choices = getattr(completion, "choices", None)
    if not isinstance(choices, list) or not choices:
        raise Refused("an answer without choices")
    choice = choices[0]
    message, finish = getattr(choice, "message", None), getattr(choice, "finish_reason", None)
    if getattr(message, "refusal", None) or finish == "content_filter":
        raise Refused("it declined to tell this", its_fault=False)
    return cleaned(getattr(message, "content", None), cut_short=finish == "length")


def failure(error: Exception, model: str, key: Secret, url: str) -> Refused:
    """The one line for what a client library raised: OpenAI's errors, or others of the same shape."""
    status = openai_status(error, key)
    if status is not None:
        return refused(status, model)
    if isinstance(error, json.JSONDecodeError):
        return Refused("an answer that is not JSON")
    if isinstance(error, ValueError | TypeError):
        return Refused("an answer of another shape than a completion's")
    return broken(error, url)
