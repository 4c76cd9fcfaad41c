"""What preflight, kubeconform, kube-linter and kube-score find of the faults in cases/, and how fast.

    uv run python tests/bench/validators.py [--objects 2000] [--runs 3] [--only TEXT]

A case counts as found by preflight when every expected finding is there, with its rule, file and line. By
another tool it counts as soon as that says anything it says about none of the good neighbours beside it,
whether or not that is about the fault. The other tools get the rendered manifests, all their checks switched
on. One that is not on PATH is left out of the table.

Read the table for which kinds of fault manifests alone show, not as a score: the cases were written with
preflight's rules, one for each at least, so that it finds them is what the test suite already demands.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "apps"), str(ROOT)]

from tests.preflight.test_cases import (  # noqa: E402
    FILES,
    expected_in,
    findings_on,
    repository_of,
    target_in,
)

import tools  # noqa: E402 - from this checkout's tests
from preflight.cluster.schemas import find_schemas, prepared  # noqa: E402

CLEAN = ROOT / "overlays" / "minikube"
VERSION = "1.34"

Said = frozenset[tuple[str, str]]
"""What a tool says: the check's name, and `Kind/name` of the object."""


def kubeconform(file: Path) -> Said:
    """Objects it calls invalid."""
    done = _run(
        str(tools.binary("kubeconform")), "-strict", "-output", "json", "-ignore-missing-schemas",
        f"-schema-location={_schemas()}", str(file),
    )  # fmt: skip
    found = json.loads(done).get("resources") or []
    return frozenset(
        (f"{each['status']}: {each['msg']}", f"{each['kind']}/{each['name']}")
        for each in found
        if each["status"] in ("statusInvalid", "statusError")
    )


@functools.cache
def _schemas() -> str:
    """Each kind's schema with what it needs in one file, as kubeconform's own default has them."""
    found = find_schemas(int(VERSION.partition(".")[2]))
    assert found is not None, "kubernetes-validate is a development dependency"
    return f"{prepared(found)}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"


def kube_linter(file: Path) -> Said:
    """Its reports, every built-in check switched on but the one that asks the network for schemas (that one
    is kubeconform's)."""
    done = _run(
        "kube-linter", "lint", "--add-all-built-in", "--exclude", "schema-validation",
        "--format", "json", str(file),
    )  # fmt: skip
    return frozenset(
        (each["Check"], f"{each['Object']['K8sObject']['GroupVersionKind']['Kind']}/"
                        f"{each['Object']['K8sObject']['Name']}")
        for each in json.loads(done or "{}").get("Reports") or []
    )  # fmt: skip


def kube_score(file: Path) -> Said:
    """Its warnings and criticisms, every optional test switched on."""
    done = _run(
        "kube-score", "score", "--output-format", "json", "--all-default-optional",
        "--kubernetes-version", f"v{VERSION}", str(file),
    )  # fmt: skip
    return frozenset(
        (check["check"]["name"], f"{each['type_meta']['kind']}/{each['object_meta']['name']}")
        for each in json.loads(done or "[]") or []
        for check in each["checks"]
        if not check["skipped"] and check["grade"] < 7
    )


OTHERS: dict[str, Callable[[Path], Said]] = {
    "kubeconform": kubeconform,
    "kube-linter": kube_linter,
    "kube-score": kube_score,
}


def preflight(target: Path) -> str:
    """One call of the command."""
    return _run(sys.executable, "-m", "preflight", "check", "--format", "json", str(target))


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout


def render(target: Path, into: Path) -> bool:
    """Write what kustomize makes of a folder, or a file as it is; False where kustomize refuses."""
    if target.is_file():
        shutil.copy(target, into)
        return True
    done = subprocess.run(
        [str(tools.binary("kustomize")), "build", str(target)], capture_output=True, check=False
    )
    into.write_bytes(done.stdout)
    return done.returncode == 0


