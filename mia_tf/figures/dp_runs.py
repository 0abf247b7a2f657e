"""Training with and without differential privacy (DP) side by side (Choi et al., section 8 and Figure 4)."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from mia_tf.figures import style
from mia_tf.figures.dots import draw_dots
from mia_tf.figures.memorization import draw_memorization_histogram
from mia_tf.validation import check

Triple = tuple[float, float, float]
"""(value, ci_low, ci_high)."""
Series = Mapping[str, tuple[str, style.GroupStyle]]
"""A run's label -> the same for the legend, and its look; `run_series` makes it."""
_LOOKS = (
    style.GroupStyle(style.BLACK, "o", "-", ""),
    style.GroupStyle(style.GREEN, "^", "--", ""),
    style.GroupStyle(style.PURPLE, "s", "-.", ""),
    style.GroupStyle(style.SKY, "v", ":", ""),
)
MAX_RUNS = len(_LOOKS)
"""Runs that a figure tells apart."""
_SPLITS = {"train": "members", "out": "non-members", "test": "test images"}


def run_series(labels: Sequence[str]) -> Series:
    """The looks of at most MAX_RUNS runs, in order, the first without DP. Raises InputError if there are more."""
    check(
        "labels", ", ".join(labels), len(labels) <= MAX_RUNS, f"must be at most {MAX_RUNS} to be told apart in figures"
    )
    return {label: (style.literal(label), look) for label, look in zip(labels, _LOOKS, strict=False)}


def draw_distributions(
    axes: Sequence[Axes],
    memorization: Mapping[str, np.ndarray],
    groups: np.ndarray,
    names: Sequence[str],
    edges: np.ndarray,
) -> None:
    """Draws a histogram of memorization for each run, one a panel, over the same bins (Figure 4).

    Args:
        axes: a panel for each run, with shared axes.
        memorization: run -> (N,) float in [-1, 1]; NaN if it could not be resolved.
        groups: (N,) group ids.
        names: what the groups are called, by group id.
        edges: of the bins, as `memorization.histogram_edges` returns them for all runs together.
    """
    for ax, (label, values) in zip(axes, memorization.items(), strict=True):
        draw_memorization_histogram(ax, values, groups, names, edges)
        ax.set(title=style.literal(label), xlabel="memorization")
        ax.xaxis.set_major_locator(MultipleLocator(0.5))
        ax.label_outer()


def draw_means(ax: Axes, values: Mapping[tuple[str, str], Triple], series: Series, titles: Mapping[str, str]) -> None:
    """Draws the mean memorization of each group by run, of values by (group, run); `titles` name the groups."""
    rows = {group: titles[group] for group, _ in values}
    draw_dots(ax, rows, series, values)
    ax.axvline(0, color=style.GREY, linewidth=0.8, zorder=0)
    ax.set(xlabel="mean memorization")


def draw_accuracies(
    ax: Axes, values: Mapping[tuple[tuple[str, str], str], Triple], series: Series, titles: Mapping[str, str]
) -> None:
    """Draws accuracies by run, of values by ((split, group), run) as in accuracy.csv; `titles` name the groups."""
    rows = {row: f"{_SPLITS[row[0]]}, {titles[row[1]]}" for row, _ in values}
    draw_dots(ax, rows, series, values)
    ax.set(xlabel="accuracy")
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")


def draw_epsilons(ax: Axes, lower: Mapping[tuple[str, str], float], upper: Mapping[str, float], series: Series) -> None:
    """Draws each attack's lower bound on epsilon by run, and upper bounds as lines.

    Args:
        ax: where to draw.
        lower: (attack, run) -> epsilon, NaN if it is missing.
        upper: what the legend says -> epsilon, finite.
        series: of the runs.
    """
    rows = {name: look.label for name, look in style.attack_styles(attack for attack, _ in lower).items()}
    draw_dots(ax, rows, series, {key: (value, np.nan, np.nan) for key, value in lower.items()})
    for (label, epsilon), dashes in zip(upper.items(), cycle(("--", ":", "-."))):
        ax.axvline(epsilon, color=style.BLUE, linestyle=dashes, linewidth=1.2, label=label)
    ax.set(xlabel=r"$\epsilon$ is at least")
