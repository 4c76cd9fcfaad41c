"""What an API server refuses, asked through kubectl: a stand-in for it answers as the real one does."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from tests.preflight.trees import write

from preflight.findings import CheckError
from preflight.run import Options, run

KUBECTL = """\
#!{python}
import json, pathlib, sys
doc = json.load(sys.stdin)
here = pathlib.Path(__file__).parent
with open(here / "asked.jsonl", "a") as asked:
    asked.write(json.dumps({{"words": sys.argv[1:], "doc": doc}}) + "\\n")
if "away" in sys.argv:
    sys.exit("Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout")
if doc["kind"] == "Pod":
    sys.exit('The Pod "web" is invalid: \\n* spec.containers[0].ports[0].containerPort: Invalid: 80800: '
             'must be between 1 and 65535, inclusive\\n* metadata.labels: Invalid value: "a b": no spaces')
if doc["metadata"]["name"] == "settings":
    sys.exit('Error from server (NotFound): namespaces "shop" not found')
if doc["kind"] == "Service":
    sys.exit('Error from server (Forbidden): error when creating "STDIN": admission webhook "x" denied it')
"""
SHOP = """\
=== shop.yaml
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: a b}}
spec:
  containers:
  - name: web
    image: "web:1.2.3"
    ports:
    - containerPort: 80800
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: shop}
stringData: {KEY: open-sesame}
data: {OTHER: b3Blbi1zZXNhbWU=}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: a b}, ports: [{port: 80}]}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest, and a kubectl on PATH that answers about it."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(KUBECTL.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return write(tmp_path, SHOP) / "shop.yaml"


def test_refusals_are_findings_at_their_source_lines_and_nothing_is_said_twice(shop: Path) -> None:
    report = run([str(shop)], Options(context="staging", skip=("schema",)))
    said = {(each.line, each.rule, each.object) for each in report.findings if each.severity == "error"}
    assert (13, "refused-by-server", "Pod/web") in said
    assert (7, "invalid-name", "Pod/web") in said
    assert (7, "refused-by-server", "Pod/web") not in said
    assert (25, "refused-by-server", "Service/web") in said
    assert not any(each.object == "ConfigMap/settings" for each in report.findings), (
        "its namespace comes with it"
    )
    [port] = [each for each in report.findings if each.line == 13]
    assert port.message.endswith("must be between 1 and 65535, inclusive")
    assert port.field == "spec.containers[0].ports[0].containerPort"


def test_no_value_of_a_secret_leaves(shop: Path) -> None:
    run([str(shop)], Options(context="staging"))
    asked = (shop.parent / "bin" / "asked.jsonl").read_text()
    assert "open-sesame" not in asked
    assert "b3Blbi1zZXNhbWU" not in asked
    [secret] = [json.loads(line) for line in asked.splitlines() if '"Secret"' in line]
    assert secret["doc"]["stringData"] == {"KEY": "x" * len("open-sesame")}
    assert secret["words"] == ["--context", "staging", "apply", "--dry-run=server", "-f", "-"]


def test_a_cluster_that_does_not_answer_is_one_line(shop: Path) -> None:
    with pytest.raises(CheckError, match="--server: away cannot be asked: Unable to connect"):
        run([str(shop)], Options(context="away"))
