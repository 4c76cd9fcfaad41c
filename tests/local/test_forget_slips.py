"""A slip in what is to be forgotten forgets nothing, whoever sends it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from local.foreign_client import ForeignClient
from vhm import Memory
from vhm.contract.topics import ANCHORS_FORGET, ANCHORS_FORGOTTEN
from vhm.local import System


@pytest.mark.parametrize(
    "slip",
    [
        {"user_id": "sam", "everything": True},
        {"owner": None, "everything": True},
        {"owner": "sam", "evrything": True},
        {"owner": "sam", "everything": True, "sesion": "s"},
        {"owner": "sam", "everything": False},
        {"owner": "sam", "anchor_ids": []},
        {"owner": "sam", "before": "2099-01-01T00:00:00Z", "session": "s"},
    ],
)
def test_a_slip_forgets_nothing(system: System, slip: dict[str, Any]) -> None:
    about, request_id = uuid.uuid4().hex, str(uuid.uuid4())
    with Memory.connect(environment={"KAFKA_BOOTSTRAP_SERVERS": system.bootstrap}) as memory:
        for owner in ("", "sam"):
            memory.of(owner).remember(f"{about} stays", session="s").wait()
        with ForeignClient(system.bootstrap, [ANCHORS_FORGOTTEN]) as wire:
            wire.send(ANCHORS_FORGET, {"request_id": request_id, **slip})
            answer = wire.answer(ANCHORS_FORGOTTEN, "request_id", request_id)
        assert answer["errors"], json.dumps(answer)
        for owner in ("", "sam"):
            assert [beat.text for beat in memory.of(owner).recall(about)][:1] == [f"{about} stays"]