def said_of(file: Path, present: dict[str, Callable[[Path], Said]], scratch: Path) -> dict[str, Said]:
    """What each tool says of a case."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        rendered = scratch / "rendered.yaml"
        render(target_in(repository_of(file, Path(folder))), rendered)
        return {name: tool(rendered) for name, tool in present.items()}


def compare(only: str, present: dict[str, Callable[[Path], Said]], scratch: Path) -> None:
    """Print the table: one line a case, one column a tool."""
    faults = [file for file in FILES if not file.name.startswith("ok-") and only in str(file)]
    good: dict[Path, dict[str, set[tuple[str, str]]]] = {}
    for file in FILES:
        if file.name.startswith("ok-") and file.parent in {fault.parent for fault in faults}:
            known = good.setdefault(file.parent, {name: set() for name in present})
            for name, said in said_of(file, present, scratch).items():
                known[name] |= said
    count = dict.fromkeys((*present, "preflight"), 0)
    print("| fault | " + " | ".join((*present, "preflight")) + " |")
    print("|---" * (len(present) + 2) + "|")
    for file in faults:
        cells = []
        for name, said in said_of(file, present, scratch).items():
            new = said - good[file.parent][name]
            count[name] += bool(new)
            cells.append(", ".join(sorted({check.partition(":")[0] for check, _ in new}))[:60] or "–")
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            root = repository_of(file, Path(folder))
            found = {
                (each.file, each.line, each.severity, each.rule, each.outcome) for each in findings_on(root)
            }
            wanted = sorted(expected_in(root))
        right = found >= set(wanted)
        count["preflight"] += right
        cells.append(f"{wanted[0][3]} {wanted[0][0]}:{wanted[0][1]}" if right else "–")
        print(f"| {file.parent.name}/{file.stem} | " + " | ".join(cells) + " |", flush=True)
    print("| **found** | " + " | ".join(f"{count[name]} of {len(faults)}" for name in count) + " |")


def many(count: int) -> str:
    """About `count` sound objects: Deployments with their Services, ConfigMaps, budgets and accounts."""
    return "---\n".join(_five(number) for number in range(count // 5))


def _five(number: int) -> str:
    name = f"app-{number}"
    meta = {"name": name, "namespace": "many"}
    labels = {"app": name}
    probe = {"httpGet": {"path": "/", "port": "http"}}
    security = {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True,
        "runAsUser": 1000, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    container = {
        "name": "app", "image": "example.org/app:1.2.3", "ports": [{"name": "http", "containerPort": 8080}],
        "envFrom": [{"configMapRef": {"name": name}}], "readinessProbe": probe, "securityContext": security,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
    }  # fmt: skip
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "serviceAccountName": name,
            "automountServiceAccountToken": False,
            "containers": [container],
        },
    }
    objects = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta,
         "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta,
         "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"COLOUR": "red"}},
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta,
         "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
    ]  # fmt: skip
    return "---\n".join(yaml.safe_dump(each, sort_keys=False) for each in objects)


def measure(objects: int, runs: int, present: dict[str, Callable[[Path], Said]], scratch: Path) -> None:
    """Print wall times: best of `runs` on overlays/minikube and on generated objects."""
    rendered, generated = scratch / "minikube.yaml", scratch / "many.yaml"
    render(CLEAN, rendered)
    generated.write_text(many(objects))
    print(f"\n| wall seconds, best of {runs} | overlays/minikube | {objects} objects |\n|---|---|---|")
    for name, tool in present.items():
        print(
            f"| {name} | {_best(runs, tool, rendered):.2f} | {_best(runs, tool, generated):.2f} |", flush=True
        )
    small, large = _best(runs, preflight, CLEAN), _best(runs, preflight, generated)
    print(f"| preflight, rendering and schemas included | {small:.2f} | {large:.2f} |")
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


def _best(runs: int, tool: Callable[[Path], object], file: Path) -> float:
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        tool(file)
        times.append(time.perf_counter() - begun)
    return min(times)


def main() -> None:
    """Compare, then measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="cases with this in their name; 'none' for no table")
    given = parser.parse_args()
    os.environ["PATH"] = f"{tools.binary('kustomize').parent}{os.pathsep}{os.environ['PATH']}"
    present = {name: tool for name, tool in OTHERS.items() if name == "kubeconform" or shutil.which(name)}
    with tempfile.TemporaryDirectory() as folder:
        if given.only != "none":
            compare(given.only, present, Path(folder))
        measure(given.objects, given.runs, present, Path(folder))


if __name__ == "__main__":
    main()
