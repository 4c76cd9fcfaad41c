"""Requests of several recalls at once, sent as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from vhm.anchors.qdrant.requests import Request
from vhm.anchors.qdrant.wire import Point

Ask = Callable[[list[Request]], Awaitable[list[list[Point]]]]


class Together:
    """Whoever asks before the event loop's next turn goes with the others."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._waiting: list[tuple[list[Request], asyncio.Future[list[list[Point]]]]] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def ask(self, requests: list[Request]) -> list[list[Point]]:
        """The answers to some requests. Raises what `ask` raises, which is for all that went together."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[list[Point]]] = loop.create_future()
        self._waiting.append((requests, answer))
        if len(self._waiting) == 1:
            loop.call_soon(self._start)
        return await answer

    def _start(self) -> None:
        waiting, self._waiting = self._waiting, []
        task = asyncio.create_task(self._send(waiting))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, waiting: list[tuple[list[Request], asyncio.Future[list[list[Point]]]]]) -> None:
        try:
            answers = iter(await self._ask([request for requests, _ in waiting for request in requests]))
        except Exception as error:
            for _, answer in waiting:
                if not answer.done():
                    answer.set_exception(error)
            return
        for requests, answer in waiting:
            mine = [next(answers) for _ in requests]
            if not answer.done():
                answer.set_result(mine)
