"""Values with their intervals as dots in labelled rows, one colour a series."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from mia_tf.figures.style import GroupStyle

_BAND = 0.76
"""Share of a row's height that the dots of all series spread over."""


def draw_dots(
    ax: Axes,
    rows: Mapping[str, str],
    series: Mapping[str, tuple[str, GroupStyle]],
    values: Mapping[tuple[str, str], tuple[float, float, float]],
    smallest: float = -np.inf,
) -> None:
    """Draws a row for each name, first on top, and in it a dot with its interval for each series.

    Args:
        ax: where to draw; its limits must stand already where `smallest` is given.
        rows: name -> what the row is called.
        series: name -> (what the legend says, look); those without values are left out.
        values: (row, series) -> (value, ci_low, ci_high); a NaN value is said to be not resolved, and
            NaN ends draw no line.
        smallest: a value below this is a triangle at the left edge.
    """
    present = [name for name in series if any(name == of for _, of in values)]
    for position, name in enumerate(present):
        label, look = series[name]
        places = [place for place, row in enumerate(rows) if (row, name) in values]
        table = np.array([values[row, name] for row in rows if (row, name) in values])
        y = np.array(places) + _BAND * ((position + 0.5) / len(present) - 0.5)
        for place in np.flatnonzero(~np.isfinite(table[:, 0])):
            across = blended_transform_factory(ax.transAxes, ax.transData)
            patch = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            where = {"transform": across, "ha": "right", "va": "center", "bbox": patch}
            ax.text(0.98, y[place], "not resolved", fontsize=8, color=look.colour, **where)
        ax.hlines(y, table[:, 1], table[:, 2], color=look.colour, linewidth=1.6)
        below = table[:, 0] < smallest
        shown = np.where(below, np.nan, table[:, 0])
        dots = {"linestyle": "", "markersize": 5, "color": look.colour}
        if look.hollow:
            dots["markerfacecolor"] = "white"
        ax.plot(shown, y, marker=look.marker, label=label, **dots)
        if below.any():
            edge = np.full(np.count_nonzero(below), ax.get_xlim()[0])
            ax.plot(edge, y[below], marker="<", clip_on=False, **dots)
    ax.set(yticks=range(len(rows)), yticklabels=list(rows.values()))
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_axisbelow(True)
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
