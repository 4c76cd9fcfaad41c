"""The graph as SVG that stands alone: no script, no font to load, readable on light and on dark."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from preflight.graph.gather import Edge, Graph, Kind, Node
from preflight.graph.layout import Placed, place

LETTER, SMALL_LETTER = 7.6, 6.4
"""Widths in pixels of one letter of a label and of a note, a little more than common fonts take."""
HEIGHT, TALL = 30.0, 44.0

STYLE = """\
svg{background:#fff}
text{font:13px ui-sans-serif,system-ui,'DejaVu Sans',sans-serif;fill:#1f2933;text-anchor:middle}
text.note{font-size:10.5px;fill:#5f6b7a}
text.label{font-size:10.5px;fill:#5f6b7a;paint-order:stroke;stroke:#fff;stroke-width:4px}
.shape{stroke-width:1.4}
.workload{fill:#dbe9ff;stroke:#3b6fb6}.service{fill:#e4f5e6;stroke:#3f8f4f}
.topic{fill:#fff1d6;stroke:#c08a1e}.store{fill:#ece6f7;stroke:#7757b0}
.secret{fill:#f4f4f4;stroke:#777}.outside{fill:#fff;stroke:#999;stroke-dasharray:4 3}
.missing{fill:#ffe9e9;stroke:#c22;stroke-dasharray:4 3}
.edge{fill:none;stroke:#7b8794;stroke-width:1.3}.optional{stroke-dasharray:5 4}
.broken{stroke:#c22;stroke-width:2;stroke-dasharray:3 3}text.bad{fill:#c22;font-weight:600}
.head{fill:#7b8794}.bad-head{fill:#c22}
@media (prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#e6edf3}text.note,text.label{fill:#9aa7b4}
text.label{stroke:#0d1117}.workload{fill:#15294a}.service{fill:#12331a}.topic{fill:#3d2c05}.store{fill:#271848}
.secret{fill:#22272e}.outside{fill:#0d1117}.missing{fill:#3a1212}text.bad{fill:#ff7b72}.broken{stroke:#ff7b72}}
"""
MARKERS = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto" markerUnits="userSpaceOnUse"><path class="head" d="M0 0L8 4L0 8z"/></marker>'
    '<marker id="bad" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto" markerUnits="userSpaceOnUse"><path class="bad-head" d="M0 0L8 4L0 8z"/></marker></defs>'
)


def svg(graph: Graph) -> str:
    """One picture; nodes and edges carry titles, so that a pointer over them says what they are."""
    sizes = {node.id: _size(node) for node in graph.nodes}
    labels = [_words(edge) for edge in graph.edges]
    gap = max([70.0, *(len(words) * SMALL_LETTER + 36 for words in labels)])
    placed = place(sizes, [(edge.source, edge.target) for edge in graph.edges], (gap, 18))
    width, height = round(placed.width), round(placed.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="Who talks to whom">',
        f"<style>{STYLE}</style>",
        MARKERS,
    ]
    lines += [_edge(edge, placed, sizes) for edge in graph.edges]
    lines += [_label(edge, placed, sizes) for edge in graph.edges if edge.label or edge.broken]
    lines += [_node(node, *placed.middles[node.id], *sizes[node.id]) for node in graph.nodes]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _size(node: Node) -> tuple[float, float]:
    text = max(len(node.label) * LETTER, len(node.note) * SMALL_LETTER)
    return text + 32, TALL if node.note else HEIGHT


def _node(node: Node, x: float, y: float, width: float, height: float) -> str:
    kind = "missing" if node.missing else node.kind
    shape = f'<path class="shape {kind}" d="{_outline(node.kind, x, y, width, height)}"/>'
    up = 3 if node.note else -4.5
    up += -3 if node.kind == "store" else 0
    words = f'<text x="{x:.1f}" y="{y - up:.1f}">{escape(node.label)}</text>'
    if node.note:
        words += f'<text class="note" x="{x:.1f}" y="{y - up + 14:.1f}">{escape(node.note)}</text>'
    title = f"{node.kind} {node.label}" + (" (not here)" if node.missing else "")
    return f"<g><title>{escape(title)}</title>{shape}{words}</g>"


def _outline(kind: Kind, x: float, y: float, width: float, height: float) -> str:
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    slant = min(10.0, height / 3)
    if kind == "topic":
        corners = [(left + slant, top), (right, top), (right - slant, bottom), (left, bottom)]
    elif kind == "secret":
        corners = [(left + slant, top), (right - slant, top), (right, y), (right - slant, bottom),
                   (left + slant, bottom), (left, y)]  # fmt: skip
    elif kind == "store":
        arc = f"A{width / 2:.1f} 5 0 0"
        return (
            f"M{left:.1f} {top + 5:.1f}{arc} 1 {right:.1f} {top + 5:.1f}V{bottom - 5:.1f}"
            f"{arc} 1 {left:.1f} {bottom - 5:.1f}Z"
            f"M{left:.1f} {top + 5:.1f}{arc} 0 {right:.1f} {top + 5:.1f}"
        )
    else:
        r = height / 2 if kind == "service" else 6.0
        return (
            f"M{left + r:.1f} {top:.1f}H{right - r:.1f}A{r} {r} 0 0 1 {right:.1f} {top + r:.1f}"
            f"V{bottom - r:.1f}A{r} {r} 0 0 1 {right - r:.1f} {bottom:.1f}H{left + r:.1f}"
            f"A{r} {r} 0 0 1 {left:.1f} {bottom - r:.1f}V{top + r:.1f}"
            f"A{r} {r} 0 0 1 {left + r:.1f} {top:.1f}Z"
        )
    return "M" + "L".join(f"{cx:.1f} {cy:.1f}" for cx, cy in corners) + "Z"


Sizes = dict[str, tuple[float, float]]


def _points(edge: Edge, placed: Placed, sizes: Sizes) -> list[tuple[float, float]]:
    """The route with its ends moved from the nodes' middles to their sides."""
    points = list(placed.routes[(edge.source, edge.target)])
    forward = 1 if points[-1][0] >= points[0][0] else -1
    points[0] = (points[0][0] + forward * sizes[edge.source][0] / 2, points[0][1])
    points[-1] = (points[-1][0] - forward * (sizes[edge.target][0] / 2 + 1), points[-1][1])
    return points


def _edge(edge: Edge, placed: Placed, sizes: Sizes) -> str:
    points = _points(edge, placed, sizes)
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (to_x, to_y) in pairwise(points):
        half = (to_x - x) / 2
        path += f"C{x + half:.1f} {y:.1f} {to_x - half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
    kind = " broken" if edge.broken else " optional" if edge.optional else ""
    head = "bad" if edge.broken else "head"
    title = f"{edge.source} → {edge.target}" + (f": {edge.broken}" if edge.broken else "")
    line = f'<path class="edge{kind}" d="{path}" marker-end="url(#{head})"/>'
    return f"<g><title>{escape(title)}</title>{line}</g>"


def _words(edge: Edge) -> str:
    return f"✗ {edge.broken}" if edge.broken else edge.label


def _label(edge: Edge, placed: Placed, sizes: Sizes) -> str:
    """In the last gap before the target, where most edges have parted."""
    (x, y), (to_x, to_y) = _points(edge, placed, sizes)[-2:]
    words, kind = _words(edge), "label bad" if edge.broken else "label"
    # the curve's own point at t = 0.6, with both handles half way across
    at_x, at_y = x + (to_x - x) * 0.576, y + (to_y - y) * 0.648
    return f'<text class="{kind}" x="{at_x:.1f}" y="{at_y + 3.5:.1f}">{escape(words)}</text>'
