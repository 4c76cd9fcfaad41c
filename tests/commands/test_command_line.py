"""What a person meets who mistypes a command, asks for help, or completes one."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from vhm import cli
from vhm.commands.settings import variables

EPILOGUE = "Start with"


class Done(NamedTuple):
    """How a command ended and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


def vhm(*words: str, **environment: str) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patched,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patched.setattr(sys, "argv", ["vhm", *words])
        for name, value in {"COLUMNS": "80", **environment}.items():
            patched.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert isinstance(ended.value.code, int)
    return Done(ended.value.code, out.getvalue(), err.getvalue())


def test_as_a_process_it_is_the_same() -> None:
    words = ["recal", "tea"]
    done = subprocess.run(
        [sys.executable, "-m", "vhm", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert Done(done.returncode, done.stdout, done.stderr) == vhm(*words)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nosuch"], 'Unknown command "nosuch"'),
        (["recal", "tea"], 'Did you mean "recall"?'),
        (["recall", "tea", "--top-kk", "3"], "Did you mean --top-k?"),
        (["recall", "tea", "--top-k", "many"], '"many"'),
        (["remember", "--file"], "--file requires an argument"),
        (["completion", "tcsh"], '"tcsh"'),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words: list[str], line: str) -> None:
    done = vhm(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("vhm: ")
    assert done.stderr.count("\n") == 1
    assert line in done.stderr


def test_how_to_start_is_said_once() -> None:
    assert vhm("--help").stdout.count(EPILOGUE) == 1
    for words in (["recall"], ["dead-letters"], ["dead-letters", "show"], ["gateway"]):
        shown = vhm(*words, "--help")
        assert shown.returncode == 0
        assert "Usage: " in shown.stdout
        assert EPILOGUE not in shown.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_and_changes_no_file(shell: str, tmp_path: Path) -> None:
    done = vhm("completion", shell, HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "dead-letters" in done.stdout
    assert list(tmp_path.iterdir()) == []
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=done.stdout, text=True, capture_output=True)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_names_of_settings_are_never_broken() -> None:
    shown = vhm("settings").stdout.split()
    assert {variable.name for variable in variables(["indexer", "gateway"])} <= set(shown)
