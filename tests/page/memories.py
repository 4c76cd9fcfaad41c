"""What is remembered on the pages that the tests look at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from vhm import Anchor
from vhm.client.fields import anchor_of

SAID: list[tuple[float, str, str, str]] = [
    (0.02, "Sam", "kitchen", "I am vegetarian now, so no more sausages for me, but eggs are fine."),
    (0.03, "Ann", "kitchen", "Then I bring the lentil pie on Friday."),
    (1.2, "Sam", "kitchen", "The oven runs twenty degrees too hot; everything from the recipe needs less."),
    (3.0, "Ann", "garden", "We planted the quince tree by the south wall, and watered it in with two cans."),
    (3.1, "Sam", "garden", "Quinces fruit after four years, the man at the nursery said."),
    (9.0, "Sam", "travel", "The night train to Vienna leaves at 20:13 from platform 7."),
    (
        16.0,
        "Mara",
        "roof",
        "We had tea on the roof with Mara until the swifts came back, and she told us about the house in "
        "Izmir: the blue door, the cat that was older than the cook, and the fig that grew out of the wall.",
    ),
    (30.0, "Sam", "doctor", "I am allergic to penicillin; the doctor wrote it on the first page."),
    (41.0, "Ann", "work", "Our new door code is 4471, and it changes every quarter."),
    (75.0, "Mara", "letters", "אני גרה עכשיו ברחוב הרצל 12, ליד הדואר, בקומה השנייה."),
    (76.0, "Mara", "letters", "سأصل يوم الخميس بالقطار الساعة الثامنة مساءً."),
    (
        120.0,
        "Sam",
        "work",
        "def total(items):\n    return sum(i.price for i in items)\n\n# no discount",
    ),
    (200.0, "Ann", "garden", "The first frost came on the ninth of October and took the dahlias."),
    (340.0, "Sam", "travel", "In Lisbon the tram 28 was full, so we walked up to Graça by the river."),
]

HOSTILE = {
    "script": '<script>document.title = "taken"</script><img src=x onerror=alert(1)><b>bold</b>',
    "escape": "before \x1b[31mred\x1b[0m after",
    "bidi": "the total is \u202e00.1$\u202c and not more",
    "null": "a\x00b\x07c",
    "template": "{{ 7 * 7 }} {% raw %} &amp; &lt;i&gt;",
    "long": "word " * 1_900,
    "unbroken": "x" * 4_000,
}


def anchors(owner: str = "sam") -> list[Anchor]:
    """The memories of `owner`, as old as they are to be now."""
    now = datetime.now(UTC)
    return [
        _anchor(owner, text, now - timedelta(days=days), {"speaker": speaker, "session": session})
        for days, speaker, session, text in SAID
    ]


def hostile(owner: str) -> list[Anchor]:
    """Texts, names and sessions that would break a page that trusts them."""
    now = datetime.now(UTC) - timedelta(hours=1)
    return [
        _anchor(owner, text, now - timedelta(minutes=number), {"speaker": text[:60], "session": text[:60]})
        for number, text in enumerate(HOSTILE.values())
    ]


def many(owner: str, count: int) -> list[Anchor]:
    """So many memories, three an hour."""
    now = datetime.now(UTC)
    return [
        _anchor(
            owner,
            f"entry {number} of the log, about matter {number % 97}",
            now - timedelta(minutes=20 * number),
            {},
        )
        for number in range(count)
    ]


def _anchor(owner: str, text: str, moment: datetime, meta: dict[str, Any]) -> Anchor:
    return anchor_of(owner, {"text": text, "stored_at": moment, "meta": meta})
