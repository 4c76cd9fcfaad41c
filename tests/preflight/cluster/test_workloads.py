"""The environment a container would start with, and who selects whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from preflight.cluster.environment import expand
from preflight.model import Model
from preflight.render.load import load
from preflight.repository.config import Config

MANIFESTS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: first}
data:
  A: from-first
  B: b
---
apiVersion: v1
kind: ConfigMap
metadata: {name: second}
data: {A: from-second}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
data: {TOKEN: czNjcmV0}
stringData: {PLAIN: x}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 2
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app, tier: web}}
    spec:
      initContainers:
      - {name: once, image: i}
      - {name: side, image: i, restartPolicy: Always}
      containers:
      - name: main
        image: i
        envFrom:
        - configMapRef: {name: first}
        - configMapRef: {name: second}
        - prefix: P_
          configMapRef: {name: first}
        - secretRef: {name: elsewhere, optional: true}
        env:
        - name: B
          value: "$(A) and $(LATER) and $$(A)"
        - name: LATER
          value: "1"
        - name: LATER
          value: "2"
        - name: TOKEN
          valueFrom: {secretKeyRef: {name: keys, key: TOKEN}}
        - name: GONE
          valueFrom: {configMapKeyRef: {name: first, key: Z}}
        - name: MAYBE
          valueFrom: {configMapKeyRef: {name: first, key: Z, optional: true}}
        - name: FAR
          valueFrom: {secretKeyRef: {name: elsewhere, key: k}}
        - name: IP
          valueFrom: {fieldRef: {fieldPath: status.podIP}}
        - name: BOTH
          value: $(IP):$(LATER)
        ports:
        - {name: http, containerPort: 8080}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {tier: web}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: other}
spec:
  selector: {tier: web}
  ports: [{port: 80}]
"""


@pytest.fixture(scope="module")
def model() -> Model:
    loaded = load("-", Path("/"), stdin=MANIFESTS.encode())
    return Model(root=Path("/"), config=Config(), target="-", objects=loaded.objects)


def test_the_environment_is_worked_out_as_the_kubelet_does(model: Model) -> None:
    main = next(each for each in model.containers if each.name == "main")
    env = {name: each.value for name, each in main.env.items()}
    assert env == {
        "A": "from-second",
        "B": "from-second and $(LATER) and $(A)",
        "P_A": "from-first",
        "P_B": "b",
        "LATER": "2",
        "TOKEN": "s3cret",
        "GONE": None,
        "FAR": None,
        "IP": None,
        "BOTH": None,
    }
    assert main.env["GONE"].missing
    assert main.env["B"].unexpanded == ("LATER",)
    assert main.env["TOKEN"].is_secret
    assert not main.env_is_known
    assert [each.name for each in main.offers].count("A") == 2
    assert main.env["A"].place.line == 11
    assert main.env["P_A"].place.line == 5
    assert main.env["LATER"].place.line == 46


def test_containers_have_roles_ports_and_a_path(model: Model) -> None:
    assert [(each.name, each.role) for each in model.containers] == [
        ("once", "init"),
        ("side", "sidecar"),
        ("main", "main"),
    ]
    main = model.containers[2]
    assert (main.port("http"), main.port(9), main.port("x")) == (8080, 9, None)
    assert main.obj.get(*main.path, "name") == "main"
    assert main.where("resources").line == main.where("name").line


def test_services_select_pods_of_their_namespace(model: Model) -> None:
    here, there = model.services
    assert [each.name for each in here.workloads] == ["app"]
    assert there.workloads == []
    assert model.services_of(model.workloads[0]) == [here]


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("web", "default"),
        ("web.other", "other"),
        ("web.other.svc", "other"),
        ("web.other.svc.cluster.local.", "other"),
        ("example.org.com", None),
        ("web.example", None),
    ],
)
def test_a_host_name_leads_to_a_service(model: Model, host: str, found: str | None) -> None:
    service = model.service_at(host, "default")
    assert (service.namespace if service else None) == found


@pytest.mark.parametrize(
    ("raw", "value", "left"),
    [
        ("$(A)", "1", ()),
        ("$$(A)", "$(A)", ()),
        ("$$$(A)", "$1", ()),
        ("$(B)", "$(B)", ("B",)),
        ("$(U)x", None, ()),
        ("$A $", "$A $", ()),
        ("$(A", "$(A", ()),
    ],
)
def test_references_expand_as_in_the_kubelet(raw: str, value: str | None, left: tuple[str, ...]) -> None:
    assert expand(raw, {"A": "1", "U": None}) == (value, left)
