"""One point an example, by group: what several figures are made of."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes

from mia_tf.figures import style
from mia_tf.figures.privacy_scores import count_label

_PER_INCH = 16
"""Characters of a legend's line per inch of the panel, beyond which it would reach into the next."""


def draw_groups(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    names: Sequence[str],
    words: Callable[[int | str], str] | None = None,
) -> None:
    """Draws the points; a group's entry in the legend has its number of points.

    Args:
        ax: where to draw.
        x, y: (N,) float; a point with a NaN is not drawn.
        groups: (N,) group ids.
        names: what the groups are called, by group id.
        words: group id or "all" -> what the legend says besides; None for nothing.
    """
    present = np.unique(groups)
    for group in present:
        in_group = groups == group
        look = style.group_style(group)
        label = count_label(x[in_group] + y[in_group], names[int(group)])
        # Rasterized: 61,000 points would make a slow vector file. The small group comes last, on top.
        ax.scatter(
            x[in_group],
            y[in_group],
            s=9,
            color=look.colour,
            marker=look.marker,
            alpha=0.45,
            linewidths=0,
            rasterized=True,
            label=label if words is None else f"{label}: {words(group)}",
        )
    if words is not None and len(present) > 1:
        ax.plot([], [], linestyle="", label=f"{'both groups' if len(present) == 2 else 'all examples'}: {words('all')}")


def legend_below(ax: Axes) -> None:
    """The legend below the axes, its markers opaque; if an entry is long, all have two lines."""
    legend, grid = style.legend_below(ax, handlelength=1.5), ax.get_gridspec()
    texts = legend.get_texts()
    inches = ax.figure.bbox.width / ax.figure.dpi / (grid.ncols if grid else 1)
    if max(len(text.get_text()) for text in texts) > _PER_INCH * inches:
        for text in texts:
            text.set_text(text.get_text().replace(": ", ":\n", 1))
    for handle in filter(None, legend.legend_handles):
        handle.set_alpha(1)
