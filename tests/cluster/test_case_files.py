"""The faults of tests/preflight/cases that show before a program runs: the cluster says what the line says.

Refusals are asked of the API server, over what `before.yaml` has put there. Everything else goes into a
namespace of its own, with our image in place of those that no registry has. `VHM_TEST_CASES` takes some of
the files (a regular expression on their paths).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from tests.preflight.test_cases import CASES, FILES, expected_in, findings_on, repository_of

from cluster import images
from cluster.case_system import apply, namespace
from cluster.cluster import Cluster, ClusterError
from cluster.conftest import Installed
from cluster.observation import same, watch
from cluster.predictions import REJECTED, kustomize_on_path

OUTCOMES = {
    REJECTED,
    "no pods",
    "Pending",
    "InvalidImageName",
    "ErrImagePull",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "FailedMount",
}
AT_ONCE = 5
OF_THEIR_IMAGE = {"cannot-run-as-non-root/image-of-root.yaml"}
"""Faults of a published image that no registry here has."""


class CaseFile(msgspec.Struct, frozen=True):
    """One fault, with the objects around it and what preflight says of it."""

    name: str
    text: str
    before: str
    object: str
    outcome: str

    def objects(self, text: str, namespace: str) -> str:
        """The objects for that namespace, with an image that is there where it is not what is wrong."""
        text = re.sub(r"\bnamespace: shop\b", f"namespace: {namespace}", text)
        text = re.sub(
            r"(?m)^(kind: Namespace\nmetadata: *\{?(?:\n  )? *name:) shop\b", rf"\1 {namespace}", text
        )
        if "Image" not in self.outcome:
            text = re.sub(r"\bimage: [^,}\s]+", f"image: {images.IMAGE}:{images.tag()}", text)
        return text


@pytest.mark.timeout(1800)
def test_what_a_line_says_is_observed(installed: Installed, tmp_path: Path) -> None:
    kustomize_on_path()
    cases = list(case_files(tmp_path, re.compile(os.environ.get("VHM_TEST_CASES", ""))))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(pool.map(lambda case: _observed(installed.cluster, case), cases))
    lines = {
        f"{case.name}: {case.object} {case.outcome}, the cluster: {what}": same(case.outcome, what)
        for case, what in zip(cases, seen, strict=True)
    }
    print(*lines, sep="\n", file=sys.stderr)
    assert [line for line, agrees in lines.items() if not agrees] == []
    assert lines


def case_files(folder: Path, wanted: re.Pattern[str]) -> Iterator[CaseFile]:
    """The wanted files whose one error is an outcome that shows before a program runs."""
    for number, path in enumerate(FILES):
        name = str(path.relative_to(CASES))
        root = repository_of(path, folder / str(number))
        expected = [(severity, outcome) for _, _, severity, _, outcome in expected_in(root)]
        if len(expected) != 1 or expected[0][0] != "error" or expected[0][1] not in OUTCOMES:
            continue
        # what an image of its own is about needs that image
        apart = any((root / file).exists() for file in ("kustomization.yaml", "Dockerfile"))
        if apart or name in OF_THEIR_IMAGE or not wanted.search(name):
            continue
        [finding] = findings_on(root)
        before = root / "before.yaml"
        yield CaseFile(
            name=name,
            text=(root / "all.yaml").read_text(),
            before=before.read_text() if before.exists() else "",
            object=finding.object,
            outcome=finding.outcome,
        )


def _observed(cluster: Cluster, case: CaseFile) -> str:
    try:
        with namespace(cluster, Path(case.name).stem, restricted=False) as name:
            if case.before:
                cluster.apply(case.objects(case.before, name))
            objects = case.objects(case.text, name)
            if case.outcome == REJECTED:
                return REJECTED if apply(cluster, objects, "--dry-run=server") else "accepted"
            apply(cluster, objects)
            return watch(cluster, name, case.object, case.outcome)
    except ClusterError as failed:
        return f"failed: {' '.join(str(failed).split())[:200]}"
