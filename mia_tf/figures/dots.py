"""Values with their intervals as dots in labelled rows, one colour a series."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from mia_tf.figures import style
from mia_tf.figures.style import GroupStyle

_Row = TypeVar("_Row", bound=Hashable)
_BAND = 0.76
"""Share of a row's height that the dots of all series spread over."""
_PLACES = (("right", 0.98, (0.7, 1.0)), ("left", 0.02, (0.0, 0.3)), ("center", 0.5, (0.35, 0.65)))
"""Where "not resolved" can stand: alignment, position and what they may cover at most, in shares of the axis."""


def draw_dots(
    ax: Axes,
    rows: Mapping[_Row, str],
    series: Mapping[str, tuple[str, GroupStyle]],
    values: Mapping[tuple[_Row, str], tuple[float, float, float]],
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
            row = list(rows)[places[place]]
            side, x = _free_place(ax, [triple for (of, _), triple in values.items() if of == row])
            across = blended_transform_factory(ax.transAxes, ax.transData)
            patch = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            where = {"transform": across, "ha": side, "va": "center", "bbox": patch, "zorder": 1.5}  # below all marks
            ax.text(x, float(y[place]), style.UNRESOLVED, fontsize=8, color=look.colour, **where)
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


def _free_place(ax: Axes, triples: list[tuple[float, float, float]]) -> tuple[str, float]:
    """Alignment and position, in shares of the axis, where words cover none of a row's dots and intervals."""
    finite = np.array([triple for triple in triples if np.isfinite(triple[0])]).reshape(-1, 3)
    ends = np.column_stack([np.fmin.reduce(finite, axis=1), np.fmax.reduce(finite, axis=1)])
    with np.errstate(divide="ignore", invalid="ignore"):  # a rate of 0 is left of a logarithmic axis
        places = [ax.transLimits.transform(ax.transScale.transform([(end, 0) for end in pair]))[:, 0] for pair in ends]
    places = np.clip(np.reshape(places, (-1, 2)), 0, 1)
    for side, x, (left, right) in _PLACES:
        if not any(high >= left and low <= right for low, high in places):
            return side, x
    return _PLACES[0][:2]
