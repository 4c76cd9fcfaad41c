"""Brokers outside the cluster: SASL and TLS that work, and one clear line when they do not."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from structlog.testing import LogCapture

from broker.harness import OUT, Client, Echo, Running, until
from broker.kafka import Kafka, NoKafkaError, free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

USER, PASSWORD = "alice", "alice-knows-best"


class Secured(NamedTuple):
    """A broker with a listener for each way in; `addresses` by listener name."""

    kafka: Kafka
    addresses: dict[str, str]
    ca: Path
    other_ca: Path


def openssl(*words: str, at: Path) -> None:
    subprocess.run(["openssl", *words], cwd=at, check=True, capture_output=True)


def authority(at: Path, name: str) -> Path:
    """A certificate authority; the path of its certificate."""
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem"),
        *("-subj", f"/CN={name}", "-days", "2"),
        at=at,
    )
    return at / f"{name}.pem"


def certificate(at: Path, name: str, host: str, days: int) -> Path:
    """Key and certificate for `host`, signed by `ca`, in one file as Kafka wants them."""
    (at / f"{name}.ext").write_text(f"subjectAltName={host}\n")
    openssl(
        *("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr"),
        *("-subj", f"/CN={name}"),
        at=at,
    )
    openssl(
        *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-out", f"{name}.crt", "-days", str(days), "-extfile", f"{name}.ext"),
        at=at,
    )
    store = at / f"{name}.pem"
    store.write_text("".join((at / f"{name}.{end}").read_text() for end in ("key", "crt")))
    return store


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on PATH: install it to test TLS")
    at = tmp_path_factory.mktemp("tls")
    ca, other = authority(at, "ca"), authority(at, "other")
    protocols = {
        "SASL": "SASL_PLAINTEXT",
        "SASLTLS": "SASL_SSL",
        "TLS": "SSL",
        "ELSEWHERE": "SSL",
        "EXPIRED": "SSL",
    }
    ports = dict(zip(protocols, free_ports(len(protocols)), strict=True))
    stores = {
        "SASLTLS": certificate(at, "good", "IP:127.0.0.1", 2),
        "TLS": at / "good.pem",
        "ELSEWHERE": certificate(at, "elsewhere", "DNS:kafka.example", 2),
        "EXPIRED": certificate(at, "expired", "IP:127.0.0.1", -1),
    }
    settings = {"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"}
    login = "org.apache.kafka.common.security"
    for name in ("sasl", "sasltls"):
        plain = f'{login}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        settings[f"listener.name.{name}.plain.sasl.jaas.config"] = plain
        for scram in ("scram-sha-256", "scram-sha-512"):
            settings[f"listener.name.{name}.{scram}.sasl.jaas.config"] = (
                f"{login}.scram.ScramLoginModule required;"
            )
    for name, store in stores.items():
        settings[f"listener.name.{name.lower()}.ssl.keystore.type"] = "PEM"
        settings[f"listener.name.{name.lower()}.ssl.keystore.location"] = str(store)
    users = [
        word
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        for word in ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")
    ]
    listeners = {name: (protocol, ports[name]) for name, protocol in protocols.items()}
    try:
        kafka = Kafka(settings=settings, listeners=listeners, format_arguments=users).start()
    except NoKafkaError as error:
        pytest.skip(str(error))
    yield Secured(kafka, {name: f"127.0.0.1:{port}" for name, port in ports.items()}, ca, other)
    kafka.close()


def sasl(mechanism: str, password: str = PASSWORD, protocol: str = "SASL_PLAINTEXT") -> dict[str, str]:
    return {
        "KAFKA_SECURITY_PROTOCOL": protocol,
        "KAFKA_SASL_MECHANISM": mechanism,
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": password,
    }


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_who_knows_the_password_gets_in(secured: Secured, mechanism: str) -> None:
    secured.kafka.wipe()
    with Running(Echo(), secured.addresses["SASL"], **sasl(mechanism)) as worker:
        worker.ready(60)
        Client(secured.kafka.address).write([b"secret handshake"])
        assert Client(secured.kafka.address).values(OUT) == [b"secret handshake"]
        assert PASSWORD not in str(worker.get("/health").body)


def test_tls_with_and_without_a_password(secured: Secured) -> None:
    trust = {"KAFKA_SSL_CA_LOCATION": str(secured.ca)}
    for name, more in (
        ("TLS", {"KAFKA_SECURITY_PROTOCOL": "SSL"}),
        ("SASLTLS", sasl("SCRAM-SHA-512", protocol="SASL_SSL")),
    ):
        secured.kafka.wipe()
        with Running(Echo(), secured.addresses[name], **trust, **more) as worker:
            worker.ready(60)
            Client(secured.kafka.address).write([b"private"])
            assert Client(secured.kafka.address).values(OUT) == [b"private"]


@pytest.mark.parametrize(
    ("listener", "environment", "says", "hint"),
    [
        ("SASL", sasl("SCRAM-SHA-512", "wrong-guess"), "uthentication failed", "check KAFKA_SASL_USERNAME"),
        ("SASL", sasl("PLAIN", "wrong-guess"), "uthentication failed", "check KAFKA_SASL_USERNAME"),
        ("TLS", {"KAFKA_SECURITY_PROTOCOL": "SSL", "ca": "other"}, "verif", "check KAFKA_SSL_CA_LOCATION"),
        ("EXPIRED", {"KAFKA_SECURITY_PROTOCOL": "SSL", "ca": "ca"}, "verif", "check KAFKA_SSL_CA_LOCATION"),
        (
            "ELSEWHERE",
            {"KAFKA_SECURITY_PROTOCOL": "SSL", "ca": "ca"},
            "verif",
            "the host name in KAFKA_BOOTSTRAP",
        ),
    ],
    ids=["scram password", "plain password", "unknown authority", "expired", "host name"],
)
def test_a_refusal_is_one_line_without_a_secret(
    secured: Secured, log: LogCapture, listener: str, environment: dict[str, str], says: str, hint: str
) -> None:
    given = dict(environment)
    if "ca" in given:
        given["KAFKA_SSL_CA_LOCATION"] = str(secured.ca if given.pop("ca") == "ca" else secured.other_ca)
    with Running(Echo(), secured.addresses[listener], **given) as worker:
        until(lambda: any(r.startswith("broker: ") and hint in r for r in worker.worker.status.ready()), 30)
        reason = next(r for r in worker.worker.status.ready() if r.startswith("broker: "))
        assert says in reason
        assert "\n" not in reason
        assert worker.get("/livez").status == 200
    assert worker.code == 0
    shown = reason + str(log.entries)
    assert "wrong-guess" not in shown
    assert len([e for e in log.entries if e["event"] == "not ready"]) == 1


def test_a_certificate_file_that_is_not_there_is_one_line(secured: Secured, log: LogCapture) -> None:
    missing = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": "/nowhere/ca.pem"}
    with Running(Echo(), secured.addresses["TLS"], **missing) as worker:
        assert worker.join(30) == 78
    assert any("KAFKA_SSL_CA_LOCATION" in str(e["event"]) for e in log.entries)
