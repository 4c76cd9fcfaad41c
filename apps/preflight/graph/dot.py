"""The graph in Graphviz' language: `preflight graph overlays/test --format dot | dot -Tsvg`."""

from __future__ import annotations

from preflight.graph.gather import Graph, Kind

SHAPES: dict[Kind, str] = {
    "workload": "box",
    "service": "oval",
    "topic": "parallelogram",
    "store": "cylinder",
    "secret": "hexagon",
    "outside": "plaintext",
}


def dot(graph: Graph) -> str:
    """A digraph from left to right; what is broken is red and says why."""
    lines = ["digraph preflight {", "  rankdir=LR"]
    for node in graph.nodes:
        label = f"{node.label}\n{node.note}" if node.note else node.label
        red = ", color=red" if node.missing else ""
        lines.append(f"  {_quoted(node.id)} [label={_quoted(label)}, shape={SHAPES[node.kind]}{red}]")
    for edge in graph.edges:
        label = edge.broken or edge.label
        style = ", color=red" if edge.broken else ", style=dashed" if edge.optional else ""
        lines.append(f"  {_quoted(edge.source)} -> {_quoted(edge.target)} [label={_quoted(label)}{style}]")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
