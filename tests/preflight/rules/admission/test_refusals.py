"""What preflight says the API server refuses, Kubernetes' own validation refuses as well.

`refusals.yaml` holds one small object of each kind and, line by line, changes to it; `verdicts.json` what
`tests/tools/apivalidation` says of each of them. It is written anew with

    go build -C tests/tools/apivalidation -o "$PWD/.cache/apivalidation" .     # once, ten minutes
    uv run python tests/preflight/rules/admission/test_refusals.py
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[3]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "apps")]

from preflight.model import Model  # noqa: E402 - this file is a program as well
from preflight.render.load import load  # noqa: E402
from preflight.repository.config import Config  # noqa: E402
from preflight.run import findings_of  # noqa: E402

PROGRAM = ROOT / ".cache" / "apivalidation"
VERDICTS = HERE / "verdicts.json"
ASKED: dict[str, Any] = yaml.safe_load((HERE / "refusals.yaml").read_text())
BASES: dict[str, dict[str, Any]] = {each["kind"]: each for each in ASKED["bases"]}
JUNK = (None, "", "Upper Case", "a" * 64, 0, -1, 70000, True, [], {}, "1Gb", "${FILLED_IN}")


def changed(kind: str) -> list[dict[str, Any]]:
    """The object of a kind, and the object after each change."""
    docs = []
    for change in [{}, *ASKED["changes"].get(kind, [])]:
        doc = copy.deepcopy(BASES[kind])
        for path, value in change.items():
            *steps, last = path.split(".")
            here: Any = doc
            for step in steps:
                here = here[int(step)] if step.isdigit() else here.setdefault(step, {})
            here[int(last) if last.isdigit() else last] = value
        docs.append(doc)
    return docs


def refused(docs: list[dict[str, Any]]) -> list[bool | None]:
    """Kubernetes' verdict on each; None for kinds that are not asked about."""
    lines = "".join(json.dumps(doc) + "\n" for doc in docs)
    done = subprocess.run([PROGRAM], input=lines, capture_output=True, text=True, check=True, timeout=100)
    answers = [json.loads(line)["refused"] for line in done.stdout.splitlines()]
    return [None if answer is None else bool(answer) for answer in answers]


RULES = ("admission", "mount-without-volume", "request-above-limit", "grace-period-too-short")


def findings(doc: dict[str, Any]) -> list[str]:
    """What preflight says the API server refuses."""
    objects = load("-", Path("/"), stdin=json.dumps(doc).encode()).objects
    model = Model(root=Path("/"), config=Config(), target="-", objects=objects)
    return [
        f"{each.rule}: {each.message}"
        for each in findings_of(model, only=RULES)
        if each.severity == "error" and each.outcome == "rejected by the API server"
    ]


@pytest.mark.parametrize("kind", BASES)
def test_nothing_is_called_refused_that_is_accepted(kind: str) -> None:
    verdicts = json.loads(VERDICTS.read_text())[kind]
    docs = changed(kind)
    assert len(docs) == len(verdicts), "refusals.yaml has changed: write verdicts.json anew"
    for doc, verdict in zip(docs, verdicts, strict=True):
        if verdict is False:
            assert findings(doc) == [], json.dumps(doc)


def mutations(doc: Any) -> Iterator[Any]:
    """The document with one value after another taken for each piece of junk."""
    if isinstance(doc, dict):
        for key, value in doc.items():
            for junk in JUNK:
                yield {**doc, key: junk}
            for inner in mutations(value):
                yield {**doc, key: inner}
    elif isinstance(doc, list):
        for index, value in enumerate(doc):
            for inner in mutations(value):
                yield [*doc[:index], inner, *doc[index + 1 :]]


@pytest.mark.slow
@pytest.mark.parametrize("overlay", ["minikube", "production"])
def test_no_mutation_of_an_overlay_is_refused_falsely(overlay: str) -> None:
    if not PROGRAM.exists():
        pytest.skip(f"no {PROGRAM}: the first lines of this file say how it is built")
    objects = load(str(ROOT / "overlays" / overlay), ROOT).objects
    docs = [
        {**mutated, "apiVersion": obj.doc["apiVersion"], "kind": obj.kind}
        for obj in objects
        for mutated in mutations(obj.doc)
        if isinstance(mutated.get("metadata"), dict)
    ]
    wrong = [
        f"{said}: {json.dumps(doc)[:3000]}"
        for doc, verdict in zip(docs, refused(docs), strict=True)
        # by hand a headless Service lacks what the server fills in first
        if verdict is False and (said := findings(doc))
    ]
    assert not wrong, f"{len(wrong)} of {len(docs)}:\n" + "\n".join(wrong[:20])


if __name__ == "__main__":
    VERDICTS.write_text(json.dumps({kind: refused(changed(kind)) for kind in BASES}) + "\n")
