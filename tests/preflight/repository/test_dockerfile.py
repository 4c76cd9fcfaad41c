"""Dockerfiles as builders read them, and where COPY puts what."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preflight.repository.build_context import Ignore, copied, locate
from preflight.repository.dockerfile import Command, parse

WHOLE = """\
# syntax=docker/dockerfile:1
ARG VERSION=3.12
ARG REGISTRY
FROM ${REGISTRY}python:${VERSION}-slim AS build
ENV A=1 \\
    B="two words" \\
    # a comment between

    PATH=/venv/bin:$PATH
WORKDIR /app
COPY --chown=1000 requirements.txt \\
     pyproject.toml ./
RUN --mount=type=cache,target=/root/.cache pip install -r requirements.txt \\
 && echo done
COPY ["src dir/", "/srv/"]
FROM --platform=linux/amd64 build AS final
COPY --from=build /venv /venv
USER 1000:1000
EXPOSE 8080/tcp 9090
VOLUME ["/data"]
ENTRYPOINT ["python", "-m"]
CMD app.main --port $PORT
"""


def test_stages_commands_and_their_lines() -> None:
    found = parse(WHOLE)
    assert [(stage.name, stage.base, stage.line) for stage in found.stages] == [
        ("build", "python:3.12-slim", 4),
        ("final", "build", 16),
    ]
    build, final = found.stages
    assert (build.env["A"].value, build.env["A"].line) == ("1", 5)
    assert (build.env["B"].value, build.env["B"].line) == ("two words", 6)
    assert build.env["PATH"].value.startswith("/venv/bin:/usr/local/sbin:")
    assert [(copy.sources, copy.target) for copy in build.copies] == [
        (("requirements.txt", "pyproject.toml"), "/app/"),
        (("src dir/",), "/srv/"),
    ]
    assert build.copies[0].instruction.line_of("pyproject.toml") == 12
    assert build.runs[0].text.split()[:3] == ["pip", "install", "-r"]
    assert build.runs[0].workdir == "/app"
    assert final.platform == "linux/amd64"
    assert final.user is not None
    assert (final.user.value, final.user.line) == ("1000:1000", 18)
    assert final.volumes == {"/data": 20}
    assert final.entrypoint == Command(words=("python", "-m"), shell=False, line=21)
    assert final.cmd == Command(words=("app.main --port $PORT",), shell=True, line=22)
    assert final.copies[-1].source_stage == "build"
    assert final.workdir.value == "/app", "inherited from the stage it starts from"
    assert found.stage("BUILD") is build
    assert found.final is final


def test_an_entrypoint_forgets_the_command_of_its_base() -> None:
    found = parse('FROM a AS b\nCMD ["x"]\nFROM b\nENTRYPOINT ["y"]')
    assert found.final is not None
    assert found.final.cmd is None


def test_heredocs_are_bodies_and_not_instructions() -> None:
    found = parse(
        "FROM a\nRUN <<EOF\npip install x\nUSER root\nEOF\n"
        "COPY <<'END' /etc/app.conf\nkey=$value\nEND\nUSER 5\n"
    )
    stage = found.final
    assert stage is not None
    assert "pip install x\nUSER root" in stage.runs[0].text
    assert stage.user is not None
    assert (stage.user.value, stage.user.line) == ("5", 9)
    assert (stage.copies[0].sources, stage.copies[0].target) == ((), "/etc/app.conf")


def test_escape_directive_carriage_returns_and_a_mark_at_the_start() -> None:
    found = parse("\ufeff# escape=`\r\nFROM a\r\nRUN one `\r\n  two\r\nUSER 7\r\n")
    assert found.final is not None
    assert found.final.runs[0].text.split() == ["one", "two"]
    assert found.final.user is not None
    assert found.final.user.line == 5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A", "x"), ("${A}", "x"), ("${A:-y}", "x"), ("${B:-y}", "y"), ("${A:+z}", "z"), ("${B:+z}", ""),
        ("\\$A", "$A"), ("$B", ""), ("a$A-b", "ax-b"),
    ],
)  # fmt: skip
def test_substitution(text: str, value: str) -> None:
    found = parse(f"FROM a\nARG A=x\nENV C={text}")
    assert found.final is not None
    assert found.final.env["C"].value == value


def test_build_arguments_before_from_are_seen_only_when_asked_for_again() -> None:
    found = parse("ARG V=1\nFROM a\nENV B=$V\nARG V\nENV C=$V")
    assert found.final is not None
    assert (found.final.env["B"].value, found.final.env["C"].value) == ("", "1")


@given(st.text(alphabet="FROMRUNCPY abc\\\n\"'[]{}$=<>-#`/.:", max_size=200))
def test_no_text_makes_it_raise(text: str) -> None:
    parse(text)
    parse("FROM a\n" + text)


def test_where_files_end_and_where_they_come_from(tmp_path: Path) -> None:
    for name in ("app/web/main.py", "app/__init__.py", "requirements.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = parse(
        "FROM a AS build\nWORKDIR /src\nCOPY requirements.txt .\nCOPY app ./app\n"
        "FROM b\nCOPY --from=build /src/app /srv/app\nCOPY requirements.txt /etc/\n"
    )
    build, final = found.stages
    assert locate(found, build, "/src/requirements.txt", tmp_path) == "requirements.txt"
    assert locate(found, build, "/src/app/web/main.py", tmp_path) == "app/web/main.py"
    assert locate(found, final, "/srv/app/web/main.py", tmp_path) == "app/web/main.py"
    assert locate(found, final, "/srv/app/missing.py", tmp_path) is None
    assert locate(found, final, "/elsewhere", tmp_path) is None
    assert copied(found, final, tmp_path) == [
        ("requirements.txt", "/etc/requirements.txt"),
        ("app", "/srv/app"),
    ]
    assert copied(found, build, tmp_path) == [
        ("app", "/src/app"),
        ("requirements.txt", "/src/requirements.txt"),
    ]


def test_files_that_a_stage_takes_out_of_what_another_has_copied_whole(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/main.py").write_text("")
    found = parse("FROM a AS build\nCOPY . /src\nFROM b\nCOPY --from=build /src/app/main.py /srv/\n")
    assert copied(found, found.stages[1], tmp_path) == [("app/main.py", "/srv/main.py")]


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("apps/vhm/cli.py", False), ("apps/vhm/__pycache__/x.pyc", True), ("README.md", True),
        ("images/requirements.txt", False), ("apps/other/x.py", True), ("apps/vhm/deep/x.pyc", True),
    ],
)  # fmt: skip
def test_dockerignore(path: str, out: bool) -> None:
    ignore = Ignore("# only these\n*\n!apps/vhm\n!images/requirements.txt\n**/__pycache__\n**/*.py[cod]\n")
    assert ignore.ignores(path) is out
