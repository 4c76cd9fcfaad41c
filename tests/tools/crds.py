"""JSON schemas of custom resources, from the definitions in the Go modules of those who make them."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tools.binaries import cache, go

DEFINITIONS = {
    "github.com/argoproj/argo-cd/v3@v3.2.0": "manifests/crds/application-crd.yaml",
    "github.com/fluxcd/source-controller@v1.7.0": "config/crd/bases/*_gitrepositories.yaml",
    "github.com/fluxcd/kustomize-controller@v1.7.2": "config/crd/bases/*_kustomizations.yaml",
    "github.com/kedacore/keda/v2@v2.18.1": "config/crd/bases/keda.sh_*.yaml",
}
"""Go modules and where in them their definitions are."""


def crds() -> str:
    """kubeconform's `-schema-location` for Argo CD's, Flux's and KEDA's resources; unknown fields refused."""
    folder = cache() / "crds"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=_parent(folder)) as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            for module, pattern in DEFINITIONS.items():
                for path in module_folder(module).glob(pattern):
                    for definition in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                        _write(definition["spec"], made)
            if not folder.exists():
                made.rename(folder)
    return f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"


def _parent(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder.parent


def module_folder(module: str) -> Path:
    """The module's folder in Go's own cache."""
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            [*go(), "mod", "download", "-json", module],
            cwd=elsewhere,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"cannot download {module}:\n{done.stderr or done.stdout}")
    return Path(json.loads(done.stdout)["Dir"])


def _write(spec: dict[str, Any], folder: Path) -> None:
    kind, group = spec["names"]["kind"].lower(), spec["group"].partition(".")[0]
    for version in spec["versions"]:
        schema = _strict(version["schema"]["openAPIV3Schema"])
        (folder / f"{kind}-{group}-{version['name']}.json").write_text(json.dumps(schema), encoding="utf-8")


def _strict(schema: Any) -> Any:
    """The schema with unknown fields refused wherever the definition drops them."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items()}
    closed = "properties" in schema and "additionalProperties" not in schema
    if closed and schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    return made
