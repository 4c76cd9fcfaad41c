"""One line of JSON in, one out, until the input ends. `preflight.repository.app` is the other end.

First request: `{"roots": [...], "containers": {NAME: {"settings": "m:name", "app": ..., "topics": ...}}}`,
answer: `{"containers": {NAME: {"settings": [...], "topics": [...]}}}`. Every later request holds any of
`environments`, `routes`, `modules`; the answer has the same keys. A name that does not import is answered
with `{"failed": {"container", "key", "name", "why"}}`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

ALIAS = "_preflight_probe"


def _siblings() -> Any:
    """This package under a name of its own: its folder must not stay on the checked repository's path,
    where `settings` or `routes` may be the repository's own modules."""
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != here]
    spec = importlib.util.spec_from_file_location(
        ALIAS, here / "__init__.py", submodule_search_locations=[str(here)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{here} is not a package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[ALIAS] = package
    spec.loader.exec_module(package)
    return importlib.import_module(ALIAS + ".answer")


def main() -> None:
    """Answer requests. What the imported code prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    session = _siblings().Session()
    for line in requests:
        answers.write(json.dumps(session.answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
    # what the imported code started (threads, exit hooks) has nobody waiting for it
    sys.stdout.flush()
    os._exit(0)
