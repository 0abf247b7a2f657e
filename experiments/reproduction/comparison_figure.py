"""Ours beside a paper's: one row per number, a filled dot with its interval for ours, a hollow one for the paper's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes

from mia_tf.figures import style
from mia_tf.figures.dots import draw_dots

SMALLEST_RATE = 1e-4
"""On a logarithmic axis a smaller rate is a triangle at its left end."""
WORDS = "Filled: ours, with its 95% interval. Hollow: the paper's."
_LOOKS = {
    "all": ("all examples", style.ALL_STYLE),
    "over": ("over-represented", style.GROUP_STYLES[0]),
    "under": ("under-represented", style.GROUP_STYLES[1]),
}
_SERIES = {
    f"{population}, {whose}": (f"{name}, {whose}", replace(look, hollow=whose == "paper"))
    for population, (name, look) in _LOOKS.items()
    for whose in ("paper", "ours")
}


@dataclass(frozen=True)
class Pair:
    """One number.

    Attributes:
        label: of its row; pairs with the same label share one.
        population: "all", "over" or "under".
        ours: (value, low, high) of its 95% interval; a NaN value could not be resolved, None was not measured.
        paper: the same, NaN ends if no interval is given; None for no number.
    """

    label: str
    population: str
    ours: tuple[float, float, float] | None
    paper: tuple[float, float, float] | None


def draw_comparison(ax: Axes, pairs: Sequence[Pair], xlabel: str, logarithmic: bool = False) -> None:
    """Draws the pairs, rows from top to bottom in the order in which their labels first come.

    Args:
        ax: where to draw.
        pairs: what to draw.
        xlabel: what the numbers are.
        logarithmic: for rates: a logarithmic axis in percent.
    """
    if logarithmic:
        ax.set_xscale("log", nonpositive="clip")
        ax.set_xlim(SMALLEST_RATE, 1.25)  # the marks at 100% are whole
        style.percent_axis(ax.xaxis)
    values = {}
    for pair in pairs:
        for whose, triple in (("paper", pair.paper), ("ours", pair.ours)):
            if triple is not None:
                values[pair.label, f"{pair.population}, {whose}"] = triple
    smallest = SMALLEST_RATE if logarithmic else -np.inf
    draw_dots(ax, {pair.label: pair.label for pair in pairs}, _SERIES, values, smallest)
    ax.set(xlabel=xlabel)
