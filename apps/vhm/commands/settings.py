"""`vhm settings`: what each worker reads, from the types that decode it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from cyclopts import Parameter

from vhm.contract import env_loader
from vhm.gateway.settings import Settings as Gateway
from vhm.indexer.settings import Settings as Indexer
from vhm.resonance.settings import Settings as Resonance
from vhm.reteller.settings import Settings as Reteller

TYPES: dict[str, type[env_loader.Environment]] = {
    "indexer": Indexer,
    "resonance": Resonance,
    "reteller": Reteller,
    "gateway": Gateway,
}

Worker = Literal["indexer", "resonance", "reteller", "gateway"]
Format = Literal["table", "env", "markdown"]


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One variable of the environment and who reads it."""

    name: str
    default: str
    wants: str
    about: str
    readers: tuple[str, ...]
    secret: bool
    required: bool


def settings(
    worker: Worker | None = None, /, *, format: Annotated[Format, Parameter("--format")] = "table"
) -> int:
    """What each worker reads from its environment.

    Parameters
    ----------
    worker
        Only what this worker reads.
    format
        A table for the terminal, an env file with the defaults, or the table of the README.
    """
    chosen = variables([worker] if worker else list(TYPES))
    if format == "markdown":
        print(markdown(chosen))
    elif format == "env":
        print("\n".join(env_lines(chosen)))
    else:
        _table(chosen)
    return 0


def variables(workers: list[str]) -> list[Variable]:
    """The variables these workers read: shared ones first, in the order of the types."""
    found: dict[str, Variable] = {}
    for worker in workers:
        hints = get_type_hints(TYPES[worker], include_extras=True)
        for field in msgspec.structs.fields(TYPES[worker]):
            known = found.get(field.encode_name)
            found[field.encode_name] = Variable(
                name=field.encode_name,
                default=_default(field, hints[field.name]),
                wants=env_loader.expected(hints[field.name]),
                about=_about(hints[field.name]),
                readers=(*(known.readers if known else ()), worker),
                secret=env_loader.is_secret(hints[field.name]),
                required=field.required,
            )
    return sorted(found.values(), key=lambda variable: -len(variable.readers))


def markdown(chosen: list[Variable]) -> str:
    """The README's table."""
    lines = ["| variable | default | wants | read by | about |", "|---|---|---|---|---|"]
    for one in chosen:
        default = "**required**" if one.required else _cell(one.default)
        readers = "all" if len(one.readers) == len(TYPES) else ", ".join(one.readers)
        wants = "a secret" if one.secret else one.wants
        lines.append(f"| `{one.name}` | {default} | {wants} | {readers} | {one.about} |")
    return "\n".join(lines)


def _cell(default: str) -> str:
    return (default if " " in default else f"`{default}`") if default else "none"


def env_lines(chosen: list[Variable]) -> Iterator[str]:
    """An env file: required variables empty, defaults given, what is optional commented out."""
    for one in chosen:
        yield f"# {one.about}: {'a secret' if one.secret else one.wants}"
        if one.required:
            yield f"{one.name}="
        else:
            yield f"{one.name}={one.default}" if one.default and " " not in one.default else f"#{one.name}="


def _table(chosen: list[Variable]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    # a name is copied whole; the narrowest terminal that holds it folds the rest
    table.add_column("variable", no_wrap=True, min_width=max(len(one.name) for one in chosen))
    for title in ("default", "wants", "read by"):
        table.add_column(title, overflow="fold")
    for one in chosen:
        default = "[bold]required[/bold]" if one.required else escape(one.default) or "[dim]none[/dim]"
        readers = "all" if len(one.readers) == len(TYPES) else ", ".join(one.readers)
        wants = "a secret" if one.secret else escape(one.wants)
        table.add_row(one.name, default, f"{wants}\n[dim]{escape(one.about)}[/dim]", readers)
    Console().print(table)


def _default(field: msgspec.structs.FieldInfo, hint: Any) -> str:
    for meta in env_loader.metas(hint):
        if meta.extra and "default" in meta.extra:
            return str(meta.extra["default"])
    value = field.default
    if value is msgspec.NODEFAULT or value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _about(hint: Any) -> str:
    return next((meta.description for meta in env_loader.metas(hint) if meta.description), "")
