"""The kustomization tree as preflight carries it out, against what kustomize renders."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.preflight.trees import lines_hold, tree, untraced

pytestmark = pytest.mark.usefixtures("renders")

BASE = """\
=== base/kustomization.yaml
resources: [app.yaml, db.yaml]
configMapGenerator:
- name: settings
  envs: [settings.env]
- name: files
  files: [app.conf, other=settings.env]
secretGenerator:
- name: keys
  literals: [TOKEN=abc, "LONG=0123456789012345678901234567890123456789012345678901234567890123456789"]
=== base/settings.env
# comment
A=1

B=two words
=== base/app.conf
listen 80
=== base/app.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
spec:
  replicas: 1
  selector:
    matchLabels: {app: app}
  template:
    metadata:
      labels: {app: app}
    spec:
      serviceAccountName: app
      containers:
      - name: app
        image: example.org:5000/app:v1
        args: ["--port", "80"]
        env:
        - name: MODE
          value: plain
        - name: TOKEN
          valueFrom: {secretKeyRef: {name: keys, key: TOKEN}}
        envFrom:
        - configMapRef: {name: settings}
        ports:
        - containerPort: 80
          name: http
        volumeMounts:
        - {name: files, mountPath: /etc/app}
      - name: side
        image: busybox
      volumes:
      - name: files
        configMap: {name: files}
---
apiVersion: v1
kind: Service
metadata:
  name: app
spec:
  selector: {app: app}
  ports:
  - port: 80
    targetPort: http
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: app
=== base/db.yaml
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: StatefulSet
  metadata: {name: db}
  spec:
    serviceName: db
    selector: {matchLabels: {app: db}}
    template:
      metadata: {labels: {app: db}}
      spec:
        initContainers:
        - {name: init, image: "busybox:1.0"}
        containers:
        - {name: db, image: "db@sha256:0000000000000000000000000000000000000000000000000000000000000000"}
        topologySpreadConstraints:
        - topologyKey: zone
          maxSkew: 1
          whenUnsatisfiable: DoNotSchedule
          labelSelector: {matchLabels: {app: db}}
    volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
- apiVersion: v1
  kind: Service
  metadata: {name: db}
  spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: bind}
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
  subjects:
  - {kind: ServiceAccount, name: default, namespace: default}
- apiVersion: batch/v1
  kind: CronJob
  metadata: {name: tick}
  spec:
    schedule: "* * * * *"
    jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: t, image: busybox}]}}}}
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: net}
  spec:
    podSelector: {matchLabels: {app: db}}
    ingress: [{from: [{podSelector: {matchLabels: {app: app}}}]}]
=== overlay/kustomization.yaml
resources: [../base]
"""

PARTS: dict[str, str] = {
    "prefix": "namePrefix: pre-\n",
    "suffix": "nameSuffix: -suf\n",
    "namespace": "namespace: space\n",
    "labels": "labels:\n- pairs: {team: a}\n- pairs: {tier: b, num: '1'}\n  includeTemplates: true\n"
    "- pairs: {sel: c}\n  includeSelectors: true\n"
    "- pairs: {custom: d}\n  fields:\n  - {path: spec/extra/labels, create: true, kind: Service}\n",
    "common labels": "commonLabels:\n  owner: me\n",
    "annotations": "commonAnnotations:\n  note: 'yes'\n",
    "images": "images:\n- name: busybox\n  newTag: '2.0'\n- name: example.org:5000/app\n"
    "  newName: other/app\n- name: db\n  digest: sha256:" + "1" * 64 + "\n- name: other/app\n  newTag: v9\n",
    "replicas": "replicas:\n- name: app\n  count: 3\n- name: db\n  count: 2\n",
    "generators": """\
configMapGenerator:
- name: settings
  behavior: merge
  literals: [A=over, 'C="quoted"']
- name: files
  behavior: replace
  literals: [only=this]
- name: fresh
  literals: [x=y]
  options: {disableNameSuffixHash: true, labels: {l: m}, immutable: true}
generatorOptions:
  annotations: {made: here}
""",
    "patches": """\
