"""Every attack's AUROC and TPR at 0.1% FPR with its interval."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from mia_tf.figures import style
from mia_tf.figures.dots import draw_dots

CHANCE = {"auroc": 0.5, "tpr_at_fpr_0.001": 0.001, "tpr_at_fpr_0.001_per_target": 0.001}
"""Metric -> what random guessing gets, for the usual metrics of this figure."""
POPULATIONS = {"all": ("all examples", style.ALL_STYLE), "under": ("under-represented", style.GROUP_STYLES[1])}
"""Name of a population -> what it is called, and its look."""
LABELS = {
    "auroc": "AUROC",
    "tpr_at_fpr_0.001": "TPR at 0.1% FPR,\none threshold for all targets",
    "tpr_at_fpr_0.001_per_target": "TPR at an FPR below 0.1%,\neach target's own threshold",
}
"""Metric -> what its axis says."""


def draw_attacks(
    ax: Axes,
    metric: str,
    values: Mapping[tuple[str, str], tuple[float, float, float]],
    series: Mapping[str, tuple[str, style.GroupStyle]] = POPULATIONS,
) -> None:
    """Draws one metric: a row per attack, a dot with its interval for each of the series, by default the populations.

    Args:
        ax: where to draw.
        metric: "auroc", or a true positive rate such as "tpr_at_fpr_0.001".
        values: (attack, name of a series) -> (value, ci_low, ci_high); NaN if it could not be resolved.
        series: name -> (what the legend says, look).
    """
    logarithmic = metric != "auroc"
    if logarithmic:
        ax.set_xscale("log", nonpositive="clip")
        rates = [chance(metric), *(rate for triple in values.values() for rate in triple)]
        ax.set_xlim(_decades([rate for rate in rates if rate >= smallest_rate(metric)]))
        style.percent_axis(ax.xaxis)
    rows = {name: look.label for name, look in style.attack_styles(attack for attack, _ in values).items()}
    draw_dots(ax, rows, series, values, smallest=smallest_rate(metric))
    ax.axvline(chance(metric), color=style.GREY, linewidth=0.8, zorder=0, label="random guess")
    ax.set(xlabel=label(metric))


def chance(metric: str) -> float:
    """What random guessing gets: at a false positive rate, that rate."""
    return CHANCE[metric] if metric in CHANCE else float(metric.removeprefix("tpr_at_fpr_"))


def smallest_rate(metric: str) -> float:
    """A rate below this is a triangle at the edge: intervals that reach to 0 would stretch the axis without end."""
    return min(1e-4, chance(metric) / 10)


def label(metric: str) -> str:
    """What the axis of a metric says."""
    return LABELS.get(metric) or f"TPR at {100 * chance(metric):g}% FPR,\none threshold for all targets"


def _decades(rates: list[float]) -> tuple[float, float]:
    """Whole decades around all rates that are drawn, so that at least two ticks have labels."""
    return 10 ** np.floor(np.log10(min(rates)) - 0.05), 10 ** np.ceil(np.log10(max(rates)) + 0.05)
