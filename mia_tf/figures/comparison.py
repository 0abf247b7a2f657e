"""Ours beside a paper's: one row a number, a filled point with its interval for ours, a hollow one for the paper's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from mia_tf.figures import style

SMALLEST_RATE = 1e-4
"""What lies below is drawn here on a logarithmic axis, at its left end."""
WORDS = "Filled: ours, with its 95% interval. Hollow: the paper's."
_LOOKS = {"all": style.ALL_STYLE, "over": style.GROUP_STYLES[0], "under": style.GROUP_STYLES[1]}
_NAMES = {"all": "all examples", "over": "over-represented", "under": "under-represented"}


@dataclass(frozen=True)
class Pair:
    """One number.

    Attributes:
        label: of its row; pairs with the same label share one.
        population: "all", "over" or "under".
        ours, paper: (value, low, high) of the 95% interval, NaN for what is not known.
    """

    label: str
    population: str
    ours: tuple[float, float, float]
    paper: tuple[float, float, float]


def draw_comparison(ax: Axes, pairs: Sequence[Pair], xlabel: str, logarithmic: bool = False) -> None:
    """Draws the pairs, rows from top to bottom in the order in which their labels first come.

    Args:
        ax: where to draw.
        pairs: what to draw.
        xlabel: what the numbers are.
        logarithmic: for rates: a logarithmic axis in percent.
    """
    labels = list(dict.fromkeys(pair.label for pair in pairs))
    populations = [name for name in _LOOKS if any(pair.population == name for pair in pairs)]
    spread = 0.18 if len(populations) > 1 else 0
    offsets = dict(zip(populations, np.linspace(-spread, spread, len(populations)), strict=True))
    for population in populations:
        look, mine = _LOOKS[population], [pair for pair in pairs if pair.population == population]
        y = np.array([labels.index(pair.label) for pair in mine]) + offsets[population]
        for values, face, name in (
            (np.array([pair.paper for pair in mine], float), "white", f"{_NAMES[population]}, paper"),
            (np.array([pair.ours for pair in mine], float), look.colour, f"{_NAMES[population]}, ours"),
        ):
            if logarithmic:
                values = np.maximum(values, SMALLEST_RATE)
            ax.hlines(y, values[:, 1], values[:, 2], color=look.colour, linewidth=1.2, zorder=1)
            ax.plot(
                values[:, 0], y, linestyle="", marker=look.marker, markersize=4.5, color=look.colour,
                markerfacecolor=face, label=name, clip_on=False, zorder=2 + (face != "white"),
            )  # fmt: skip
    if logarithmic:
        ax.set_xscale("log")
        ax.set_xlim(SMALLEST_RATE, 1)
        style.percent_axis(ax.xaxis)
    ax.set(yticks=range(len(labels)), yticklabels=labels, xlabel=xlabel, ylim=(len(labels) - 0.5, -0.5))
    ax.tick_params(axis="y", length=0)
    ax.set_axisbelow(True)
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
