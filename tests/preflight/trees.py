"""Kustomization trees for tests, written as one text: `--- path` lines start files."""

from __future__ import annotations

import base64
from pathlib import Path

from preflight.documents.paths import walk
from preflight.render.load import Loaded, load


def write(folder: Path, files: str) -> Path:
    """Write files given as one text and return the folder; it is made a repository root.

    `␍` stands for a carriage return.
    """
    (folder / ".git").mkdir(parents=True, exist_ok=True)
    name, lines = "", list[str]()
    for line in [*files.splitlines(), "=== "]:
        if line.startswith("=== "):
            if name:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("\n".join(lines).replace("␍", "\r") + "\n")
            name, lines = line[4:], []
        else:
            lines.append(line)
    return folder


def untraced(loaded: Loaded) -> list[str]:
    """Scalars of the render whose writer the model does not know."""
    lost = []
    for obj in loaded.objects:
        for path, value in walk(obj.doc):
            if value is None or isinstance(value, dict | list):
                continue
            if obj.writer(*path) is None:
                predicted = obj.source.get(*path) if obj.source is not None else None
                lost.append(f"{obj.ref} {path}: renders {value!r}, predicted {predicted!r}")
    return lost


def lines_hold(loaded: Loaded, root: Path) -> list[str]:
    """Scalars whose named line shows neither their value (nor a part that was written there) nor their
    object's beginning or the generator entry that makes it."""
    texts: dict[str, list[str]] = {}
    wrong = []
    for obj in loaded.objects:
        for path, value in walk(obj.doc):
            if value is None or isinstance(value, dict | list):
                continue
            place = obj.where(*path)
            if place.file not in texts:
                texts[place.file] = (root / place.file).read_text().splitlines()
            line = texts[place.file][place.line - 1]
            secret = obj.kind == "Secret" and path[0] == "data"
            whole_file = obj.kind in ("ConfigMap", "Secret") and place.line == 1 and path[0] == "data"
            shown = _shown(value, secret)
            added = line.split()[-1].strip("'\"") if line.strip() else ""
            honest = place == obj.origin or whole_file or "fieldPaths:" in line or added in shown[0]
            if not honest and not any(each in line for each in shown):
                wrong.append(f"{obj.ref} {path} = {value!r} at {place}: {line!r}")
    return wrong


def _shown(value: object, secret: bool) -> list[str]:
    """What a line may show of a value: itself, an image's parts, a hashed or prefixed name's base."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if secret:
        return [base64.b64decode(text).decode()]
    if "\n" in text:
        return ["|", text.partition("\n")[0]]
    return [text, *text.replace("@", ":").split(":"), *(part for part in text.split("-") if len(part) > 2)]


def tree(tmp_path: Path, files: str, target: str = "overlay") -> Loaded:
    """Write a tree and load one folder of it."""
    root = write(tmp_path, files)
    return load(str(root / target), root)
