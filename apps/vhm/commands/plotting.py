"""The picture of a recall: what the store's memories come to, against their age."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from vhm.contract.explain import Candidate
from vhm.errors import UserError

FORMATS = (".svg", ".png")


def check(file: Path) -> None:
    """Raises UserError when nothing could be drawn into `file`."""
    if file.suffix.lower() not in FORMATS:
        raise UserError(f"--plot {file}: wants a name that ends in .svg or .png")
    if not file.parent.is_dir():
        raise UserError(f"--plot {file}: no such folder: {file.parent}")
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("--plot wants matplotlib: run with `uv run --extra plot vhm recall …`")


def draw(file: Path, query: str, candidates: Sequence[Candidate]) -> None:
    """Activation against age in days: the beats, and what was left out."""
    from matplotlib.figure import Figure  # half a second, and only who draws pays for it

    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    beats = [one for one in candidates if one.left_out is None]
    others = [one for one in candidates if one.left_out is not None]
    axes.scatter(
        [one.age_days for one in others],
        [one.activation for one in others],
        s=[24 * one.salience for one in others],
        color="#9aa5b1",
        label="left out",
    )
    for place, beat in enumerate(beats, 1):
        axes.scatter(
            [beat.age_days],
            [beat.activation],
            s=60 * beat.salience,
            color="#c0392b",
            zorder=3,
            label=f"{place}  {_short(beat.text, 100)}",
        )
        axes.annotate(
            str(place),
            (beat.age_days, beat.activation),
            textcoords="offset points",
            xytext=(7, 5),
            weight="bold",
        )
    axes.set(title=_short(query, 90), xlabel="age, days", ylabel="activation", ylim=(0, None))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower left", fontsize=8, frameon=False)
    try:
        figure.savefig(file)
    except OSError as error:
        raise UserError(f"--plot {file}: {error.strerror}") from None


def _short(text: str, most: int) -> str:
    # matplotlib reads $…$ as mathematics
    text = text.replace("$", r"\$")
    return text if len(text) <= most else text[: most - 1] + "…"
