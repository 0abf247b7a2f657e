"""Receiver operating characteristic on logarithmic axes (LiRA, section IV)."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from mia_tf.figures import style

FINEST_FPR = 1e-4
"""The axes start here, or where the data resolve no more."""


def draw_roc(
    ax: Axes,
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    auroc: Mapping[str, float],
    smallest_fpr: float,
    title: str,
) -> None:
    """Draws the ROC of every attack, with its area in the legend.

    Args:
        ax: where to draw.
        curves: attack -> (K,) false and (K,) true positive rates, both rising from 0 to 1;
            K is 0 if there is nothing to draw.
        auroc: attack -> area under the curve; NaN if it could not be resolved.
        smallest_fpr: the smallest rate above 0 that the data can show, 1 / number of non-members.
        title: of the panel.
    """
    start = min(max(smallest_fpr, FINEST_FPR), 0.1)
    ax.plot([start, 1], [start, 1], color=style.GREY, linewidth=0.8, label="random guess")
    for attack, look in style.attack_styles(curves).items():
        area = auroc.get(attack, np.nan)
        text = f"{area:.3f}" if np.isfinite(area) else "unresolved"
        # In steps: if scores tie, there is no threshold between two points, and no rate but that of the lower one.
        line = {"color": look.colour, "linestyle": look.linestyle, "linewidth": 1.4, "drawstyle": "steps-post"}
        ax.plot(*curves[attack], label=f"{text}  {look.label}", **line)
    # A point at rate 0 is at minus infinity: "clip" draws the line on to the edge of the axes.
    ax.set_xscale("log", nonpositive="clip")
    ax.set_yscale("log", nonpositive="clip")
    ax.set(xlim=(start, 1), ylim=(start, 1), title=title)
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    for axis in (ax.xaxis, ax.yaxis):
        style.percent_axis(axis)
    handles, labels = ax.get_legend_handles_labels()
    style.legend_below(
        ax, handles=handles[1:] + handles[:1], labels=labels[1:] + labels[:1], title="AUROC", alignment="left"
    )
