"""Predicted is observed: the broken cases are applied, and the node must say what preflight said it would.

The table says of every prediction what was observed, or why its case was not applied. `VHM_TEST_CASES` takes
some of them (a regular expression on `case: outcome`), `VHM_TEST_TABLE` is a file that gets the table.
"""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.case_system import CaseSystem, namespace, outside
from cluster.conftest import Installed
from cluster.observation import WHOLE, observe, same
from cluster.predictions import Prediction, kustomize_on_path, predictions

AT_ONCE = 5
"""Cases of a few pods on the node at the same time."""
WHOLE_AT_ONCE = 3
"""Cases of the whole system on the node at the same time."""


@pytest.fixture(scope="module")
def predicted() -> list[Prediction]:
    """preflight's own word on every case that was asked for."""
    kustomize_on_path()
    wanted = re.compile(os.environ.get("VHM_TEST_CASES", ""))
    return list(predictions(wanted))


@pytest.mark.timeout(3600)
def test_what_was_predicted_is_observed(installed: Installed, predicted: list[Prediction]) -> None:
    cluster = installed.cluster
    cluster.wait_until_ready()
    whole = [each for each in predicted if each.outcome in WHOLE]
    others = [each for each in predicted if each.outcome not in WHOLE]
    table = Table()
    with outside(cluster) as knocking:
        with namespace(cluster, "clean") as name:
            seconds, seen = CaseSystem(cluster, name, knocking).clean()
        table.line("the clean overlay", "", "told", f"{seen}: ready after {seconds:.0f} s")
        for cases, at_once in ((others, AT_ONCE), (whole, WHOLE_AT_ONCE)):
            # the whole system shows all that a case's predictions of one outcome are about
            once = {(each.case, each.outcome, each in others and each.object): each for each in cases}
            with ThreadPoolExecutor(at_once) as pool:
                observed = pool.map(lambda each: observe(cluster, each, knocking), once.values())
                for each, seen in zip(once.values(), observed, strict=True):
                    table.line(each.case, each.severity, each.outcome, seen, each.rule)
    print("\n".join(table.summary()), file=sys.stderr)
    assert table.differ == []
    assert table.observed


class Table:
    """The lines of the table as they come, on standard error and in `VHM_TEST_TABLE`."""

    def __init__(self) -> None:
        file = os.environ.get("VHM_TEST_TABLE")
        self.file = Path(file) if file else None
        self.differ: list[str] = []
        self.observed = 0
        self.not_applied = 0
        if self.file:
            self.file.write_text("")
        self._write(f"{'case':<40} {'severity':<8} {'predicted':<27} observed")

    def line(self, case: str, severity: str, predicted: str, seen: str, rule: str = "") -> None:
        """One prediction and what became of it."""
        state = seen.partition(": ")[0]
        applied = state != "not applied"
        agree = not applied or same(predicted, state)
        self.observed += applied
        self.not_applied += not applied
        if not agree:
            self.differ.append(f"{case}: {rule} says {predicted}, the cluster {seen}")
        self._write(
            f"{case:<40} {severity:<8} {predicted[:26]:<27} {seen}{'' if agree else '   <-- differs'}"
        )

    def summary(self) -> list[str]:
        """How many there were, and which differ."""
        counts = f"{self.observed} observed, {len(self.differ)} differ, {self.not_applied} not applied"
        self._write(counts)
        return [counts, *self.differ]

    def _write(self, line: str) -> None:
        print(line.rstrip(), file=sys.stderr)
        if self.file:
            with self.file.open("a") as out:
                out.write(f"{line.rstrip()}\n")
