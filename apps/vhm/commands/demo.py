"""`vhm demo`: the three-memories story, end to end."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta

import msgspec

from vhm import client
from vhm.client import Client
from vhm.commands.recall import ask, show
from vhm.contract.messages import Anchor, AnchorIndexed, encode
from vhm.contract.topics import ANCHORS_INDEXED, ANCHORS_WRITE, RECALL_RESPONSE, RETELL_RESPONSE
from vhm.errors import UserError
from vhm.local import System
from vhm.runtime.handler import Outgoing

MEMORIES = (
    (
        timedelta(days=45),
        1.6,
        "Mara taught me to bake sourdough in her tiny kitchen, and my first loaf burned",
    ),
    (timedelta(days=9), 1.0, "I baked rye bread for the street party and Mara came back for a second slice"),
    (timedelta(hours=3), 1.0, "Mara called to ask whether I would bake the bread for her wedding"),
)
QUERY = "How did baking bread with Mara begin, and where has it led?"


def demo() -> int:
    """Remember three memories, recall them, have them retold: the real workers, in this process."""
    started = time.monotonic()
    print("starting the three workers on an embedded broker and an embedded store …")
    with System() as system:
        print(f"ready after {time.monotonic() - started:.1f} s\n")
        environment = {"KAFKA_BOOTSTRAP_SERVERS": system.bootstrap}
        topics = [ANCHORS_INDEXED, RECALL_RESPONSE, RETELL_RESPONSE]
        with Client(client.settings(environment), topics) as connection:
            _remember(connection)
            print(f"\nrecall: {QUERY}\n")
            found, _ = ask(connection, QUERY, None, 5, None, 1, 30)
            show(found)
    print("\nNext: `vhm up`, then `vhm remember` and `vhm recall` in another terminal.")
    return 0


def _remember(connection: Client) -> None:
    now = datetime.now(UTC)
    for age, salience, text in MEMORIES:
        anchor = Anchor(anchor_id=uuid.uuid4(), text=text, stored_at=now - age, salience=salience)
        key = str(anchor.anchor_id).encode()
        connection.send(Outgoing(topic=ANCHORS_WRITE, key=key, value=encode(anchor)))
        for message in connection.answers(30):
            if message.topic() == ANCHORS_INDEXED and message.key() == key:
                answer = msgspec.json.decode(message.value() or b"", type=AnchorIndexed)
                if not answer.ok:
                    raise UserError(f"the indexer refused a memory: {answer.reason}: {answer.detail}")
                break
        else:
            raise UserError("no answer from the indexer for 30 s")
        print(f"remembered, salience {salience}: {text}")
