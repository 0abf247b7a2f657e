"""The figure of `experiments.inverse_flow`."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from mia_tf.figures import style

PANELS = {
    "not confirmed": "label not confirmed by A and B",
    "trained on x less others": "right answers to x':\ntrained on x less others",
}
"""Quantity of the table -> what its panel is called."""
LOOKS = {"memorized": style.group_style(1), "random": style.group_style(0)}
FILLS = {"random": "full", "outward": "none"}


def draw(rows: Sequence, pictures: Mapping[str, np.ndarray], steps: Sequence[float], side: int) -> Figure:
    """Returns the figure: the panels of PANELS over the steps, and below the images x' of a few memorized digits.

    Args:
        rows: of inverse_flow.csv.
        pictures: direction -> (steps, digits, D) in [0, 1].
        steps: lengths of the steps.
        side: of a picture; D is its square.
    """
    with rc_context(style.RC):
        figure = style.new_figure(7.2, 5.4)
        axes = figure.subplots(2, 2, height_ratios=(1, 1.1))
        for ax, (quantity, title) in zip(axes[0], PANELS.items(), strict=True):
            for group, look in LOOKS.items():
                for direction, fill in FILLS.items():
                    wanted = group, direction, quantity
                    line = [row for row in rows if (row.group, row.direction, row.quantity) == wanted]
                    values, low, high = (np.array([row[i] for row in line]) for i in (4, 5, 6))
                    ax.errorbar(
                        steps, values, [values - low, high - values], color=look.colour, marker=look.marker,
                        fillstyle=fill, linestyle="-" if fill == "full" else "--", linewidth=1.2, markersize=5,
                        label=f"{group} digits, {direction} step",
                    )  # fmt: skip
            ax.set_ylabel(title)
            ax.set_xlabel("step, in distances to the nearest digit of the label")
        for ax, (direction, images) in zip(axes[1], pictures.items(), strict=True):
            sheet = images.reshape(*images.shape[:2], side, side)
            sheet = np.pad(sheet, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=1)
            ax.imshow(np.vstack([np.hstack(row) for row in sheet]), "gray", vmin=0, vmax=1)
            ax.set_yticks((np.arange(len(steps)) + 0.5) * (side + 2), [f"{step:g}" for step in steps])
            ax.set_xticks([])
            ax.set_ylabel("step")
            ax.set_title(f"memorized digits, {direction} step", loc="left")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
