"""Room for batches: by their number and by their bytes."""

from __future__ import annotations

import threading
import time

from vhm.runtime.backpressure import Backpressure


def test_a_full_pipeline_has_room_again_when_a_call_ends() -> None:
    limit = Backpressure(2)
    limit.acquire(5)
    limit.acquire(5)
    assert limit.wait_for_room(0.01) == 0
    threading.Timer(0.05, limit.release, (5,)).start()
    began = time.monotonic()
    assert limit.wait_for_room(5) == 1
    assert time.monotonic() - began < 2
    assert limit.half_empty()


def test_large_records_leave_no_room_before_its_slots_do() -> None:
    limit = Backpressure(10, max_bytes=100)
    limit.acquire(100)
    assert limit.wait_for_room(0.01) == 0
    assert not limit.half_empty()
    limit.release(100)
    assert limit.wait_for_room(0.01) == 10


def test_closing_wakes_whoever_waits() -> None:
    limit = Backpressure(1)
    limit.acquire(1)
    threading.Timer(0.02, limit.close).start()
    began = time.monotonic()
    assert limit.wait_for_room(5) == 0
    assert time.monotonic() - began < 2
