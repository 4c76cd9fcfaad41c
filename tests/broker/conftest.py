"""The two brokers the runtime is tested on: librdkafka's embedded one and a real Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import structlog
from structlog.testing import LogCapture

from broker.crash import HEAD, Account
from broker.harness import Client, Echo, Running
from broker.kafka import Kafka, NoKafkaError
from vhm.runtime.embedded_broker import EmbeddedBroker


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A real broker for the whole run."""
    try:
        kafka = Kafka().start()
    except NoKafkaError as error:
        pytest.skip(str(error))
    yield kafka
    kafka.close()


class Place(NamedTuple):
    """A broker with nothing on it, and the group protocol to use there."""

    address: str
    protocol: str
    is_embedded: bool

    def run(self, handler: Echo, **environment: str) -> Running:
        """A worker there, to be entered."""
        return Running(handler, self.address, KAFKA_GROUP_PROTOCOL=self.protocol, **environment)

    @property
    def client(self) -> Client:
        """A client of it."""
        return Client(self.address)


@pytest.fixture(
    params=[
        "embedded-consumer",
        pytest.param("embedded-classic", marks=pytest.mark.slow),  # it lets a classic group wait 3 s
        pytest.param("kafka-classic", marks=pytest.mark.slow),
        pytest.param("kafka-consumer", marks=pytest.mark.slow),
    ]
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Each broker with each group protocol."""
    broker, _, protocol = request.param.partition("-")
    if broker == "kafka":
        kafka: Kafka = request.getfixturevalue("kafka")
        kafka.wipe()
        yield Place(kafka.address, protocol, is_embedded=False)
    else:
        embedded = EmbeddedBroker()
        yield Place(embedded.address, protocol, is_embedded=True)
        embedded.close()


@pytest.fixture(autouse=True)
def log() -> Iterator[LogCapture]:
    """The log lines of the test, in order."""
    capture = LogCapture()
    structlog.configure(processors=[capture], cache_logger_on_first_use=False)
    yield capture
    structlog.reset_defaults()


ROWS: list[str] = []
"""What became of the messages, a row a fault."""

Show = Callable[[Account], None]


@pytest.fixture
def show() -> Show:
    """Takes a row of the accounting table, which is printed when all tests are over."""
    return lambda account: ROWS.append(account.row())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process that runs a part of the tests hands its rows over."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["rows"] = ROWS


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the rows of such a process."""
    ROWS.extend(getattr(node, "workeroutput", {}).get("rows", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of all accounts."""
    if ROWS:
        terminalreporter.write_sep("=", "every message accounted for")
        terminalreporter.write_line("\n".join([HEAD, *ROWS]))
