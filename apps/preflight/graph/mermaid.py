"""The graph as a mermaid flowchart, which GitHub draws from a README."""

from __future__ import annotations

from preflight.graph.gather import Edge, Graph, Kind, Node

SHAPES: dict[Kind, tuple[str, str]] = {
    "workload": ("[", "]"),
    "service": ("([", "])"),
    "topic": ("[/", "/]"),
    "store": ("[(", ")]"),
    "secret": ("{{", "}}"),
    "outside": (">", "]"),
}
CLASSES = """\
  classDef workload fill:#dbe9ff,stroke:#3b6fb6,color:#10233f
  classDef service fill:#e4f5e6,stroke:#3f8f4f,color:#12331a
  classDef topic fill:#fff1d6,stroke:#c08a1e,color:#3d2c05
  classDef store fill:#ece6f7,stroke:#7757b0,color:#271848
  classDef secret fill:#f4f4f4,stroke:#777777,color:#222222
  classDef outside fill:#ffffff,stroke:#999999,color:#333333,stroke-dasharray:4 3
  classDef missing fill:#ffe9e9,stroke:#cc2222,color:#7a0000,stroke-dasharray:4 3
"""


def mermaid(graph: Graph) -> str:
    """A flowchart from left to right; what is broken is red and says why."""
    names = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    lines += [f"  {names[node.id]}{_shape(node)}" for node in graph.nodes]
    lines += [f"  {names[edge.source]} {_arrow(edge)} {names[edge.target]}" for edge in graph.edges]
    broken = [str(number) for number, edge in enumerate(graph.edges) if edge.broken]
    if broken:
        lines.append(f"  linkStyle {','.join(broken)} stroke:#cc2222,color:#cc2222,stroke-width:2px")
    return "\n".join(lines) + "\n" + CLASSES


def _shape(node: Node) -> str:
    opened, closed = SHAPES[node.kind]
    label = _escaped(node.label) + (f"<br/><small>{_escaped(node.note)}</small>" if node.note else "")
    return f'{opened}"{label}"{closed}:::{"missing" if node.missing else node.kind}'


def _arrow(edge: Edge) -> str:
    label = f"✗ {edge.broken}" if edge.broken else edge.label
    arrow = "-.->" if edge.optional or edge.broken else "-->"
    return f'{arrow}|"{_escaped(label)}"|' if label else arrow


def _escaped(text: str) -> str:
    return text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
