"""An HTTP server on loopback that behaves like OpenAI, Portkey and Ollama do, well or badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

STORY = "I took the train to Breda two weeks ago. Before that, I think, I had lost my keys."


class Request(msgspec.Struct):
    """What a client asked."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def ollama(self) -> bool:
        return self.path.startswith("/api/")


class Answer(msgspec.Struct):
    """What it gets: `body` in `pieces`, `pause` seconds before each of them."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = {}
    content_type: str = "application/json"
    pieces: int = 1
    pause: float = 0.0


Behaviour = Callable[[Request], Answer]


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def told(text: Any, finish: str = "stop", **message: Any) -> Behaviour:
    """Answers 200 with that text, in the shape of the API that was asked."""

    def answer(request: Request) -> Answer:
        if request.ollama:
            return Answer(encoded({"model": "m", "response": text, "done": True, "done_reason": finish}))
        choice = {
            "index": 0,
            "finish_reason": finish,
            "message": {"role": "assistant", "content": text, **message},
        }
        return Answer(
            encoded(
                {
                    "id": "chatcmpl-1",
                    "object": "chat.completion",
                    "created": 1_700_000_000,
                    "model": "m",
                    "choices": [choice],
                    "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
                }
            )
        )

    return answer


def error(status: int, message: str, **headers: str) -> Behaviour:
    """Answers with an error status, in the shape of the API that was asked; a key is repeated in it."""

    def answer(request: Request) -> Answer:
        key = request.headers.get("authorization", "") + request.headers.get("x-portkey-api-key", "")
        text = f"{message} {key}".strip()
        said = {"error": text} if request.ollama else {"error": {"message": text, "type": "t", "code": None}}
        return Answer(
            encoded(said), status, {name.replace("_", "-"): value for name, value in headers.items()}
        )

    return answer


def raw(body: bytes, content_type: str = "application/json") -> Behaviour:
    """Answers 200 with just that."""
    return lambda request: Answer(body, content_type=content_type)


def slowly(behaviour: Behaviour, pause: float, pieces: int = 1) -> Behaviour:
    """The same answer, in pieces and late."""

    def answer(request: Request) -> Answer:
        return msgspec.structs.replace(behaviour(request), pause=pause, pieces=pieces)

    return answer


class ProviderServer:
    """`behave` decides every answer; `requests` holds what was asked."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.requests: list[Request] = []
        self.url = ""
        self._open: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    async def asked(self, count: int) -> None:
        """Wait until that many requests came."""
        while len(self.requests) < count:
            self._news.clear()
            await self._news.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while line := await reader.readline():
                await self._answer(line.decode().split()[1], reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = {}
        while (line := (await reader.readline()).decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.requests.append(Request(path, headers, body))
        self._news.set()
        answer = self.behave(self.requests[-1])
        head = [f"HTTP/1.1 {answer.status} X", f"content-type: {answer.content_type}"]
        head += [f"content-length: {len(answer.body)}"]
        head += [f"{name}: {value}" for name, value in answer.headers.items()]
        start = "\r\n".join(head).encode() + b"\r\n\r\n"
        size = -(-len(answer.body) // answer.pieces) or 1
        parts = [answer.body[i : i + size] for i in range(0, len(answer.body), size)] or [b""]
        for number, part in enumerate(parts):
            await asyncio.sleep(answer.pause)
            writer.write(part if number else start + part)
            await writer.drain()

    @classmethod
    @asynccontextmanager
    async def running(cls, behave: Behaviour) -> AsyncIterator[ProviderServer]:
        server = cls(behave)
        listening = await asyncio.start_server(server._serve, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        try:
            yield server
        finally:
            listening.close()
            for task in list(server._open):
                task.cancel()
            await asyncio.gather(*server._open, return_exceptions=True)