patches:
- path: patch.yaml
- target: {kind: Deployment}
  patch: |-
    - op: replace
      path: /spec/template/spec/containers/0/args/1
      value: "81"
    - op: add
      path: /metadata/annotations
      value:
        a/b: added
    - op: add
      path: /metadata/annotations/c~1d
      value: escaped
    - op: add
      path: /spec/template/spec/containers/1/args
      value: [one, two]
    - op: add
      path: /spec/template/spec/containers/1/args/-
      value: three
    - {op: copy, from: /metadata/name, path: /metadata/annotations/copied}
    - {op: remove, path: /spec/template/spec/containers/0/env/0}
- target: {kind: "Stateful.*", name: d., labelSelector: "tier!=web, !gone"}
  patch: '{"apiVersion": apps/v1, "kind": StatefulSet, "metadata": {"name": x}, "spec": {"replicas": 5}}'
- patch: |
    apiVersion: v1
    kind: Service
    metadata:
      name: db
    $patch: delete
""",
    "strategic": "patchesStrategicMerge:\n- patch.yaml\n",
    "json6902": "patchesJson6902:\n- target: {group: apps, version: v1, kind: StatefulSet, name: db}\n"
    "  patch: |-\n    - op: add\n      path: /spec/podManagementPolicy\n      value: Parallel\n",
    "components": "components: [../component]\n",
    "transformers": """\
transformers:
- labels.yaml
- |-
  apiVersion: builtin
  kind: PatchTransformer
  metadata: {name: any}
  target: {kind: Deployment}
  patch: |-
    - op: add
      path: /spec/minReadySeconds
      value: 3
""",
    "replacements": """\
replacements:
- source: {kind: Service, name: app, fieldPath: spec.ports.0.port}
  targets:
  - select: {kind: Deployment}
    fieldPaths: ["spec.template.spec.containers.[name=app].env.[name=MODE].value"]
- source: {kind: Deployment, name: app, fieldPath: "spec.template.metadata.labels.app"}
  targets:
  - select: {kind: StatefulSet}
    fieldPaths: [metadata.annotations.from-app]
    options: {create: true}
- sourceValue: "7"
  targets:
  - select: {kind: Deployment, name: app}
    fieldPaths: ["spec.template.spec.containers.*.image"]
    options: {delimiter: ":", index: 9}
- path: replacement.yaml
""",
}

FILES = """\
=== overlay/patch.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  labels: {patched: "true"}
spec:
  replicas: 2
  template:
    spec:
      serviceAccountName: null
      containers:
      - name: app
        env:
        - name: EXTRA
          value: "1"
        - name: MODE
          value: patched
        ports:
        - containerPort: 80
          protocol: TCP
        - containerPort: 90
        volumeMounts:
        - mountPath: /etc/app
          readOnly: true
        - {name: tmp, mountPath: /tmp}
        resources:
          limits: {memory: 1Gi}
      volumes:
      - name: tmp
        emptyDir: {}
=== overlay/replacement.yaml
- source: {kind: CronJob, name: tick, fieldPath: spec.schedule, options: {delimiter: " ", index: 1}}
  targets:
  - select: {kind: Service, name: app}
    reject: [{name: db}]
    fieldPaths: [metadata.annotations.schedule]
    options: {create: true}
=== overlay/labels.yaml
apiVersion: builtin
kind: LabelTransformer
metadata: {name: any}
labels: {everywhere: "yes"}
fieldSpecs:
- {path: metadata/labels, create: true}
- {path: spec/template/metadata/labels, create: true, kind: Deployment, group: apps}
=== component/kustomization.yaml
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
configMapGenerator:
- name: settings
  behavior: merge
  literals: [B=component]
patches:
- target: {kind: Service}
  patch: |-
    - op: add
      path: /metadata/labels
      value: {component: "true"}
"""


def made(parts: list[str]) -> str:
    return BASE + "".join(PARTS[part] for part in parts) + FILES


@pytest.mark.parametrize("part", PARTS)
def test_each_kind_of_entry_is_carried_out_as_kustomize_does(tmp_path: Path, part: str) -> None:
    loaded = tree(tmp_path, made([part]))
    assert untraced(loaded) == []
    assert lines_hold(loaded, tmp_path) == []


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(parts=st.lists(st.sampled_from(sorted(PARTS)), min_size=2, unique=True))
def test_entries_together_are_carried_out_in_kustomizes_order(tmp_path: Path, parts: list[str]) -> None:
    if {"patches", "strategic"} <= set(parts):
        parts.remove("strategic")
    loaded = tree(tmp_path, made(parts))
    assert untraced(loaded) == []
    assert lines_hold(loaded, tmp_path) == []
