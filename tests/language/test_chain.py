"""The chain without providers: the built-in teller is always there."""

from __future__ import annotations

import asyncio
import uuid

from vhm import language
from vhm.contract.messages import Beat
from vhm.contract.settings import LanguageSettings
from vhm.memory import builtin_teller

BEATS = [
    Beat(
        anchor_id=uuid.UUID(int=1),
        text="I missed the train to Breda.",
        perceived_age="2 weeks ago",
        activation=0.9,
    )
]


def settings(**given):
    return LanguageSettings(kafka_bootstrap_servers="127.0.0.1:9092", **given)


def test_without_providers_the_built_in_teller_tells():
    told = asyncio.run(language.chain(settings(), 30).retell(BEATS))
    assert told == language.Retelling(builtin_teller.tell(BEATS), "built-in")


def test_nothing_to_tell_is_said_so():
    told = asyncio.run(language.chain(settings(), 30).retell([]))
    assert told.text == "Nothing I remember is about that."
