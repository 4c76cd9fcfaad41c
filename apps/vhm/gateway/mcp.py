"""The verbs as tools for language models, by the Model Context Protocol.

One server serves both ways in: `/mcp` of the gateway (streamable HTTP, without sessions, so that any replica
answers any request) and `vhm mcp` (standard input and output).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

import vhm
from vhm.client.errors import Refused, Unavailable
from vhm.client.memory import AsyncMemory
from vhm.contract.rest import BEATS

MOST_LISTED = 100

INSTRUCTIONS = """\
A memory of what people said, across conversations. Call `recall` before you answer anything that may depend
on who you speak with, what was said before, or what was agreed; ask it in the words of the question. Call
`remember` when somebody tells you something worth knowing later: one fact or statement a call, in their own
words, with their name as `speaker`. An empty recall means that nothing remembered is about it: say so rather
than guess."""

MemoryOf = Callable[[Context[Any, Any], str | None, bool], AsyncMemory]
"""The memory of a call: by its request, the owner it names, and whether it writes. Raises Refused."""

Owner = Annotated[str | None, Field(description="whose memory; leave out for your own")]
Moment = Annotated[datetime | None, Field(description="RFC 3339, as 2026-05-01T09:00:00Z")]
Session = Annotated[str | None, Field(description="the conversation, by any stable name")]


def create_server(memory_of: MemoryOf) -> MCPServer[Any]:
    """The server with its four tools."""
    server: MCPServer[Any] = MCPServer(
        "vhm",
        version=vhm.__version__,
        instructions=INSTRUCTIONS,
        log_level="CRITICAL",  # what fails in a tool is its answer; the library would print it as well
    )

    @server.tool(
        annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)
    )
    async def remember(
        text: Annotated[
            str, Field(min_length=1, max_length=10_000, description="one statement, as it was said")
        ],
        context: Context[Any, Any],
        speaker: Annotated[str | None, Field(description="the name of who said it")] = None,
        session: Session = None,
        at: Moment = None,
        salience: Annotated[float, Field(ge=0.3, le=2.5, description="how much it matters")] = 1.0,
        owner: Owner = None,
    ) -> str:
        """Store one statement for later conversations. Returns its id once it can be recalled."""
        memory = _memory(memory_of, context, owner, changes=True)
        with _Errors():
            pending = await memory.remember(text, speaker=speaker, session=session, at=at, salience=salience)
            return f"remembered as {(await pending.wait()).anchor_id}"

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def recall(
        question: Annotated[
            str, Field(min_length=1, description="what to remember, in the words of the question")
        ],
        context: Context[Any, Any],
        limit: Annotated[int, Field(ge=1, le=50)] = BEATS,
        session: Annotated[
            str | None, Field(description="this conversation: what was said in it is left out")
        ] = None,
        since: Moment = None,
        until: Moment = None,
        owner: Owner = None,
    ) -> str:
        """Find what was said about something, the most relevant first, each with its date. Says so when
        nothing remembered is about it: then do not guess."""
        memory = _memory(memory_of, context, owner, changes=False)
        with _Errors():
            found = await memory.recall(
                question, k=limit, session=session, since=since, until=until, tell=False
            )
        if not found.beats:
            return "Nothing remembered is about that."
        return "\n".join(
            f"- {_date(beat.stored_at) or beat.perceived_age}: {beat.text} (id {beat.anchor_id})"
            for beat in found
        )

    @server.tool(
        annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True)
    )
    async def forget(
        context: Context[Any, Any],
        anchor_id: Annotated[str | None, Field(description="the id of one memory, from recall")] = None,
        session: Annotated[
            str | None, Field(description="forget all that was said in this conversation")
        ] = None,
        before: Annotated[
            datetime | None, Field(description="forget all that was said before, RFC 3339")
        ] = None,
        owner: Owner = None,
    ) -> str:
        """Forget for good, when somebody asks for it: exactly one of `anchor_id`, `session` and `before`."""
        memory = _memory(memory_of, context, owner, changes=True)
        with _Errors():
            ids = [anchor_id] if anchor_id is not None else []
            count = await memory.forget(*ids, session=session, before=before)
        return f"forgot {count} {'memory' if count == 1 else 'memories'}"

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def list_memories(
        context: Context[Any, Any],
        since: Moment = None,
        until: Moment = None,
        limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 20,
        owner: Owner = None,
    ) -> str:
        """The newest memories, whatever they are about; to answer a question use `recall`."""
        memory = _memory(memory_of, context, owner, changes=False)
        lines: list[str] = []
        with _Errors():
            async for anchor in memory.memories(since=since, until=until):
                lines.append(f"- {_date(anchor.stored_at)}: {anchor.text} (id {anchor.anchor_id})")
                if len(lines) == limit:
                    break
        return "\n".join(lines) or "There are no memories."

    return server


class _Errors:
    """Turns the exceptions of a verb into the text that the model reads."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, Refused | Unavailable):
            raise ToolError(str(error)) from None


def _memory(
    memory_of: MemoryOf, context: Context[Any, Any], owner: str | None, *, changes: bool
) -> AsyncMemory:
    with _Errors():
        return memory_of(context, owner, changes)
    raise AssertionError("unreachable")


def _date(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M}" if moment is not None else None
