"""Every attack's AUROC and TPR at 0.1% FPR with its interval."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from mia_tf.figures import style

CHANCE = {"auroc": 0.5, "tpr_at_fpr_0.001": 0.001}
"""Metric -> what random guessing gets, for the metrics of this figure."""
_SMALLEST_RATE = 1e-4
"""A rate below this is a triangle at the edge: intervals that reach to 0 would stretch the axis without end."""
_LABELS = {"auroc": "AUROC", "tpr_at_fpr_0.001": "true positive rate at 0.1% false positives"}
_POPULATIONS = {"all": ("all examples", style.ALL_STYLE), "under": ("under-represented", style.GROUP_STYLES[1])}


def draw_attacks(ax: Axes, metric: str, values: Mapping[tuple[str, str], tuple[float, float, float]]) -> None:
    """Draws one metric: a row an attack, a dot with its interval for each population.

    Args:
        ax: where to draw.
        metric: a key of CHANCE.
        values: (attack, population) -> (value, ci_low, ci_high); population is "all" or "under";
            NaN where it could not be resolved.
    """
    attacks = style.attack_styles(attack for attack, _ in values)
    populations = [name for name in _POPULATIONS if any(name == population for _, population in values)]
    offsets = dict(zip(populations, (-0.19, 0.19) if len(populations) > 1 else (0,), strict=True))
    logarithmic = metric != "auroc"
    if logarithmic:
        ax.set_xscale("log", nonpositive="clip")
        ax.set_xlim(_decades([CHANCE[metric], *(v for triple in values.values() for v in triple)]))
        style.percent_axis(ax.xaxis)
    for population in populations:
        label, look = _POPULATIONS[population]
        rows = [y for y, attack in enumerate(attacks) if (attack, population) in values]
        table = np.array([values[attack, population] for attack in attacks if (attack, population) in values])
        y = np.array(rows) + offsets[population]
        for row in np.flatnonzero(~np.isfinite(table[:, 0])):
            across = blended_transform_factory(ax.transAxes, ax.transData)
            patch = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            place = {"transform": across, "ha": "right", "va": "center", "bbox": patch}
            ax.text(0.98, y[row], "not resolved", fontsize=8, color=look.colour, **place)
        ax.hlines(y, table[:, 1], table[:, 2], color=look.colour, linewidth=1.6)
        below = table[:, 0] < _SMALLEST_RATE
        ax.plot(
            np.where(below, np.nan, table[:, 0]), y, linestyle="", marker=look.marker, markersize=5,
            color=look.colour, label=label,
        )  # fmt: skip
        if below.any():
            edge = np.full(np.count_nonzero(below), ax.get_xlim()[0])
            ax.plot(edge, y[below], linestyle="", marker="<", markersize=5, color=look.colour, clip_on=False)
    ax.axvline(CHANCE[metric], color=style.GREY, linewidth=0.8, zorder=0, label="random guess")
    ax.set(yticks=range(len(attacks)), yticklabels=[look.label for look in attacks.values()], xlabel=_LABELS[metric])
    ax.set_ylim(len(attacks) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_axisbelow(True)
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)


def _decades(rates: list[float]) -> tuple[float, float]:
    """Whole decades around all rates that are drawn, so that at least two ticks have labels."""
    drawn = [rate for rate in rates if rate >= _SMALLEST_RATE]
    return 10 ** np.floor(np.log10(min(drawn)) - 0.05), 10 ** np.ceil(np.log10(max(drawn)) + 0.05)
