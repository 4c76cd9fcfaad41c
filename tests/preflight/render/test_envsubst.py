"""Variables as Flux's controller expands them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.render.envsubst import Unset, expand

VARIABLES = {"app": "photos", "empty": "", "secret": None}


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("${app}", "photos"),
        ("name: ${app}-db", "name: photos-db"),
        ("$app and $(app) stay", "$app and $(app) stay"),
        ("$${app}", "${app}"),
        ("$$", "$"),
        ("${app:-x}", "photos"),
        ("${empty:=x}", "x"),
        ("${other:-${app}}", "photos"),
        ("${other:=a b}", "a b"),
        ("${app^^} ${app^}", "PHOTOS Photos"),
        ("${#app}", "6"),
        ("${secret}", "${secret}"),
        ("${secret:-x}", "${secret:-x}"),
        ("${app/o/0}", "${app/o/0}"),
    ],
)
def test_a_text_becomes(text: str, becomes: str) -> None:
    assert expand(text, VARIABLES).text == becomes


def test_a_given_value_is_known_and_a_default_is_not() -> None:
    assert expand("${app}", VARIABLES).known
    assert not expand("${other:=x}", VARIABLES).known
    assert not expand("${secret}", VARIABLES).known


def test_what_nothing_sets_is_named_where_it_stands() -> None:
    assert expand("a ${today} b", VARIABLES).unset == [Unset("today", 2)]
    assert expand("${today:-x} ${secret}", VARIABLES).unset == []


@pytest.mark.parametrize("text", ["${list[@]}", "${", "${app", "${other-x}", "${!app}", "${app:-x"])
def test_what_is_no_expression_is_malformed(text: str) -> None:
    expanded = expand(f"a {text}", VARIABLES)
    assert expanded.malformed is not None
    assert expanded.text == f"a {text}"


@given(st.text(alphabet="ab ${}:-=/#^_1\n", max_size=40))
def test_any_text_comes_to_an_end(text: str) -> None:
    expanded = expand(text, VARIABLES)
    assert expanded.text == text or "$" in text


@given(st.text(alphabet=st.characters(exclude_characters="$"), max_size=40))
def test_a_text_without_a_dollar_stays(text: str) -> None:
    assert expand(text, VARIABLES).text == text
