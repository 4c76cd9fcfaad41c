"""No value of a Secret is in any output, whatever a class, a manifest or a source line has of it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from tests.preflight.trees import write

from preflight.cluster.objects import Obj
from preflight.findings import Place
from preflight.reporting.formats import WRITERS
from preflight.reporting.mask import Mask
from preflight.run import run

CANARY = "canary-Zq8w7e6r5t"
ENCODED = base64.b64encode(CANARY.encode()).decode()
FILES = f"""
=== pyproject.toml
[tool.preflight.containers.web]
settings = "shop:Settings"
=== shop.py
from pydantic import PostgresDsn, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

class Settings(BaseSettings):
    model_config = SettingsConfigDict(secrets_dir="/run/secrets/web")
    workers: int
    database: PostgresDsn
    token: SecretStr
    broken: list[str]
    mounted: SecretStr

    @field_validator("token")
    @classmethod
    def good(cls, value):
        raise ValueError("not this token: " + value.get_secret_value())
=== late.py
raise RuntimeError("cannot log in with " + __import__("os").environ["TOKEN"])
=== all.yaml
apiVersion: v1
kind: Secret
metadata: {{name: web, namespace: shop}}
stringData:
  WORKERS: {CANARY}
  BROKEN: '["{CANARY}'
  TOKEN: {CANARY}
data:
  PASSWORD: {ENCODED}
---
apiVersion: v1
kind: Secret
metadata: {{name: files, namespace: shop}}
stringData:
  mounted: |
    {CANARY}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      volumes:
      - {{name: files, secret: {{secretName: files}}}}
      containers:
      - name: web
        image: example.org/shop/web:1.4.2
        envFrom: [{{secretRef: {{name: web}}}}]
        env:
        - {{name: DATABASE, value: "mysql://web:$(PASSWORD)@{CANARY}"}}
        - {{name: ADDRESS_URL, value: "http://{CANARY}:80/$(NOT_THERE)"}}
        volumeMounts:
        - {{name: files, mountPath: /run/secrets/web}}
"""


@pytest.mark.parametrize("format", WRITERS)
@pytest.mark.parametrize("settings", ["shop:Settings", "late:Settings"])
def test_a_canary_is_in_no_format(format: str, settings: str, tmp_path: Path) -> None:
    pytest.importorskip("pydantic_settings", reason="pydantic-settings is in the dev group: uv sync")
    write(tmp_path, FILES.replace("shop:Settings", settings))
    report = run([str(tmp_path / "all.yaml")])
    rules = {finding.rule for finding in report.findings}
    asked = {"setting-value-wrong"} if settings == "shop:Settings" else {"settings-conflict"}
    assert asked <= rules
    text = WRITERS[format](report)
    hidden = (CANARY, CANARY[:10], CANARY[3:13], ENCODED, ENCODED[:12])
    assert [each for each in hidden if each.lower() in text.lower()] == []


def secret(**values: str) -> Obj:
    doc = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": values}
    return Obj(doc, None, Place("s.yaml", 1))


def config(**values: object) -> Obj:
    doc = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": values}
    return Obj(doc, None, Place("c.yaml", 1))


@pytest.mark.parametrize(
    ("value", "text", "hidden"),
    [
        ("hunter22", "got 'hunter22'", "got '***'"),
        ("hunter22", "of url://u:hunter22@h", "of url://u:***@h"),
        ("two\nlines of it\n", "has lines of it in it", "has *** in it"),
        ("pass", "pass and passing", "*** and passing"),
        ("abc", "abc", "abc"),
        ("shop", "no Service in namespace shop", "no Service in namespace shop"),
        ("5432", "port 5432", "port 5432"),
        ("hunter22", "", ""),
        ("true", "say optional: true", "say optional: true"),
        ("true", "DEBUG is 'true', got DEBUG=true", "DEBUG is '***', got DEBUG=***"),
        ("secret", "of url://u:secret@h", "of url://u:***@h"),
        ("label", "select by a label that only one has", "select by a label that only one has"),
        ("admin", "log in as admin", "log in as ***"),
        ("shop-db.data", "no Service shop-db.data", "no Service ***"),
        ("web-cache", "Service web-cache has no port 80", "Service web-cache has no port 80"),
        ("overlays", "patch of overlays/production", "patch of overlays/production"),
    ],
)
def test_what_is_masked(value: str, text: str, hidden: str) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web-cache"}}
    manifest = Obj(service, None, Place("overlays/production/service.yaml", 1))
    assert Mask([secret(key=value), config(name="shop", port="5432"), manifest]).hide(text) == hidden


def test_a_secret_that_stands_in_the_open_too_is_masked_all_the_same() -> None:
    mask = Mask([secret(key="Tr0ub4dor&3"), config(name="Tr0ub4dor&3")])
    assert mask.hide("is Tr0ub4dor&3") == "is ***"
