"""What the schema promises is what the app does, whatever is sent to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from gateway.serving import KEY, Served

REQUESTS = 100
"""Requests an operation, of those that the schema allows and of those that it does not."""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_any_request_has_a_documented_answer(served: Served, mode: str) -> None:
    # not above: it takes a second that every process of the fast tests would pay
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.result import Ok
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi import checks

    promised = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    schema = schemathesis.openapi.from_url(f"{served.url}/schema/openapi.json")
    failures: list[str] = []
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    for operation in operations:

        @settings(
            max_examples=REQUESTS,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(GenerationMode(mode)))
        def ask(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {KEY}"}, checks=promised, timeout=30)

        try:
            ask()
        except BaseExceptionGroup as group:
            failures += [f"{operation.label}: {failure}" for failure in group.exceptions]
        except Exception as failure:
            failures.append(f"{operation.label}: {failure}")
    assert len(operations) >= 9
    assert not failures, "\n\n".join(failures)
