"""The repository as it was at another git revision, for `--against`."""

from __future__ import annotations

import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from preflight.findings import CheckError

SECONDS = 60.0
REVISION = re.compile(r"[\w./@{}^~:+][\w./@{}^~:+-]*")


@contextmanager
def tree_at(revision: str, root: Path) -> Iterator[Path]:
    """Its files in a temporary folder; the repository is left as it is. Raises `CheckError`."""
    if not REVISION.fullmatch(revision):
        raise CheckError(f"--against {revision}: no git revision")
    with tempfile.TemporaryDirectory(prefix="preflight-") as made:
        archive, folder = Path(made) / "tree.tar", Path(made).resolve() / "tree"
        command = ["git", "-C", str(root), "archive", "--format=tar", f"--output={archive}", revision]
        try:
            # the revision cannot be an option: it starts with no dash
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CheckError(f"--against {revision}: git cannot be asked: {error}") from None
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()
            raise CheckError(f"--against {revision}: {said[0] if said else 'git refuses'}")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        yield folder
