"""/v1/owners/{owner}/recall: a question, its beats, their story, and why."""

from __future__ import annotations

from typing import Any

from litestar import Request, post

from vhm.client.transport import ANSWER_SECONDS
from vhm.contract.rest import Recalled, RecallQuestion
from vhm.gateway.routes.bodies import TakesQuestion, read_one
from vhm.gateway.routes.owners import RESPONSES, OwnerPath, reader_of
from vhm.gateway.services import services_of


@post("/recall", operation_class=TakesQuestion, status_code=200, responses=RESPONSES)
async def recall(owner: OwnerPath, request: Request[Any, Any, Any]) -> Recalled:
    """What is remembered about a question, strongest first."""
    name = reader_of(request, owner)
    question = await read_one(request, RecallQuestion)
    found = await services_of(request).transport.recall(
        question.request(name), tell=question.tell, explain=question.explain, seconds=ANSWER_SECONDS
    )
    return Recalled(
        request_id=found.request_id,
        beats=found.beats,
        story=found.story,
        explanation=found.explanation,
    )
