"""The verbs over HTTP: requests to a gateway (`contract.rest`)."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import msgspec

from vhm.client.errors import Refused, Unavailable
from vhm.client.results import Receipt, Recollection
from vhm.client.transport import ANSWER_SECONDS, CLOSE_SECONDS, Listing
from vhm.contract.messages import Anchor, AnchorsForget, RecallRequest
from vhm.contract.rest import (
    NO_OWNER,
    Forgotten,
    Memories,
    NewMemory,
    Owners,
    Problem,
    Recalled,
    RecallQuestion,
    Receipts,
    StoredAnchor,
)

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
MOST_UNANSWERED = 64
"""Most memories without a receipt at once."""

TRIES = 3
"""Times that a request which may be repeated is sent while the gateway says `try again`."""

T = TypeVar("T")


class PendingRequest:
    """A memory on its way through the gateway."""

    def __init__(self, anchor_id: uuid.UUID, work: asyncio.Task[Receipt]) -> None:
        self.anchor_id = anchor_id
        self._work = work
        # whoever waits for the receipt hears of a failure; nobody has to
        work.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def accepted(self) -> None:
        """See `Pending.accepted`."""
        await asyncio.shield(self._work)

    async def wait(self, seconds: float = ANSWER_SECONDS) -> Receipt:
        """See `Pending.wait`."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._work), seconds)
        except TimeoutError:
            raise Unavailable(f"no receipt from the gateway for {seconds:g} s; ask again later") from None


class HttpTransport:
    """`Transport` over a gateway at `url`, with the key that it asks for."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._client: httpx.AsyncClient
        self._room = asyncio.Semaphore(MOST_UNANSWERED)
        self._sending: set[asyncio.Task[Receipt]] = set()

    async def open(self) -> None:
        """See `Transport.open`; the connection itself is made by the first request."""
        import httpx

        bearer = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._client = httpx.AsyncClient(
            base_url=self._url,
            headers=bearer,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=MOST_UNANSWERED),
        )

    async def remember(self, anchor: Anchor, *, filled: bool) -> PendingRequest:
        """See `Transport.remember`."""
        del filled  # the gateway is given id and moment, so what is sent again is the same memory
        await self._room.acquire()
        work = asyncio.get_running_loop().create_task(self._store(anchor))
        self._sending.add(work)
        work.add_done_callback(self._sent)
        return PendingRequest(anchor.anchor_id, work)

    async def recall(
        self, request: RecallRequest, *, tell: bool, explain: int, seconds: float
    ) -> Recollection:
        """See `Transport.recall`."""
        question = RecallQuestion.of(request, tell=tell, explain=explain)
        path = f"{_path(request.owner)}/recall"
        answer = await self._ask("POST", path, Recalled, body=question, seconds=seconds)
        return Recollection(
            request_id=answer.request_id,
            owner=request.owner,
            beats=answer.beats,
            story=answer.story,
            explanation=answer.explanation,
        )

    async def forget(self, request: AnchorsForget, *, seconds: float) -> int:
        """See `Transport.forget`."""
        path = _path(request.owner)
        if request.anchor_ids is not None:
            gone = [
                await self._ask("DELETE", f"{path}/memories/{anchor_id}", Forgotten, seconds=seconds)
                for anchor_id in request.anchor_ids
            ]
            return sum(answer.forgotten for answer in gone)
        if request.session is not None:
            path, bound = f"{path}/sessions/{quote(request.session, safe='')}", {}
        elif request.before is not None:
            path, bound = f"{path}/memories", {"before": request.before.isoformat()}
        else:
            bound = {"everything": "true"}
        return (await self._ask("DELETE", path, Forgotten, query=bound, seconds=seconds)).forgotten

    async def get(self, owner: str, anchor_id: uuid.UUID) -> StoredAnchor | None:
        """See `Reader.get`."""
        try:
            return await self._ask("GET", f"{_path(owner)}/memories/{anchor_id}", StoredAnchor)
        except _MissingError:
            return None

    async def page(self, listing: Listing) -> Memories:
        """See `Reader.page`."""
        query = {"limit": str(listing.limit)}
        for name in ("since", "until"):
            if (moment := getattr(listing, name)) is not None:
                query[name] = moment.isoformat()
        if listing.text:
            query["text"] = listing.text
        if listing.where:
            query["where"] = msgspec.json.encode(listing.where).decode()
        if listing.cursor is not None:
            query["cursor"] = listing.cursor
        return await self._ask("GET", f"{_path(listing.owner)}/memories", Memories, query=query)

    async def owners(self) -> list[str]:
        """See `Reader.owners`."""
        return (await self._ask("GET", "/v1/owners", Owners)).owners

    async def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """See `Transport.close`."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=seconds)
        await self._client.aclose()

    async def _store(self, anchor: Anchor) -> Receipt:
        memory = NewMemory(
            text=anchor.text,
            anchor_id=anchor.anchor_id,
            stored_at=anchor.stored_at,
            salience=anchor.salience,
            meta=anchor.meta,
            supersedes=anchor.supersedes,
            expires_at=anchor.expires_at,
        )
        path = f"{_path(anchor.owner)}/memories"
        answer = await self._ask("POST", path, Receipts, body=memory, prefer="wait")
        receipt = answer.receipts[0]
        if receipt.ok is False:
            raise Refused(receipt.faults)
        return Receipt(anchor_id=receipt.anchor_id, owner=anchor.owner)

    def _sent(self, work: asyncio.Task[Receipt]) -> None:
        self._sending.discard(work)
        self._room.release()

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        body: msgspec.Struct | None = None,
        query: dict[str, str] | None = None,
        prefer: str | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> T:
        """One request, sent again while the gateway is busy: every verb may be repeated."""
        import httpx

        headers = {"Content-Type": "application/json"} if body is not None else {}
        if prefer:
            headers["Prefer"] = prefer
        content = msgspec.json.encode(body) if body is not None else None
        for attempt in range(1, TRIES + 1):
            try:
                response = await self._client.request(
                    method, path, content=content, params=query, headers=headers, timeout=seconds
                )
            except httpx.TimeoutException:
                raise Unavailable(f"no answer from {self._url} for {seconds:g} s") from None
            except httpx.InvalidURL as error:
                raise Unavailable(f"VHM_URL: {self._url}: {error}") from None
            except httpx.HTTPError as error:
                raise Unavailable(f"no gateway answers at {self._url} (VHM_URL): {error}") from None
            wait = _seconds(response.headers.get("Retry-After"))
            if response.status_code not in (429, 503) or attempt == TRIES or wait > seconds:
                return _read(response, kind, self._url)
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")


class _MissingError(Exception):
    """404: the gateway has no such resource."""


def _read(response: httpx.Response, kind: type[T], url: str) -> T:
    if response.is_success:
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.MsgspecError as error:
            raise Unavailable(f"{url} does not answer as a vhm gateway does: {error}") from None
    try:
        problem = msgspec.json.decode(response.content, type=Problem)
    except msgspec.MsgspecError:
        raise Unavailable(f"{url} answers {response.status_code}; is it a vhm gateway?") from None
    if response.status_code == 404:
        raise _MissingError
    line = problem.detail or problem.title
    if response.status_code in (401, 403):
        raise Refused([f"{line} (VHM_KEY)"])
    if response.status_code in (429, 500, 502, 503, 504):
        raise Unavailable(f"{url}: {line}")
    raise Refused(problem.faults or [line])


def _path(owner: str) -> str:
    return f"/v1/owners/{quote(owner, safe='') or NO_OWNER}"


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else 1.0
