"""overlays/production against a broker with TLS and SCRAM and a store that wants a key, run elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cluster import images
from cluster.cluster import HERE, STORY, WORKERS, Cluster, ClusterError

USER, PASSWORD, KEY = "memory", "a password that is nowhere else", "a-key-that-is-nowhere-else"
HOST = "kafka-service.elsewhere"


@pytest.fixture(scope="module")
def production(installed: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The production overlay in place of minikube's, its broker and store in the namespace elsewhere."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl on PATH: install it to make the broker's certificate")
    cluster: Cluster = installed.cluster  # type: ignore[attr-defined]
    elsewhere = HERE / ("elsewhere-standins" if images.standins() else "elsewhere")
    authority, certificate, key = certificates(tmp_path_factory.mktemp("tls"))
    cluster.kubectl("delete", "-k", str(cluster.overlay), "-l", "!vhm/keep", timeout=180)
    cluster.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: elsewhere}\n")
    try:
        secret(cluster, "elsewhere", "vhm-secrets", QDRANT_API_KEY=KEY)
        keystore = {"KAFKA_SSL_KEYSTORE_CERTIFICATE_CHAIN": certificate, "KAFKA_SSL_KEYSTORE_KEY": key}
        secret(cluster, "elsewhere", "kafka-tls", **{name: one_line(pem) for name, pem in keystore.items()})
        cluster.kubectl("apply", "-k", str(elsewhere))
        cluster.kubectl("-n", "elsewhere", "rollout", "status", "statefulset/kafka", "--timeout=120s")
        make_user(cluster)
        login = {"KAFKA_SASL_USERNAME": USER, "KAFKA_SASL_PASSWORD": PASSWORD}
        secret(cluster, "vhm", "vhm-secrets", QDRANT_API_KEY=KEY, **login)
        secret(cluster, "vhm", "kafka-ca", **{"ca.crt": authority})
        cluster.kubectl("apply", "-k", str(HERE / "production"))
        cluster.wait_until_ready(180)
        yield cluster
    finally:
        cluster.kubectl("delete", "-k", str(HERE / "production"), "-l", "!vhm/keep", timeout=180)
        cluster.inside("delete", "secret", "vhm-secrets", "kafka-ca", "--ignore-not-found")
        cluster.kubectl("delete", "namespace", "elsewhere", timeout=180)
        cluster.apply()


def secret(cluster: Cluster, namespace: str, name: str, **values: str) -> None:
    cluster.apply(
        msgspec.json.encode(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": namespace},
                "stringData": values,
            }
        ).decode()
    )


def certificates(folder: Path) -> tuple[str, str, str]:
    """An authority, the broker's certificate signed by it, and the certificate's key; PEM."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=True)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-subj")
    openssl(*new, "/CN=authority", "-x509", "-days", "2", "-keyout", "ca.key", "-out", "ca.crt")
    openssl(*new, f"/CN={HOST}", "-keyout", "kafka.key", "-out", "kafka.csr")
    (folder / "names").write_text(f"subjectAltName=DNS:{HOST}\n")
    sign = ("x509", "-req", "-in", "kafka.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial")
    openssl(*sign, "-days", "2", "-extfile", "names", "-out", "kafka.crt")
    return (
        (folder / "ca.crt").read_text(),
        (folder / "kafka.crt").read_text(),
        (folder / "kafka.key").read_text(),
    )


def one_line(pem: str) -> str:
    """PEM as the value of a property: Kafka takes any white space between its lines."""
    return " ".join(pem.split("\n"))


def make_user(cluster: Cluster) -> None:
    """Before the overlay and its policies are there, from a pod that the broker's own policy lets in."""
    cluster.apply((HERE / "client.yaml").read_text().replace("TAG", images.tag()))
    cluster.inside("wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
    cluster.python("pod/client", HERE / "inside" / "scram.py", f"{HOST}:9092", USER, PASSWORD)
    cluster.inside("delete", "pod", "client", "--grace-period=1")


def test_the_story_is_told_over_tls_with_a_password(production: Cluster) -> None:
    for text, at in STORY:
        production.vhm("remember", text, "--at", at)
    told = msgspec.json.decode(production.vhm("recall", "the river", "--json"))
    assert {beat["text"] for beat in told["beats"]} <= {text for text, _ in STORY}
    assert told["beats"]
    assert [pod for pod in production.pods() if pod.restarts] == []


def test_no_secret_is_shown(production: Cluster) -> None:
    health = "import urllib.request as r; print(r.urlopen('http://localhost:8080/health').read().decode())"
    for worker in WORKERS:
        shown = production.inside("exec", f"deployment/{worker}", "--", "python", "-c", health)
        shown += production.inside("logs", f"deployment/{worker}")
        assert PASSWORD not in shown
        assert KEY not in shown


def test_a_drain_respects_the_budget(production: Cluster) -> None:
    """On a node where nothing can come back, all but the one pod that the budget allows stay."""
    nodes = production.kubectl("get", "nodes", "-o", "name").split()
    if len(nodes) > 1:
        pytest.skip("on several nodes the drained pods come back elsewhere, and nothing is held up")
    node, fewest = nodes[0], [99]
    watching = threading.Event()

    def watch() -> None:
        while not watching.is_set():
            fewest[0] = min(fewest[0], sum(pod.ready for pod in production.pods("app=resonance")))
            time.sleep(0.3)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        drain = ("drain", node, "--pod-selector=app=resonance", "--delete-emptydir-data", "--timeout=20s")
        with pytest.raises(ClusterError, match="would violate the pod's disruption budget"):
            production.kubectl(*drain)
    finally:
        production.kubectl("uncordon", node)
        watching.set()
        watcher.join()
    assert fewest == [2]
    production.wait_until_ready()
