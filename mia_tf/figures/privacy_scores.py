"""Histogram of privacy scores per group (Choi et al., Figure 1a)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from mia_tf.figures import style

BINS = 50


def draw_privacy_scores(ax: Axes, scores: np.ndarray, groups: np.ndarray, names: Sequence[str]) -> None:
    """Draws how many examples of each group have which privacy score.

    Args:
        ax: where to draw.
        scores: (N,) float, |mu_in - mu_out| / (sigma_in + sigma_out); NaN if it could not be resolved.
        groups: (N,) group ids.
        names: what the groups are called, by group id.
    """
    resolved = scores[np.isfinite(scores)]
    edges = np.linspace(0, resolved.max() if resolved.size and resolved.max() > 0 else 1, BINS + 1)
    draw_group_histograms(ax, scores, groups, names, edges)
    ax.set(title="Privacy scores", xlabel=r"privacy score  $|\mu_{in}-\mu_{out}|\,/\,(\sigma_{in}+\sigma_{out})$")


def draw_group_histograms(
    ax: Axes, values: np.ndarray, groups: np.ndarray, names: Sequence[str], edges: np.ndarray
) -> None:
    """Draws one histogram of counts per group that exists, on a log scale so that a small group shows.

    The legend includes what was drawn with a label before.
    The hatch is an artist of its own: in SVG, a hatch on a transparent face is as pale as the face.
    """
    handles, labels = [], []
    for group in np.unique(groups):
        look = style.group_style(group)
        of_group = values[groups == group]
        counts, _ = np.histogram(of_group[np.isfinite(of_group)], edges)
        line = {"edgecolor": look.colour, "linestyle": look.linestyle, "linewidth": 1.2, "hatch": look.hatch}
        face = ax.stairs(counts, edges, baseline=0.5, fill=True, facecolor=(look.colour, 0.3), linewidth=0)
        outline = ax.stairs(counts, edges, baseline=0.5, fill=True, facecolor="none", **line)
        handles.append((face, outline))
        labels.append(count_label(of_group, names[int(group)]))
    ax.set_yscale("log")
    # One example must be a visible bar, so the axis starts below one.
    ax.set_ylim(bottom=0.5)
    ax.set(xlim=(edges[0], edges[-1]), ylabel="examples")
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.yaxis.set_minor_formatter("")
    before, labels_before = ax.get_legend_handles_labels()
    style.legend_below(ax, handles=[*handles, *before], labels=[*labels, *labels_before])


def count_label(values: np.ndarray, name: str) -> str:
    """A group's name with how many of its values are drawn, and how many could not be resolved."""
    missing = np.count_nonzero(~np.isfinite(values))
    drawn = len(values) - missing
    unresolved = f", {missing:,} not resolved" if missing else ""
    return f"{name} ({drawn:,} example{'' if drawn == 1 else 's'}{unresolved})"
