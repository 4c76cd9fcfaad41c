"""Every rule's documentation has the shape that `preflight rules` and SARIF print."""

from __future__ import annotations

import pytest

from preflight.findings import CheckError
from preflight.reporting.rule_pages import page
from preflight.rules.registry import Rule, rules
from preflight.rules.retired import NOBODY, RETIRED

KNOWN = rules()


@pytest.mark.parametrize("rule", KNOWN, ids=lambda rule: rule.id)
def test_a_summary_of_one_line_why_it_matters_and_an_example(rule: Rule) -> None:
    summary, *rest = rule.doc.split("\n\n")
    assert "\n" not in summary, "the first paragraph is one line: `preflight rules` shows it"
    assert summary.endswith(".")
    assert any(part.startswith("    ") for part in rest), "an example is indented by four"
    assert any(not part.startswith("    ") for part in rest), "why it matters, in prose"


def test_a_name_that_is_gone_is_no_rule_any_more() -> None:
    ids = {rule.id for rule in KNOWN}
    assert not ids & RETIRED.keys()
    for name, now in RETIRED.items():
        assert now in ids or now == NOBODY, f"{name}: {now} is no rule"
        with pytest.raises(CheckError, match=f"the rule {name} is gone: "):
            page(name)
