"""Kustomizations in which anything may stand anywhere end in a tree or in one line."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.preflight.render.trace.test_trace import PARTS, made
from tests.preflight.rules.test_rules_hold import JUNK, put
from tests.preflight.trees import write

from preflight.documents.paths import walk
from preflight.findings import CheckError
from preflight.render.trace import build


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("tree"), made([part for part in PARTS if part != "strategic"]))


@settings(
    max_examples=50,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_value_anywhere_in_any_file(data: st.DataObject, written: Path) -> None:
    file = data.draw(st.sampled_from(sorted(written.rglob("*.yaml"))))
    text = file.read_text()
    documents: list[Any] = copy.deepcopy(list(yaml.safe_load_all(text)))
    places = [path for path, _ in walk(documents) if path]
    changes = st.lists(st.tuples(st.sampled_from(places), st.sampled_from(JUNK)), max_size=8)
    for path, junk in data.draw(changes):
        put(documents, path, copy.deepcopy(junk))
    file.write_text("\n---\n".join(json.dumps(each) for each in documents))
    try:
        build(written / "overlay", written)
    except CheckError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    finally:
        file.write_text(text)


@pytest.mark.parametrize("name", ["pipe", "/dev/zero"])
def test_what_is_no_file_is_not_read(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"=== overlay/kustomization.yaml\nresources: [{name}]")
    os.mkfifo(tmp_path / "overlay/pipe")
    with pytest.raises(CheckError):
        build(tmp_path / "overlay", tmp_path)


def test_expressions_that_run_for_ever_are_not_followed(tmp_path: Path) -> None:
    write(
        tmp_path,
        "=== overlay/kustomization.yaml\n"
        "resources: [p.yaml]\n"
        "images:\n- {name: '(a+)+', newTag: x}\n- {name: 'a.*.*.*.*.*b', newTag: x}\n"
        "patches:\n- target: {kind: '(P|o|d)*x'}\n  patch: '[]'\n"
        "=== overlay/p.yaml\n"
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
        f"spec: {{containers: [{{name: c, image: {'a' * 200}}}]}}\n",
    )
    assert [each.followed for each in build(tmp_path / "overlay", tmp_path).tree.edits] == [False] * 3
