"""The JSON schemas of Kubernetes, as kubeconform wants them, from the package kubernetes-validate."""

from __future__ import annotations

import importlib.metadata
import tempfile
from importlib.resources import files
from pathlib import Path

from tools.binaries import cache


def schemas(version: str) -> str:
    """kubeconform's `-schema-location` for one Kubernetes version ("1.34"), strict: unknown fields are
    refused. The package's references name an address; only they are rewritten, to the files themselves
    (with `$id` rewritten too, kubeconform calls a schema that does not compile one it could not find).
    """
    release = importlib.metadata.version("kubernetes-validate")
    folder = cache().parent / f"schemas-{release}" / version
    if not folder.exists():
        _rewrite(version, folder)
    return f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"


def _rewrite(version: str, folder: Path) -> None:
    source = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        for schema in source.iterdir():
            text = schema.read_text(encoding="utf-8")
            text = text.replace('"$ref": "/api/', f'"$ref": "file://{folder}/')
            (made / schema.name).write_text(text, encoding="utf-8")
        if not folder.exists():
            made.rename(folder)
