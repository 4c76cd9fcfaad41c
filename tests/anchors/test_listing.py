"""Reading what an owner has, page by page."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vhm.anchors.listing import Listing, after, decode_cursor
from vhm.anchors.local.index import Index
from vhm.anchors.payload import Content, Row
from vhm.anchors.scope import Scope

BEGAN = datetime(2026, 5, 1, tzinfo=UTC)


@given(
    hours=st.lists(st.integers(0, 4), max_size=40),
    owner=st.sampled_from(["", "sam"]),
    limit=st.integers(1, 7),
    bounds=st.tuples(*(st.none() | st.integers(0, 5) for _ in range(2))),
    text=st.sampled_from(["", "odd"]),
)
def test_pages_hold_everything_once_newest_first(
    hours: list[int], owner: str, limit: int, bounds: tuple[int | None, int | None], text: str
) -> None:
    scope, index = Scope(owner), Index(2, hybrid=False)
    rows = [
        Row(
            uuid.uuid4(),
            Content("odd" if number % 2 else "even", BEGAN + timedelta(hours=hour), owner=owner),
            np.array([1, 0], dtype=np.float32),
        )
        for number, hour in enumerate(hours)
    ]
    index.extend(rows)
    since, until = (None if hour is None else BEGAN + timedelta(hours=hour) for hour in bounds)
    wanted = sorted(
        (
            (-row.content.stored_at.timestamp(), str(scope.point_id(row.anchor_id)))
            for row in rows
            if (since is None or row.content.stored_at >= since)
            and (until is None or row.content.stored_at < until)
            and text in row.content.text
        ),
    )
    found: list[tuple[float, str]] = []
    cursor = None
    while True:
        listing = Listing(scope=scope, since=since, until=until, text=text, cursor=cursor, limit=limit)
        page = index.page(listing)
        assert len(page) <= limit
        found += [(-row.content.stored_at.timestamp(), str(scope.point_id(row.anchor_id))) for row in page]
        following = after(listing, page)
        if following is None:
            break
        cursor = decode_cursor(following.encode())
    assert found == wanted
