"""Chat completions of OpenAI's API, whoever serves it: the messages sent, and the answer read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhm.language.postprocess import clean
from vhm.memory.prompt import Prompt
from vhm.provider_errors import FailureKind, ProviderError, bad_answer

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam


def messages(prompt: Prompt) -> list[ChatCompletionMessageParam]:
    """The prompt as chat messages."""
    return [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]


def answer_of(completion: object) -> str:
    """The cleaned answer in a completion; a server may answer 200 without one. Raises ProviderError."""
    choices = getattr(completion, "choices", None)
    if not isinstance(choices, list) or not choices:
        raise bad_answer("without choices")
    choice = choices[0]
    message, finish = getattr(choice, "message", None), getattr(choice, "finish_reason", None)
    if getattr(message, "refusal", None) or finish == "content_filter":
        raise ProviderError("it declined to tell this", FailureKind.DECLINED)
    return clean(getattr(message, "content", None), cut_short=finish == "length")
