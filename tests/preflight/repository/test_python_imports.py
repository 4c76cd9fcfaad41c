"""Which packages the code needs, and which an image installs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.preflight.trees import write

from preflight.repository import installed_packages
from preflight.repository.dockerfile import parse
from preflight.repository.python_imports import Code

TREE = """\
=== src/shop/__init__.py
=== src/shop/main.py
import os, json
import yaml
from shop import store
from . import late
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import pandas
try:
    import ujson
except ImportError:
    ujson = None
=== src/shop/store.py
from sqlalchemy.orm import Session
import shop.models.item as item
=== src/shop/models/item.py
import attrs
=== src/shop/late.py
def call():
    import requests
    import importlib
    importlib.import_module("boto3")
=== src/shop/unused.py
import tensorflow
=== broken.py
x = (
"""


def test_imports_are_followed_through_the_repositorys_own_modules(tmp_path: Path) -> None:
    found = Code(write(tmp_path, TREE)).reach(["shop.main"])
    assert {(i.module, i.late, i.optional) for i in found.outside} == {
        ("yaml", False, False), ("sqlalchemy", False, False), ("attrs", False, False),
        ("ujson", False, True), ("requests", True, False), ("boto3", True, False),
    }  # fmt: skip
    where = {i.module: (i.file, i.line) for i in found.outside}
    assert where["yaml"] == ("src/shop/main.py", 2)
    assert where["requests"] == ("src/shop/late.py", 2)
    assert found.modules == ("shop", "shop.late", "shop.main", "shop.models.item", "shop.store")
    assert "src/shop/unused.py" not in found.files


def test_what_is_not_there_or_cannot_be_read_is_no_fault_of_ours(tmp_path: Path) -> None:
    found = Code(write(tmp_path, TREE)).reach(["shop.nowhere", "broken", "../../etc/passwd"])
    assert found.outside == ()


def installed(root: Path, dockerfile: str) -> installed_packages.Installed:
    return installed_packages.installed(parse(dockerfile), "Dockerfile", root)


REQUIREMENTS = """\
=== requirements.txt
# pinned
PyYAML==6.0 \\
    --hash=sha256:00
SQLAlchemy[asyncio]>=2 ; python_version > '3.8'
pywin32==3 ; sys_platform == 'win32'
-r more/extra.txt
-c constraints.txt
local @ https://example.org/local.whl
=== more/extra.txt
boto3~=1.0
=== pyproject.toml
[project]
dependencies = ["httpx>=0.2", "Flask"]
[project.optional-dependencies]
fast = ["uvloop"]
[dependency-groups]
dev = ["pytest"]
"""


def test_requirement_files_are_read_with_their_lines(tmp_path: Path) -> None:
    root = write(tmp_path, REQUIREMENTS)
    found = installed(
        root,
        "FROM python\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install -r requirements.txt",
    )
    assert {name: str(place) for name, place in found.distributions.items()} == {
        "pyyaml": "requirements.txt:2",
        "sqlalchemy": "requirements.txt:4",
        "boto3": "requirements.txt:6",
        "local": "requirements.txt:8",
    }
    assert found.complete
    assert found.files == ["requirements.txt"]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("pip install --no-cache-dir flask==3 'uvicorn[standard]>=0.3'", {"flask", "uvicorn"}),
        ("python -m pip install -i https://example.org/simple flask && rm -rf /tmp/x", {"flask"}),
        ("uv pip install --system --python /opt/v -r /tmp/r.txt", {"pyyaml", "sqlalchemy", "boto3", "local"}),
        ("pip install .", {"httpx", "flask", "uvloop", "pytest"}),
        ("uv sync --frozen", {"httpx", "flask", "uvloop", "pytest"}),
        ("apt-get install -y curl", set()),
        ("printf 'uv==1 --hash=x' > /opt/uv.txt && pip install -r /opt/uv.txt", {"uv"}),
    ],
)
def test_commands_that_install(tmp_path: Path, command: str, names: set[str]) -> None:
    root = write(tmp_path, REQUIREMENTS)
    found = installed(root, f"FROM python\nWORKDIR /app\nCOPY requirements.txt /tmp/r.txt\nRUN {command}")
    assert set(found.distributions) == names
    assert found.complete


@pytest.mark.parametrize(
    "command",
    [
        "conda env create -f e.yml",
        "pip install $EXTRA",
        "pip install -r made.txt",
        "pip install ./wheels/x.whl",
    ],
)
def test_what_cannot_be_told_is_said_to_be_incomplete(tmp_path: Path, command: str) -> None:
    assert not installed(write(tmp_path, REQUIREMENTS), f"FROM python\nRUN {command}").complete


def test_a_virtual_environment_copied_from_another_stage_counts(tmp_path: Path) -> None:
    root = write(tmp_path, REQUIREMENTS)
    found = installed(
        root, "FROM p AS build\nRUN pip install flask\nFROM p AS other\nRUN pip install django\n"
        "FROM p\nCOPY --from=build /venv /venv"
    )  # fmt: skip
    assert set(found.distributions) == {"flask"}


def test_a_bind_mounted_requirement_file(tmp_path: Path) -> None:
    root = write(tmp_path, REQUIREMENTS)
    found = installed(
        root,
        "FROM p\nRUN --mount=type=bind,source=requirements.txt,target=/r.txt pip install -r /r.txt",
    )
    assert "pyyaml" in found.distributions
