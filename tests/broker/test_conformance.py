"""What the runtime promises, the same on the embedded and on a real broker."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest
from structlog.testing import LogCapture

from broker.conftest import Place
from broker.harness import DEAD, IN, OUT, Echo, until
from vhm.contract.version import build


def test_every_record_is_answered_once_and_everything_is_committed(place: Place) -> None:
    with place.run(Echo()) as worker:
        worker.ready()
        place.client.write(b"%d" % n for n in range(1_000))
        answers = place.client.values(OUT, 1_000, extra=0.3)
        assert Counter(answers) == Counter(b"%d" % n for n in range(1_000))
        until(lambda: sum(place.client.committed().values()) == 1_000, 5)
    assert worker.code == 0


def test_an_answer_carries_the_build_and_the_trace(place: Place) -> None:
    with place.run(Echo()) as worker:
        worker.ready()
        place.client.write([b"traced"], headers=[("traceparent", b"00-ab-cd-01"), ("other", b"stays")])
        headers = place.client.read(OUT)[0].headers()
    assert dict(headers or []) == {"traceparent": b"00-ab-cd-01", "vhm-build": build().encode()}


def test_poison_becomes_a_dead_letter_and_the_next_record_is_handled(place: Place, log: LogCapture) -> None:
    client = place.client
    with place.run(Echo(batch_size=1)) as worker:
        worker.ready()
        client.write([b"poison\xff answered"], key=b"k", headers=[("mine", b"1")], partition=1)
        client.write([b"fine"], partition=1)
        letter = client.read(DEAD)[0]
        assert Counter(client.values(OUT, 2)) == Counter([b"poison\xff answered", b"fine"])
    headers = dict(letter.headers() or [])
    original = int(headers.pop("vhm-timestamp") or b"")
    assert (letter.key(), letter.value()) == (b"k", b"poison\xff answered")
    assert abs(original - time.time() * 1_000) < 60_000
    assert json.loads(headers.pop("vhm-errors") or b"") == ["text: required, missing"]
    assert headers == {
        "mine": b"1",
        "vhm-reason": b"nonsense",
        "vhm-topic": IN.encode(),
        "vhm-partition": b"1",
        "vhm-offset": b"0",
        "vhm-build": build().encode(),
    }
    line = next(e for e in log.entries if e["event"] == "dead letter")
    assert (line["reason"], line["request_id"], line["offset"]) == ("nonsense", "k", 0)


def test_a_record_without_a_key_is_handled_and_its_dead_letter_has_none(place: Place) -> None:
    with place.run(Echo()) as worker:
        worker.ready()
        place.client.write([b"poison"])
        assert place.client.read(DEAD)[0].key() is None


def test_what_is_unavailable_is_tried_until_it_is_there(place: Place, log: LogCapture) -> None:
    handler = Echo()
    with place.run(handler) as worker:
        worker.ready().assigned()
        handler.down = "the store at http://store:6333 is away"
        place.client.write([b"a", b"b"])
        until(lambda: handler.calls > 3)
        page = worker.get("/readyz")
        assert page.status == 503
        assert page.body["reasons"] == ["work: the store at http://store:6333 is away"]
        assert worker.get("/livez").status == 200
        assert place.client.committed() == {}
        handler.down = None
        assert Counter(place.client.values(OUT, 2, extra=0.2)) == Counter([b"a", b"b"])
        worker.ready(5)
    states = [e["event"] for e in log.entries if e.get("subject") == "work"]
    assert states == ["not ready", "recovered"]


@pytest.mark.slow
def test_waiting_for_what_the_work_needs_is_no_reason_to_be_killed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vhm.runtime.status.LOOP_STALLED_SECONDS", 1.5)
    handler = Echo()
    handler.opening = "the store at http://store:6333 is away"
    with place.run(handler) as worker:
        time.sleep(2.5)
        assert worker.get("/readyz").status == 503
        assert worker.get("/livez").status == 200
        handler.opening = None
        worker.ready()


def test_a_defect_of_the_handler_costs_one_record_not_the_partition(place: Place) -> None:
    with place.run(Echo()) as worker:
        worker.ready()
        place.client.write([b"1", b"boom", b"2", b"boom, unanswerable"], partition=0)
        told = b"reteller failed at this message (RuntimeError); it is in recall-response.dead-letter"
        assert Counter(place.client.values(OUT, 3, extra=0.3)) == Counter([b"1", b"2", told])
        headers = dict(place.client.read(DEAD)[0].headers() or [])
    assert headers["vhm-reason"] == b"handler_failed"
    assert json.loads(headers["vhm-errors"] or b"") == ["RuntimeError: a defect"]


def test_only_the_done_prefix_is_committed(place: Place) -> None:
    handler = Echo(batch_size=1, max_batches=8)
    with place.run(handler) as worker:
        worker.ready()
        place.client.write([b"0", b"1", b"hold", b"3", b"4"], partition=0)
        assert len(place.client.read(OUT, 4)) == 4
        until(lambda: place.client.committed().get(0) == 2, 5)
        time.sleep(0.4)
        assert place.client.committed()[0] == 2
        handler.let_go.set()
        until(lambda: place.client.committed().get(0) == 5, 5)


@pytest.mark.slow
def test_a_full_window_pauses_keeps_the_partitions_and_goes_on(place: Place) -> None:
    handler = Echo(batch_size=1, max_batches=2)
    client = place.client
    with place.run(handler) as worker:
        worker.ready().assigned()
        before = worker.partitions()
        client.write([b"hold"] * 2 + [b"%d" % n for n in range(200)])
        time.sleep(2.5)  # more than the second after which everything is paused
        assert worker.get("/livez").status == 200
        assert worker.partitions() == before
        handler.let_go.set()
        expected = Counter([b"hold"] * 2 + [b"%d" % n for n in range(200)])
        assert Counter(client.values(OUT, 202, extra=0.3)) == expected


def test_a_graceful_stop_loses_and_repeats_nothing(place: Place) -> None:
    client = place.client
    with place.run(Echo(seconds=0.002, batch_size=20)) as first:
        first.ready().assigned()
        client.write(b"%d" % n for n in range(2_000))
        until(lambda: len(first._handler.handled) > 300)
        assert first.stop() == 0
    with place.run(Echo()) as second:
        second.ready()
        answers = client.values(OUT, 2_000, extra=0.5)
    assert Counter(answers) == Counter(b"%d" % n for n in range(2_000))


def test_a_stop_is_heard_at_once_and_what_is_in_flight_is_finished(place: Place) -> None:
    handler = Echo(batch_size=1)
    with place.run(handler) as worker:
        worker.ready()
        place.client.write([b"hold"])
        until(lambda: handler.calls == 1)
        worker.loop.call_soon_threadsafe(worker.worker.stop)
        until(lambda: worker.get("/readyz").status == 503, 2)
        assert worker.get("/readyz").body["reasons"] == ["stage: stopping"]
        assert worker.get("/livez").status == 200
        handler.let_go.set()
        assert worker.join() == 0
    assert handler.drained == 5.0
    assert handler.closed
    assert place.client.values(OUT) == [b"hold"]
    assert sum(place.client.committed().values()) == 1


def test_what_does_not_finish_in_time_is_left_for_the_next(place: Place) -> None:
    with place.run(Echo(batch_size=1), RETELLER_SHUTDOWN_TIMEOUT_SECONDS="0.5") as first:
        first.ready()
        place.client.write([b"hold"])
        until(lambda: first._handler.calls == 1)
        began = time.monotonic()
        assert first.stop() == 0
        assert time.monotonic() - began < 3
    second = Echo()
    second.let_go.set()
    with place.run(second) as worker:
        worker.ready()
        assert place.client.values(OUT) == [b"hold"]


@pytest.mark.slow
def test_work_moves_to_a_newcomer_and_back_without_repeating(place: Place) -> None:
    client = place.client
    with place.run(Echo(seconds=0.002, batch_size=10)) as first:
        first.ready().assigned()
        everything = len(first.partitions())
        client.write(b"a%d" % n for n in range(1_000))
        with place.run(Echo(seconds=0.002, batch_size=10)) as second:
            second.ready().assigned()
            client.write(b"b%d" % n for n in range(1_000))
            until(lambda: 0 < len(first.partitions()) < everything)
            assert not first.partitions() & second.partitions()
            for partition in range(everything):  # left to the client, they may all go to the first's
                numbers = range(partition, 1_000, everything)
                client.write((b"c%d" % n for n in numbers), partition=partition)
            until(lambda: bool(second._handler.handled))
            assert second.stop() == 0
        first.assigned(everything)
        client.write(b"d%d" % n for n in range(100))
        answers = client.values(OUT, 3_100, extra=0.5)
    expected = Counter(b"%c%d" % (letter, n) for letter in b"abc" for n in range(1_000))
    assert Counter(answers) == expected + Counter(b"d%d" % n for n in range(100))


def test_health_tells_build_settings_assignment_lag_and_counters(place: Place) -> None:
    with place.run(Echo(), OPENAI_API_KEY="sk-very-secret") as worker:
        worker.ready()
        place.client.write([b"x"] * 5, partition=0)
        place.client.read(OUT, 5)
        until(lambda: worker.get("/health").body["assignment"][0]["lag"] == 0, 10)
        page = worker.get("/health")
        metrics = worker.get("/metrics").body
    assert page.status == 200
    assert page.body["worker"] == "reteller"
    assert page.body["build"] == build()
    assert page.body["settings"]["OPENAI_API_KEY"] == "***"
    assert page.body["assignment"][0] == {"topic": IN, "partition": 0, "position": 5, "lag": 0}
    assert page.body["counters"]["records_handled"] == 5
    assert 'vhm_records_handled_total{worker="reteller"} 5.0' in metrics
    assert 'vhm_consumer_lag{partition="0",topic="recall-response",worker="reteller"} 0.0' in metrics
