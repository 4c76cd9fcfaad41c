"""`preflight graph`: who talks to whom, as mermaid for a README or for Graphviz."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from preflight.graph.dot import dot
from preflight.graph.gather import Edge, Graph, Node, gather
from preflight.graph.mermaid import mermaid
from preflight.repository.app import Apps
from preflight.repository.config import load_config
from preflight.run import model_of, root_of

__all__ = ["Edge", "Graph", "Node", "dot", "draw", "gather", "mermaid"]


def draw(
    path: str | Path,
    format: Literal["mermaid", "dot"] = "mermaid",
    *,
    allow_remote: bool = False,
    stdin: bytes | None = None,
) -> str:
    """The graph of one target. Raises `CheckError` with one line when it could not look."""
    target = str(path)
    root = root_of([target])
    config = load_config(root)
    with Apps(root, config.containers, config.import_roots) as apps:
        model = model_of(target, root=root, config=config, apps=apps, allow_remote=allow_remote, stdin=stdin)
        graph = gather(model)
    return dot(graph) if format == "dot" else mermaid(graph)
