"""Good manifests of a kind that other people's repositories have: nothing is said about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.preflight.trees import write

import preflight
from preflight.run import Options

GOOD = {
    "a claim template in the place of a volume of its name": """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - {name: db, image: "example/db:1.2.3", volumeMounts: [{name: data, mountPath: /data}]}
      volumes:
      - {name: data, persistentVolumeClaim: {claimName: data}}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
""",
    "a sidecar and a workload of its own that serve the same port behind one Service": """\
apiVersion: v1
kind: Pod
metadata: {name: first, namespace: shop, labels: {watcher: "true"}}
spec:
  containers:
  - {name: store, image: "example/store:1.2.3", ports: [{containerPort: 6379}]}
  - {name: watcher, image: "example/watcher:1.2.3", ports: [{containerPort: 26379}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: watchers, namespace: shop}
spec:
  selector: {matchLabels: {watcher: "true", only: "yes"}}
  template:
    metadata: {labels: {watcher: "true", only: "yes"}}
    spec:
      containers:
      - {name: watcher, image: "example/watcher:1.2.3", ports: [{containerPort: 26379}]}
---
apiVersion: v1
kind: Service
metadata: {name: watcher, namespace: shop}
spec: {selector: {watcher: "true"}, ports: [{port: 26379}]}
""",
    "a database whose image declares its data folder a volume, on a read-only root": """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: cache, namespace: shop}
spec:
  selector: {matchLabels: {app: cache}}
  template:
    metadata: {labels: {app: cache}}
    spec:
      containers:
      - {name: cache, image: "redis:8.2.1", securityContext: {readOnlyRootFilesystem: true}}
""",
    "a role every cluster has": """\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reads-authentication, namespace: kube-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: extension-apiserver-authentication-reader}
subjects: [{kind: ServiceAccount, name: adapter, namespace: shop}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: adapter, namespace: shop}
""",
}


@pytest.mark.parametrize("manifest", GOOD.values(), ids=GOOD)
def test_nothing_is_said_about(tmp_path: Path, manifest: str) -> None:
    root = write(tmp_path, "=== all.yaml\n" + manifest)
    assert preflight.check(root / "all.yaml", Options(skip=("schema",))) == []


def test_the_same_workload_in_two_files_of_a_folder_is_no_overlap(tmp_path: Path) -> None:
    text = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example/web:1.2.3"}]}
"""
    root = write(tmp_path, f"=== all/one.yaml\n{text}=== all/all-in-one.yaml\n{text}")
    assert preflight.check(root / "all", Options(skip=("schema",))) == []


def test_a_policy_that_denies_all_from_another_file_of_a_folder_is_a_warning(tmp_path: Path) -> None:
    write(
        tmp_path,
        """\
=== pyproject.toml
[tool.preflight]
=== all/deny.yaml
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress]}
=== all/web.yaml
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web, image: "example.org/web:1.2.3", ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
""",
    )
    found = preflight.check(tmp_path / "all", Options(skip=("not-in-schema",)))
    assert [(each.rule, each.severity) for each in found] == [("ingress-not-permitted", "warning")]
