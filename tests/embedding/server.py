"""A server on loopback that answers as Ollama, OpenAI and Portkey do, faults included."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

import numpy as np

KEY = "sk-never-to-be-shown-4711"
MODELS = {
    "nomic-embed-text:v1.5": 768,
    "text-embedding-3-small": 1536,
    "@azure/cohere-embed-v3": 1024,
    "tiny": 8,
}
WINDOW = 3000
"""Characters that a model reads here; real ones count tokens."""


def vector(text: str, size: int) -> list[float]:
    """Words hashed: the same text the same vector, and not of length 1."""
    found = np.full(size, 0.01)
    for word in text.lower().split():
        found[zlib.crc32(word.encode()) % size] += 1
    return [float(number) for number in found * 3]


class Server:
    """`faults` are done to coming requests, one each, in order; `always` to those after. A fault is a
    status, (status, headers), or one of hang, slow, drop, html, broken, count, size, nan, null."""

    def __init__(self) -> None:
        self.url = ""
        self.reset()

    def reset(self) -> None:
        """As it was when new; it keeps its address."""
        self.faults: list[Any] = []
        self.always: Any = None
        self.poison = ""
        self.sizes = dict(MODELS)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.busy = self.busiest = 0
        self.delay = 0.0

    async def start(self) -> None:
        """Serve until the loop ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines if line)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                await self._answer(first.split()[1], headers, json.loads(body), writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, path: str, headers: dict[str, str], request: dict[str, Any], writer: asyncio.StreamWriter
    ) -> None:
        self.requests.append(request)
        self.headers.append(headers)
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        try:
            await asyncio.sleep(self.delay)
            fault = self.faults.pop(0) if self.faults else self.always
            if self.poison and self.poison in " ".join(request["input"]):
                fault = 500
            status, answer, extra = self._judged(path, headers, request, fault)
            if fault == "hang":
                await asyncio.sleep(30)
            if fault == "drop":
                raise ConnectionResetError
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            kind = "text/html" if fault == "html" else "application/json"
            lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}", *extra]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            for byte in body if fault == "slow" else ():
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)
            if fault != "slow":
                writer.write(body)
            await writer.drain()
        finally:
            self.busy -= 1

    def _judged(
        self, path: str, headers: dict[str, str], request: dict[str, Any], fault: Any
    ) -> tuple[int, Any, list[str]]:
        ollama = path == "/api/embed"
        if not ollama and path != "/v1/embeddings":
            return 404, b"404 page not found", []

        def error(status: int, message: str, *extra: str) -> tuple[int, Any, list[str]]:
            said = {"error": message if ollama else {"message": message, "type": "x", "code": None}}
            return status, said, list(extra)

        key = headers.get("x-portkey-api-key") or headers.get("authorization", "").removeprefix("bearer ")
        if not ollama and key != KEY:
            return error(401, f"Incorrect API key provided: {key}.")
        if isinstance(fault, tuple):
            return error(fault[0], "slow down", *fault[1])
        if isinstance(fault, int):
            return error(fault, f"failed on purpose,\n  with {key or 'no key'} in it")
        size = self.sizes.get(request["model"], 0)
        if not size:
            return error(404, f'model "{request["model"]}" not found, try pulling it first')
        if any(len(text) > WINDOW for text in request["input"]):
            assert not ollama or request["truncate"] is False
            return error(400, "the input length exceeds the context length")
        found: list[Any] = [vector(text, size + (fault == "size")) for text in request["input"]]
        match fault:
            case "nan":
                found[-1][0] = float("nan")
            case "null":
                found[-1][0] = None
            case "count":
                found.pop()
            case "html":
                return 200, b"<html>Welcome to the proxy</html>", []
            case "broken":
                return 200, b'{"embeddings": [[0.1, ', []
        if ollama:
            return 200, {"model": request["model"], "embeddings": found, "total_duration": 1}, []
        data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(found)]
        return 200, {"object": "list", "data": data[::-1], "model": request["model"], "usage": {}}, []
