"""Conditions: several reporters, and one log line at each end."""

from __future__ import annotations

import structlog
from structlog.testing import capture_logs

from vhm.runtime.readiness import Readiness


def test_a_condition_is_logged_when_it_begins_and_when_it_ends() -> None:
    readiness = Readiness(structlog.get_logger())
    with capture_logs() as lines:
        for nth in range(5):
            readiness.report("store", f"away ({nth})", by=nth % 2)
        assert readiness.reasons() == ["store: away (4)"]
        readiness.report("store", None, by=0)
        assert readiness.reasons() == ["store: away (4)"]
        readiness.report("store", None, by=1)
        readiness.report("store", None, by=1)
    assert readiness.reasons() == []
    assert [line["event"] for line in lines] == ["not ready", "recovered"]
