"""Leak against accuracy, one point per run with its epsilon: what a private training costs and what it buys."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import Bbox

from mia_tf.figures import attacks, style

Triple = tuple[float, float, float]
"""(value, ci_low, ci_high)."""
_KINDS = {
    "plain": ("without DP", {"color": style.BLACK, "marker": "D", "markersize": 6}),
    "unbounded": (
        "clipped, without noise",
        {"color": style.VERMILLION, "marker": "s", "markersize": 6, "markerfacecolor": "white"},
    ),
    "bounded": (r"DP-SGD, with its $\epsilon$", {"color": style.BLUE, "marker": "o", "markersize": 5}),
}
"""Kind of a point -> what the legend says, and its look."""
_DIRECTIONS = [(1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0)]
_DISTANCES = (7, 14, 24, 36, 50)
"""Points of 1/72 inch between a point and its label; the nearest free place is taken."""


@dataclass(frozen=True)
class Point:
    """One run.

    Attributes:
        epsilon: NaN without DP, infinite if nothing is promised.
        accuracy, leak: shares with their intervals; a NaN leak is not drawn.
    """

    epsilon: float
    accuracy: Triple
    leak: Triple

    @property
    def kind(self) -> str:
        """ "plain", "unbounded" or "bounded"."""
        return "plain" if np.isnan(self.epsilon) else "bounded" if np.isfinite(self.epsilon) else "unbounded"

    @property
    def name(self) -> str:
        """What stands at the point."""
        if np.isnan(self.epsilon):
            return "no DP"
        return rf"$\epsilon = {epsilon_text(self.epsilon)}$"


def epsilon_text(epsilon: float) -> str:
    """Returns epsilon in the notation of formulas, with three digits at most.

    Example:
        >>> epsilon_text(3.188), epsilon_text(99.9999), epsilon_text(1e4), epsilon_text(25_000), epsilon_text(np.inf)
        ('3.19', '100', '10^{4}', '2.5 \\\\times 10^{4}', '\\\\infty')
    """
    if np.isinf(epsilon):
        return r"\infty"
    mantissa, exponent = f"{epsilon:.2e}".split("e")
    if -3 <= int(exponent) <= 3:
        return f"{float(f'{epsilon:.3g}'):g}"
    digits = f"{float(mantissa):g}"
    return ("" if digits == "1" else rf"{digits} \times ") + f"10^{{{int(exponent)}}}"


def draw_frontier(ax: Axes, metric: str, points: Sequence[Point]) -> None:
    """Draws the points with their intervals, and joins those with an epsilon in its order.

    The names of the points are written by `label_points`, once the layout of the figure has settled.

    Args:
        ax: where to draw.
        metric: what leaks, such as "auroc" or "tpr_at_fpr_0.001_per_target".
        points: one per run.
    """
    drawn = sorted((point for point in points if np.isfinite(point.leak[0])), key=lambda point: point.epsilon)
    path = [(point.accuracy[0], point.leak[0]) for point in drawn if point.kind != "plain"]
    if path:
        ax.plot(*zip(*path, strict=True), color=style.BLUE, linewidth=0.8, alpha=0.5, zorder=1)
    for kind, (words, look) in _KINDS.items():
        of_kind = [point for point in drawn if point.kind == kind]
        x, y = ([getattr(point, name)[0] for point in of_kind] for name in ("accuracy", "leak"))
        for point in of_kind:
            bars = {"color": look["color"], "linewidth": 1.2, "alpha": 0.6, "zorder": 2}
            ax.plot(point.accuracy[1:], [point.leak[0]] * 2, **bars)
            ax.plot([point.accuracy[0]] * 2, point.leak[1:], **bars)
        if of_kind:
            ax.plot(x, y, linestyle="", label=words, zorder=3, **look)
    ax.axhline(attacks.chance(metric), color=style.GREY, linewidth=0.8, zorder=0, label="random guess")
    unresolved = [point.name for point in points if not np.isfinite(point.leak[0])]
    if unresolved:
        words = f"{style.UNRESOLVED}: {', '.join(unresolved)}"
        ax.text(0.02, 0.98, words, transform=ax.transAxes, va="top", fontsize=8, color=style.GREY)
    ax.set(xlabel="accuracy", ylabel=attacks.label(metric))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    if metric == "auroc":
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.margins(0.12)
    ax.grid(color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)


def label_points(figure: Figure, panels: Sequence[tuple[Axes, Sequence[Point]]]) -> None:
    """Writes each point's name where it covers no other name and no point, and joins them by a thin line.

    Args:
        figure: the finished figure; its layout is computed.
        panels: axes of `draw_frontier`, each with its points.
    """
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    for ax, points in panels:
        drawn = [point for point in points if np.isfinite(point.leak[0])]
        places = ax.transData.transform([(point.accuracy[0], point.leak[0]) for point in drawn] or np.empty((0, 2)))
        taken = [Bbox.from_extents(x - 6, y - 6, x + 6, y + 6) for x, y in places]
        for point in drawn:
            taken.append(_label(ax, point, taken, renderer))


def _label(ax: Axes, point: Point, taken: Sequence[Bbox], renderer) -> Bbox:
    """Writes a label at the nearest free place, or at the farthest one if none is free; returns its box."""
    look = _KINDS[point.kind][1]
    line = {"arrowstyle": "-", "color": look["color"], "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
    where = {"xytext": (0, 0), "textcoords": "offset points", "arrowprops": line}
    place = point.accuracy[0], point.leak[0]
    text = ax.annotate(point.name, place, **where, fontsize=8, color=look["color"], zorder=4)
    text.set(in_layout=False, path_effects=[withStroke(linewidth=2, foreground="white")])
    panel = ax.get_window_extent(renderer)
    for distance, (right, up) in product(_DISTANCES, _DIRECTIONS):
        text.set_position((right * distance, up * distance))
        text.set(ha=("center", "left", "right")[right], va=("center", "bottom", "top")[up])
        text.update_positions(renderer)
        box = Text.get_window_extent(text, renderer).padded(1)  # an Annotation's own box holds its line too
        inside = panel.x0 <= box.x0 and box.x1 <= panel.x1 and panel.y0 <= box.y0 and box.y1 <= panel.y1
        if inside and not any(box.overlaps(other) for other in taken):
            break
    return box
