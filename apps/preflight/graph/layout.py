"""A layered layout from left to right: layers by longest path, crossings reduced by medians, then placed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

SWEEPS = 24
"""Passes over the layers; more changes nothing in graphs a person can read."""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is. Coordinates are the middles of nodes; `routes` are the points an edge passes."""

    middles: dict[str, tuple[float, float]]
    routes: dict[tuple[str, str], list[tuple[float, float]]]
    width: float
    height: float


def place(
    sizes: Mapping[str, tuple[float, float]],
    edges: Sequence[tuple[str, str]],
    gap: tuple[float, float] = (70, 18),
    margin: float = 24,
) -> Placed:
    """Coordinates for nodes of these sizes (width, height); `gap` is kept between layers and neighbours."""
    forward = _acyclic(list(sizes), edges)
    layer = _layers(list(sizes), forward)
    chains = {edge: _chain(edge, layer) for edge in forward}
    extent = dict(sizes)
    for chain in chains.values():
        for dummy in chain[1:-1]:
            extent[dummy] = (0, 6)
    order = _ordered(layer, chains)
    xs: dict[str, float] = {}
    across: dict[str, float] = {}
    left = margin
    for members in order:
        width = max(extent[name][0] for name in members)
        xs |= dict.fromkeys(members, left + width / 2)
        across |= dict.fromkeys(members, width / 2)
        left += width + gap[0]
    ys = _heights(order, chains, extent, gap[1], margin)
    middles = {name: (xs[name], ys[name]) for name in sizes}
    routes = {}
    for source, target in edges:
        turned = (source, target) not in forward
        chain = chains[(target, source) if turned else (source, target)]
        # level past the nodes of each layer between, so that it bends only where there are none
        between = [(xs[d] + side * across[d], ys[d]) for d in chain[1:-1] for side in (-1, 1)]
        points = [(xs[chain[0]], ys[chain[0]]), *between, (xs[chain[-1]], ys[chain[-1]])]
        routes[(source, target)] = points[::-1] if turned else points
    height = max((ys[name] + extent[name][1] / 2 for name in ys), default=0) + margin
    return Placed(middles=middles, routes=routes, width=left - gap[0] + margin, height=height)


def _acyclic(nodes: list[str], edges: Sequence[tuple[str, str]]) -> dict[tuple[str, str], None]:
    """The edges with those turned round that close a circle."""
    after: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        after[source].append(target)
    state: dict[str, int] = {}
    forward: dict[tuple[str, str], None] = {}
    for start in nodes:
        stack = [(start, iter(after[start]))] if start not in state else []
        state.setdefault(start, 1)
        while stack:
            name, targets = stack[-1]
            for target in targets:
                turned = state.get(target) == 1
                forward[(target, name) if turned else (name, target)] = None
                if target not in state:
                    state[target] = 1
                    stack.append((target, iter(after[target])))
                    break
            else:
                state[name] = 2
                stack.pop()
    return forward


def _layers(nodes: list[str], edges: Mapping[tuple[str, str], None]) -> dict[str, int]:
    """Longest path from a source; then sources are drawn to the layer before their first target."""
    layer = dict.fromkeys(nodes, 0)
    changed = True
    while changed:
        changed = False
        for source, target in edges:
            if layer[target] <= layer[source]:
                layer[target] = layer[source] + 1
                changed = True
    targets: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        targets[source].append(target)
    entered = {target for _, target in edges}
    for name in nodes:
        if name not in entered and targets[name]:
            layer[name] = min(layer[target] for target in targets[name]) - 1
    return layer


def _chain(edge: tuple[str, str], layer: Mapping[str, int]) -> list[str]:
    """The edge's ends with a dummy on every layer between them."""
    source, target = edge
    between = range(layer[source] + 1, layer[target])
    return [source, *(f"{source}\0{target}\0{number}" for number in between), target]


def _ordered(layer: Mapping[str, int], chains: Mapping[tuple[str, str], list[str]]) -> list[list[str]]:
    order: list[list[str]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for name, number in layer.items():
        order[number].append(name)
    before: dict[str, list[str]] = defaultdict(list)
    after: dict[str, list[str]] = defaultdict(list)
    for chain in chains.values():
        for number, dummy in enumerate(chain[1:-1], layer[chain[0]] + 1):
            order[number].append(dummy)
        for one, other in pairwise(chain):
            after[one].append(other)
            before[other].append(one)
    best, fewest = [list(members) for members in order], _crossings(order, after)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for number in range(len(order)) if down else range(len(order) - 1, -1, -1):
            beside = number - 1 if down else number + 1
            if not 0 <= beside < len(order):
                continue
            position = {name: index for index, name in enumerate(order[beside])}
            neighbours = before if down else after
            own = {name: index for index, name in enumerate(order[number])}
            order[number].sort(key=lambda name: _mean(neighbours[name], position, own[name]))
        count = _crossings(order, after)
        if count < fewest:
            best, fewest = [list(members) for members in order], count
    return best


def _mean(neighbours: list[str], position: Mapping[str, int], otherwise: int) -> float:
    found = [position[name] for name in neighbours if name in position]
    return sum(found) / len(found) if found else otherwise


def _crossings(order: list[list[str]], after: Mapping[str, list[str]]) -> int:
    total = 0
    for one, other in pairwise(order):
        position = {name: index for index, name in enumerate(other)}
        ends = [position[t] for name in one for t in sorted(after[name], key=lambda t: position.get(t, 0))
                if t in position]  # fmt: skip
        total += sum(1 for i, end in enumerate(ends) for later in ends[i + 1 :] if later < end)
    return total


def _heights(
    order: list[list[str]],
    chains: Mapping[tuple[str, str], list[str]],
    extent: Mapping[str, tuple[float, float]],
    gap: float,
    margin: float,
) -> dict[str, float]:
    """Middles from above, drawn towards their neighbours' without overlap."""
    beside: dict[str, list[str]] = defaultdict(list)
    for chain in chains.values():
        for one, other in pairwise(chain):
            beside[one].append(other)
            beside[other].append(one)
    ys: dict[str, float] = {}
    for members in order:
        top = 0.0
        for name in members:
            ys[name] = top + extent[name][1] / 2
            top += extent[name][1] + gap
    for sweep in range(SWEEPS):
        for members in order if sweep % 2 == 0 else order[::-1]:
            wanted = {
                name: sum(ys[o] for o in beside[name]) / len(beside[name]) if beside[name] else ys[name]
                for name in members
            }
            _settle(members, wanted, extent, gap, ys)
    top = min((ys[name] - extent[name][1] / 2 for name in ys), default=0)
    return {name: y - top + margin for name, y in ys.items()}


def _settle(
    members: list[str],
    wanted: Mapping[str, float],
    extent: Mapping[str, tuple[float, float]],
    gap: float,
    ys: dict[str, float],
) -> None:
    """Place the members of a layer as near as can be to where they want to be, in their order: those that
    would overlap move together to the mean of what they want."""
    groups: list[tuple[list[str], float]] = []
    offset: dict[str, float] = {}
    total = 0.0
    for index, name in enumerate(members):
        if index:
            total += extent[members[index - 1]][1] / 2 + gap + extent[name][1] / 2
        offset[name] = total
        groups.append(([name], wanted[name] - total))
        while len(groups) > 1 and groups[-2][1] > groups[-1][1]:
            (first, a), (second, b) = groups[-2:]
            mean = (a * len(first) + b * len(second)) / (len(first) + len(second))
            groups[-2:] = [([*first, *second], mean)]
    for names, start in groups:
        for name in names:
            ys[name] = start + offset[name]
