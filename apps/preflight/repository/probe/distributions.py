"""Which installed distribution provides a top-level module, and what a set of distributions draws in."""

from __future__ import annotations

import re
from collections.abc import Iterable


def canonical(name: str) -> str:
    """A distribution's name as the packaging standard normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def providers(modules: Iterable[str]) -> dict[str, list[str]]:
    """Top-level module → the canonical names of the installed distributions that provide it (empty: none)."""
    from importlib import metadata  # slow to import, and seldom asked

    known = metadata.packages_distributions()
    return {module: sorted({canonical(name) for name in known.get(module, ())}) for module in modules}


def closure(names: Iterable[str]) -> list[str]:
    """These distributions and, as far as they are installed here, what they require without extras."""
    from importlib import metadata

    seen: set[str] = set()
    waiting = [canonical(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for requirement in requires:
            found = re.match(r"[A-Za-z0-9._-]+", requirement)
            if found and "extra ==" not in requirement:
                waiting.append(canonical(found.group()))
    return sorted(seen)
