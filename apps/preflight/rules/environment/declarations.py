"""Names that pyproject.toml declares for a container, and that could not be asked."""

from __future__ import annotations

from collections.abc import Iterator

from preflight.facts.pods import starts
from preflight.facts.settings import requests
from preflight.model import Model
from preflight.repository.config import declared_at
from preflight.rules.registry import Violation, at, rule


@rule("declared-name-not-found", family="environment", severity="error", outcome="applies nothing")
def declared_name_not_found(model: Model) -> Iterator[Violation]:
    """A name that pyproject.toml declares for a container and that is not there, or cannot be asked.

    Nothing can be said about the container's settings, routes or topics then. Names are imported from the
    repository's root and the folders that `import-roots` lists, by the repository's .venv, else the active
    environment, else the one preflight runs in. A warning where the name is there: the interpreter lacks a
    package, or importing it ends, takes longer than 20 seconds or more than 1 GiB, or tries what is not
    allowed while it is checked: to connect, to run a program, to write outside its own folder.

        [tool.preflight.containers.indexer]
        settings = "vhm.indexer.setings:Settings"     # the module is vhm.indexer.settings
    """
    for container, start in starts(model).items():
        app = model.app(container)
        failures = app.failures(start.pod, list(requests(container).values())) if app is not None else {}
        for key, failure in failures.items():
            name = getattr(app.config, key) if app is not None else ""
            why, fix = FAILURES[failure.kind]
            yield at(
                container.field("name"),
                message=f'{key} = "{name}" of container {container.name} {why.format(failure.why)}',
                fix=fix,
                place=declared_at(model.root, container.name, key, name),
                severity="error" if failure.kind == "not-found" else "warning",
            )


FAILURES = {
    "not-found": (
        "is not there: {}",
        "name a module on the import roots and what it holds, as module.path:name",
    ),
    "missing-package": (
        "cannot be asked: the interpreter lacks the package of module {}",
        "run preflight where the repository's requirements are installed",
    ),
    "tried": (
        "cannot be asked: it tries to {}",
        "do it when the app starts, not when its settings are made",
    ),
    "raised": ("cannot be asked: {}", "import it with the container's variables to see why"),
    "ended": ("cannot be asked: it {}", "let importing it be short and without effects"),
}
"""What kept a name from being asked, and what to do."""
