"""The settings command and the table in README made by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vhm.commands.settings import TYPES, env_lines, markdown, settings, variables
from vhm.contract.env_loader import load

README = Path(__file__).parents[2] / "README.md"


def test_the_table_in_readme_is_current() -> None:
    assert markdown(variables(list(TYPES))) in README.read_text(), (
        "README holds an old settings table: put `uv run vhm settings --format markdown` there"
    )


def test_every_variable_says_what_it_is_for() -> None:
    assert [one.name for one in variables(list(TYPES)) if not one.about] == []


@pytest.mark.parametrize("worker", list(TYPES))
def test_the_env_file_of_a_worker_is_one_it_starts_with(worker: str) -> None:
    lines = [line for line in env_lines(variables([worker])) if not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines)
    assert given["KAFKA_BOOTSTRAP_SERVERS"] == ""
    given |= {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"} | (
        {"QDRANT_URL": "http://q:6333"} if "QDRANT_URL" in given else {}
    )
    assert load(TYPES[worker], given) == load(
        TYPES[worker], {k: v for k, v in given.items() if k in ("KAFKA_BOOTSTRAP_SERVERS", "QDRANT_URL")}
    )


@pytest.mark.parametrize("format", ["table", "env", "markdown"])
def test_each_format_prints_each_variable(format: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert settings("resonance", format=format) == 0  # type: ignore[arg-type]
    printed = capsys.readouterr().out
    assert "RESONANCE_MAX_BEATS" in printed
    assert "RETELLER_LOG_LEVEL" not in printed
