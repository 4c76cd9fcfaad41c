"""No rule falls over what a manifest may hold: any value of the real render replaced by any other."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from preflight.cluster.objects import Obj
from preflight.documents.paths import Step, walk
from preflight.model import Model
from preflight.render.load import Loaded, load
from preflight.repository.app import Apps
from preflight.repository.config import load_config
from preflight.run import findings_of

ROOT = Path(__file__).parents[3]
JUNK: list[Any] = [
    None,
    0,
    -1,
    2**70,
    1.5,
    float("nan"),
    True,
    "",
    "x",
    "$(",
    "a\nb",
    "\ud7ff☃",
    "*",
    "8080",
    [],
    [None],
    [[]],
    ["x"],
    [{}],
    {},
    {"": None},
    {"name": None},
    {"name": []},
    {"a": {"b": [1]}},
]


@pytest.fixture(scope="module")
def loaded(renders: None) -> Loaded:
    return load(str(ROOT / "overlays/minikube"), ROOT)


def places(loaded: Loaded) -> list[tuple[int, tuple[Step, ...]]]:
    return [
        (index, path)
        for index, obj in enumerate(loaded.objects)
        for path, _ in walk(obj.doc)
        if path and path not in (("apiVersion",), ("kind",))
    ]


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_rule_falls_over_a_value_it_does_not_expect(data: st.DataObject, loaded: Loaded) -> None:
    config = load_config(ROOT)
    changes = data.draw(
        st.lists(st.tuples(st.sampled_from(places(loaded)), st.sampled_from(JUNK)), min_size=1, max_size=6)
    )
    docs = [copy.deepcopy(each.doc) for each in loaded.objects]
    for (index, path), junk in changes:
        put(docs[index], path, copy.deepcopy(junk))
    objects = [Obj(doc, each.source, each.origin) for doc, each in zip(docs, loaded.objects, strict=True)]
    with Apps(ROOT, {}) as apps:
        model = Model(root=ROOT, config=config, target="overlays/minikube", objects=objects, apps=apps)
        model.before = Model(root=ROOT, config=config, target="overlays/minikube", objects=loaded.objects)
        for finding in findings_of(model, skip=("not-in-schema",)):
            assert "\n" not in finding.message
            assert finding.line >= 1


def put(doc: Any, path: tuple[Step, ...], value: Any) -> None:
    """Write a value at a path that may have been overwritten already."""
    for step in path[:-1]:
        try:
            doc = doc[step]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(doc, dict | list) and isinstance(path[-1], int) == isinstance(doc, list):
        if isinstance(doc, list) and not path[-1] < len(doc):
            return
        doc[path[-1]] = value
