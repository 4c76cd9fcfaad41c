"""A worker's Prometheus metrics, in a registry of its own: several workers can live in one process."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """One worker's metrics; every name starts with `vhm_`, every series carries the worker's name."""

    def __init__(self, worker: str, build: str) -> None:
        self._worker = worker
        self._registry = registry = CollectorRegistry()

        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, ("worker",), registry=registry).labels(worker)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ("worker",), registry=registry).labels(worker)

        self.consumed = counter("vhm_records_consumed", "Records taken from Kafka.")
        self.handled = counter("vhm_records_handled", "Records handled, with every answer acknowledged.")
        self.produced = counter("vhm_records_produced", "Records acknowledged by Kafka.")
        self.retries = counter("vhm_retries", "Calls of the handler that raised UnavailableError.")
        self.refused = counter(
            "vhm_produce_failures",
            "Records that Kafka refused; each is produced again or becomes a dead letter.",
        )
        self.skipped = counter("vhm_records_skipped", "Records that Kafka dropped before they were consumed.")
        self.in_flight = gauge("vhm_batches_in_flight", "Batches being handled or awaiting Kafka.")
        self.ready = gauge("vhm_ready", "1 when the worker is ready, else 0.")
        self.seconds = Histogram(
            "vhm_handle_seconds",
            "Seconds of one call of the handler.",
            ("worker",),
            registry=registry,
            buckets=BUCKETS,
        ).labels(worker)
        self._dead = Counter(
            "vhm_dead_letters",
            "Records that became dead letters.",
            ("worker", "topic", "reason"),
            registry=registry,
        )
        self._unknown = Counter(
            "vhm_unknown_fields",
            "Records with a field that no worker knows.",
            ("worker", "topic"),
            registry=registry,
        )
        self._lag = Gauge(
            "vhm_consumer_lag",
            "Records of an assigned partition that are not done.",
            ("worker", "topic", "partition"),
            registry=registry,
        )
        build_info = Gauge(
            "vhm_build_info", "The build, as a label; always 1.", ("worker", "build"), registry=registry
        )
        build_info.labels(worker, build).set(1)

    def dead_letter(self, topic: str, reason: str) -> None:
        """One record of `topic` went to dead letters."""
        self._dead.labels(self._worker, topic, reason).inc()

    def unknown_fields(self, topic: str) -> None:
        """One record of `topic` had a field that no worker knows."""
        self._unknown.labels(self._worker, topic).inc()

    def set_lag(self, lags: Mapping[tuple[str, int], int]) -> None:
        """Replace the lag of all partitions by that of the partitions assigned now."""
        self._lag.clear()
        for (topic, partition), lag in lags.items():
            self._lag.labels(self._worker, topic, str(partition)).set(lag)

    def totals(self) -> dict[str, float]:
        """The counters by name, for /health."""
        totals: dict[str, float] = {}
        for metric in self._registry.collect():
            for sample in metric.samples if metric.type == "counter" else ():
                if sample.name.endswith("_total"):
                    name = sample.name.removeprefix("vhm_").removesuffix("_total")
                    totals[name] = totals.get(name, 0.0) + sample.value
        return totals

    def render(self) -> bytes:
        """Every metric in Prometheus' text format."""
        return generate_latest(self._registry)
