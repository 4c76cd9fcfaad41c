"""What the code of a container imports, beside what its image installs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.preflight.trees import write

import preflight
from preflight.facts.images import container_images
from preflight.repository.app import AppKnowledge, Apps
from preflight.repository.build_context import python_path
from preflight.repository.config import Config, ContainerConfig
from preflight.repository.dockerfile import parse
from preflight.repository.missing_packages import code_of, lacks
from preflight.rules.images.python_code import entries
from preflight.run import Options, model_of

SHOP = """\
=== pyproject.toml
[project]
name = "shop"
version = "1"
dependencies = ["stripe-not-here"]
[project.scripts]
shop = "shop.cli:main"
=== shop/__init__.py
=== shop/cli.py
def main():
    import yaml
=== shop/worker.py
import msgspec, stripe_not_here, nobody_knows_this
from helpers import tool
try:
    import rich
except ImportError:
    rich = None
=== common/lib/helpers/__init__.py
=== common/lib/helpers/tool.py
import cyclopts
=== requirements.txt
PyYAML==6
"""
DOCKERFILE = """\
FROM python:3.12-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY common ./common
COPY shop ./shop
ENV PYTHONPATH=/app:/app/common/lib
ENTRYPOINT ["python", "-m"]
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose image installs one package of many."""
    return write(tmp_path_factory.mktemp("shop"), SHOP)


@pytest.fixture(scope="module")
def app(shop: Path) -> Iterator[AppKnowledge]:
    """What is known of the container `worker`."""
    with Apps(shop, {"worker": ContainerConfig(dockerfile="Dockerfile")}) as apps:
        found = apps.get("worker")
        assert found is not None
        yield found


def lacking(app: AppKnowledge, shop: Path, dockerfile: str, *modules: str) -> dict[str, tuple[str, ...]]:
    found = lacks(app, parse(dockerfile), "Dockerfile", shop, modules)
    return {lack.needed.module: lack.distributions for lack in found}


def test_what_is_imported_and_not_installed_is_found_with_its_distribution(
    app: AppKnowledge, shop: Path
) -> None:
    assert lacking(app, shop, DOCKERFILE, "shop.worker") == {
        "msgspec": ("msgspec",),
        "cyclopts": ("cyclopts",),
        "stripe_not_here": ("stripe-not-here",),
    }, "not what is caught when absent, and not what nobody can name the distribution of"
    assert lacking(app, shop, DOCKERFILE, "shop.cli") == {}


def test_what_an_installed_distribution_draws_in_is_there(app: AppKnowledge, shop: Path) -> None:
    more = DOCKERFILE.replace("install -r requirements.txt", "install msgspec cyclopts stripe-not-here")
    assert lacking(app, shop, more, "shop.worker") == {}


@pytest.mark.parametrize(
    "change",
    [("FROM python:3.12-slim", "FROM example.org/base:1"), ("pip install -r", "conda install --file")],
)
def test_where_the_image_may_hold_more_nothing_is_said(
    app: AppKnowledge, shop: Path, change: tuple[str, str]
) -> None:
    assert lacking(app, shop, DOCKERFILE.replace(*change), "shop.worker") == {}


def test_folders_on_pythons_path_in_the_image(shop: Path) -> None:
    found = parse(DOCKERFILE)
    assert found.final is not None
    assert sorted(python_path(found, found.final, shop)) == ["", "common/lib"]
    assert code_of(found, found.final, shop).source_of("helpers.tool") == shop / "common/lib/helpers/tool.py"


@pytest.mark.parametrize(
    ("words", "modules"),
    [
        (["python", "-m", "shop.worker"], ["shop.worker"]),
        (["uvicorn", "shop.worker:app", "--port", "80"], ["shop.worker"]),
        (["gunicorn", "shop.worker:create()"], ["shop.worker"]),
        (["/venv/bin/shop", "serve"], ["shop.cli"]),
        (["/bin/sh", "-c", "exec python -m 'shop.worker' --fast"], ["shop.worker"]),
        (["python", "-m", "http.server"], ["http.server"]),
        (["shop.example.org", "1.2.3"], []),
    ],
)
def test_the_modules_a_command_starts(shop: Path, words: list[str], modules: list[str]) -> None:
    (shop / "Dockerfile").write_text(DOCKERFILE)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop"}}
    container = {"name": "shop", "image": "shop:1", "command": words}
    (shop / "pod.yaml").write_text(json.dumps({**pod, "spec": {"containers": [container]}}))
    config = Config(containers={"shop": ContainerConfig(dockerfile="Dockerfile")})
    with Apps(shop, config.containers) as apps:
        model = model_of(str(shop / "pod.yaml"), root=shop, config=config, apps=apps)
        (image,) = container_images(model).values()
        assert [entry.module for entry in entries(image)] == modules


def test_a_module_that_the_images_own_script_starts_is_followed(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        """\
=== pyproject.toml
[project]
name = "shop"
version = "1"
dependencies = ["PyYAML", "stripe-not-here"]
[tool.preflight.containers.worker]
dockerfile = "Dockerfile"
=== requirements.txt
PyYAML==6
=== workers/worker/main.py
import yaml
import stripe_not_here
=== Dockerfile
FROM python:3.12-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY workers ./workers
ENV PYTHONPATH=/app
ARG MODULE=workers.worker.main
ENV MODULE=${MODULE}
RUN cat <<'END' > /entrypoint.sh
#!/bin/sh
set -e
exec python -m "${MODULE}" "$@"
END
ENTRYPOINT ["/entrypoint.sh"]
=== worker.yaml
apiVersion: v1
kind: Pod
metadata: {name: worker, namespace: shop}
spec: {containers: [{name: worker, image: "example.org/worker:1.2.3"}]}
""",
    )
    [found] = preflight.check(root / "worker.yaml", Options(only=("package-not-installed",)))
    assert (found.file, found.line, found.outcome) == ("workers/worker/main.py", 2, "CrashLoopBackOff")
    assert found.fix == "add stripe-not-here to requirements.txt"
