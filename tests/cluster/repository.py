"""A git repository with the system in it, for a reconciler to read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from cluster import images
from cluster.cluster import ROOT

OVERLAY = "overlays/minikube/kustomization.yaml"
STANDINS = """
- name: apache/kafka
  newName: localhost/kafka
  newTag: standin
- name: qdrant/qdrant
  newName: localhost/qdrant
  newTag: standin
"""


class Repository:
    """base/ and overlays/ as they are here, in a repository of their own, edited and committed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("base", "overlays"):
            shutil.copytree(ROOT / name, folder / name)
        if images.standins():
            self.edit(OVERLAY, "\nconfigMapGenerator:", f"{STANDINS}configMapGenerator:")
        self.git("init", "-q", "-b", "main")
        self.record("the system")

    def git(self, *arguments: str) -> str:
        """git's output."""
        command = ["git", "-C", str(self.folder), "-c", "user.name=test", "-c", "user.email=test@localhost"]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout

    def edit(self, name: str, old: str, new: str) -> None:
        """Put one text in another's place."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def record(self, message: str) -> str:
        """Commit what was edited; the commit's name."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.head()

    def undo(self) -> str:
        """Revert the newest commit; the name of the one that does."""
        self.git("revert", "--no-edit", "HEAD")
        return self.head()

    def head(self) -> str:
        """The newest commit's name."""
        return self.git("rev-parse", "HEAD").strip()
