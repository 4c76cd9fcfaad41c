"""One run: a target becomes a model, and the rules' findings on it."""

from __future__ import annotations

import re
import subprocess
import tarfile
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from preflight.config import Config
from preflight.findings import CannotLook, Finding
from preflight.load import load
from preflight.model import Apps, Model
from preflight.registry import rules

GIT_SECONDS = 60.0


def model_of(
    target: str,
    *,
    root: Path,
    config: Config,
    apps: Apps | None = None,
    against: str = "",
    allow_remote: bool = False,
    stdin: bytes | None = None,
) -> Model:
    """The model of one target; raises `CannotLook` where it cannot be read.

    `stdin` is what the target `-` means. With `against` (a git revision) `Model.before` is the same target
    as it was there, or None where it was not.
    """
    loaded = load(target, root, stdin=stdin, allow_remote=allow_remote)
    before = None
    if against and target != "-":
        with _tree_at(against, root) as old:
            path = old / Path(target).resolve().relative_to(root.resolve())
            if path.exists():
                past = load(str(path), old, allow_remote=allow_remote)
                before = Model(root=old, config=config, target=target, objects=past.objects)
    return Model(
        root=root,
        config=config,
        target=target,
        objects=loaded.objects,
        kustomization=loaded.tree,
        duplicates=loaded.duplicates,
        renderer=loaded.renderer,
        apps=apps,
        before=before,
    )


def findings_of(model: Model, *, only: Collection[str] = (), skip: Collection[str] = ()) -> list[Finding]:
    """What the rules find, by file, line and rule; `only` and `skip` are rules' ids."""
    found = set()
    for each in rules():
        if each.id not in skip and (not only or each.id in only):
            found.update(each.run(model))
    return sorted(found, key=lambda each: (each.place, each.rule, each.object, each.field, each.message))


@contextmanager
def _tree_at(revision: str, root: Path) -> Iterator[Path]:
    """The repository as it was at a git revision, in a temporary folder."""
    if not re.fullmatch(r"[\w./@{}^~:+][\w./@{}^~:+-]*", revision):
        raise CannotLook(f"--against {revision}: no git revision")
    with tempfile.TemporaryDirectory(prefix="preflight-") as made:
        archive, folder = Path(made) / "tree.tar", Path(made).resolve() / "tree"
        command = ["git", "-C", str(root), "archive", "--format=tar", f"--output={archive}", revision]
        try:
            # the revision cannot be an option: it starts with no dash
            done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotLook(f"--against {revision}: git cannot be asked: {error}") from None
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()
            raise CannotLook(f"--against {revision}: {said[0] if said else 'git refuses'}")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        yield folder
