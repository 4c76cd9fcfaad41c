"""Names that pyproject.toml declares for a container, and that could not be asked."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.facts.pods import starts
from preflight.facts.settings import requests
from preflight.model import Model
from preflight.repository.app import Failure
from preflight.repository.config import declared_at
from preflight.rules.registry import Violation, at, rule


@rule("declared-name-not-found", family="environment", severity="error", outcome="applies nothing")
def declared_name_not_found(model: Model) -> Iterator[Violation]:
    """A module or a name that pyproject.toml declares for a container and that the repository does not have.

    Nothing can be said about the container's settings, routes or topics then. Names are imported from the
    repository's root and the folders that `import-roots` lists.

        [tool.preflight.containers.indexer]
        settings = "vhm.indexer.setings:Settings"     # the module is vhm.indexer.settings
    """
    yield from _failures(model, found=False)


@rule("declared-name-not-asked", family="environment", severity="warning", outcome="applies nothing")
def declared_name_not_asked(model: Model) -> Iterator[Violation]:
    """A declared name that could not be imported or asked here, so that nothing is known of its container.

    The interpreter (the repository's .venv, else the active environment, else the one preflight runs in)
    lacks a package, or importing it ends, takes longer than 20 seconds, takes more than 1 GiB, or tries what
    is not allowed while it is checked: to connect, to run a program, to write outside its own folder.

        settings = "shop.settings:Settings"     # and shop/settings.py opens a connection when imported
    """
    yield from _failures(model, found=True)


def _failures(model: Model, found: bool) -> Iterator[Violation]:
    for container, start in starts(model).items():
        app = model.app(container)
        failures = app.failures(start.pod, list(requests(container).values())) if app is not None else {}
        for key, failure in failures.items():
            if app is not None and (failure.kind != "not-found") is found:
                name = getattr(app.config, key)
                yield at(
                    container,
                    "name",
                    message=f'{key} = "{name}" of container {container.name} {_words(failure)}',
                    fix=_fix(failure),
                    place=declared_at(model.root, container.name, key, name),
                )


def _words(failure: Failure) -> str:
    return {
        "not-found": f"is not there: {failure.why}",
        "missing-package": f"cannot be asked: the interpreter lacks the package of module {failure.why}",
        "tried": f"cannot be asked: it tries to {failure.why}",
        "raised": f"cannot be asked: {failure.why}",
        "ended": f"cannot be asked: it {failure.why}",
    }[failure.kind]


def _fix(failure: Failure) -> str:
    return {
        "not-found": "name a module on the import roots and what it holds, as module.path:name",
        "missing-package": "run preflight where the repository's requirements are installed",
        "tried": "do it when the app starts, not when its settings are made",
        "raised": "import it with the container's variables to see why",
        "ended": "let importing it be short and without effects",
    }[failure.kind]
