"""Who talks to whom, in the render; what is broken is marked and says why."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.preflight.trees import write

from preflight.graph import Graph, Node, dot, draw, gather, mermaid
from preflight.model import Model
from preflight.render.load import load
from preflight.repository.config import load_config

SHOP = """\
=== shop.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        ports: [{name: http, containerPort: 8080}]
        env:
        - {name: DB_URL, value: "postgres://user:word@db:5432/shop"}
        - {name: CACHE_ADDR, value: "cache:6379"}
        - {name: OTHER_URL, value: "http://db:9/"}
        - {name: OUTSIDE, value: "https://api.example.org"}
        - name: KEY
          valueFrom: {secretKeyRef: {name: keys, key: key}}
        envFrom:
        - secretRef: {name: more, optional: true}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - {name: db, ports: [{containerPort: 5432}]}
      volumes:
      - {name: old, persistentVolumeClaim: {claimName: backup}}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {resources: {requests: {storage: 8Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: htp}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody, namespace: shop}
spec: {selector: {app: gone}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: front, namespace: shop}
spec:
  defaultBackend: {service: {name: web, port: {number: 80}}}
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: wep, port: {number: 80}}}}]}
"""


def graph_of(tmp_path: Path) -> Graph:
    root = write(tmp_path, SHOP)
    loaded = load(str(root / "shop.yaml"), root)
    return gather(Model(root=root, config=load_config(root), target="shop.yaml", objects=loaded.objects))


def test_edges_of_addresses_services_secrets_and_stores(tmp_path: Path) -> None:
    graph = graph_of(tmp_path)
    names = {node.id: node.label for node in graph.nodes}
    edges = {(names[e.source], names[e.target]): (e.label, e.broken, e.optional) for e in graph.edges}
    assert edges == {
        ("web", "db"): ("5432, 9", "no port 9", False),
        ("db", "db"): ("5432", "", False),
        ("web", "web"): ("htp", "no port htp", False),
        ("nobody", "app=gone"): ("", "selects nothing", False),
        ("front", "web"): ("", "", False),
        ("front", "wep"): ("", "no such Service", False),
        ("web", "keys"): ("", "not here", False),
        ("web", "more"): ("", "", True),
        ("db", "backup"): ("", "not here", False),
        ("db", "data"): ("", "", False),
    }
    kinds = {node.label: (node.kind, node.missing) for node in graph.nodes if node.label != "db"}
    assert kinds["wep"] == ("service", True)
    assert kinds["keys"] == ("secret", True)
    assert kinds["more"] == ("secret", False), "optional"
    assert kinds["data"] == ("store", False)
    assert "word" not in mermaid(graph) + dot(graph), "a password in an address"


def test_topics_of_declared_apps_join_writers_and_readers(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        """\
=== pyproject.toml
[tool.preflight.containers.maker]
topics = "shop_topics:TOPICS"
[tool.preflight.containers.taker]
topics = "shop_topics:TOPICS"
=== shop_topics.py
class Topic:
    def __init__(self, name, writers, readers):
        self.name, self.writers, self.readers = name, writers, readers
TOPICS = [Topic("orders", ["maker"], ["taker"]), Topic("news", ["press"], ["taker"])]
=== all.yaml
apiVersion: v1
kind: Pod
metadata: {name: maker}
spec: {containers: [{name: maker}]}
---
apiVersion: v1
kind: Pod
metadata: {name: taker}
spec: {containers: [{name: taker}]}
""",
    )
    drawn = draw(root / "all.yaml")
    names = dict(re.findall(r'(n\d+)\W+"(\w+)', drawn))
    edges = {(names[a], names[b]) for a, b in re.findall(r"(n\d+) --> (n\d+)", drawn)}
    assert edges == {("maker", "orders"), ("orders", "taker"), ("press", "news"), ("news", "taker")}


def test_mermaid_marks_what_is_broken(tmp_path: Path) -> None:
    drawn = mermaid(graph_of(tmp_path))
    assert drawn.startswith("flowchart LR\n")
    assert '-.->|"✗ selects nothing"|' in drawn
    edges = [line for line in drawn.splitlines() if re.match(r"  n\d+ -", line)]
    marked = next(line for line in drawn.splitlines() if "linkStyle" in line).split()[1].split(",")
    assert [number for number, line in enumerate(edges) if "✗" in line] == [int(number) for number in marked]


def test_dot_holds_every_node_and_edge_and_marks_what_is_broken(tmp_path: Path) -> None:
    graph = graph_of(tmp_path)
    drawn = dot(graph)
    assert drawn.count(" -> ") == len(graph.edges)
    assert drawn.count("shape=") == len(graph.nodes)
    assert '[label="selects nothing", color=red]' in drawn


@given(st.text())
def test_no_label_ends_its_quotes(label: str) -> None:
    node = Node(id="a", label=label, kind="store")
    line = dot(Graph(nodes=(node,), edges=())).split("\n  ", 2)[2]
    inside = re.fullmatch(r'"a" \[label="((?:[^"\\]|\\.)*)", shape=cylinder\]\n}\n', line, re.S)
    assert inside is not None
