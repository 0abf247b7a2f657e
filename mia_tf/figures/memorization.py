"""Memorization against privacy score (Choi et al., Figure 2a), and its distribution (Figure 6)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from mia_tf.figures import scatter
from mia_tf.figures.privacy_scores import draw_group_histograms

BINS_PER_UNIT = 20
"""At most; fewer where few models make memorization coarse."""


def draw_memorization(
    ax: Axes,
    memorization: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    names: Sequence[str],
    spearman: Mapping[int | str, tuple[float, float]],
) -> None:
    """Draws one point an example, with the rank correlations in the legend.

    Args:
        ax: where to draw.
        memorization: (N,) float in [-1, 1]; NaN if it could not be resolved.
        scores: (N,) float privacy scores; NaN likewise.
        groups: (N,) group ids.
        names: what the groups are called, by group id.
        spearman: group id or "all" -> (rho, p); NaN, or absent, if it could not be resolved.
    """
    scatter.draw_groups(ax, memorization, scores, groups, names, lambda group: _correlation(spearman, group))
    ax.set(title="Memorization and privacy score", xlabel="memorization", ylabel="privacy score")
    scatter.legend_below(ax)


def _correlation(spearman: Mapping[int | str, tuple[float, float]], key: int | str) -> str:
    """One rank correlation in words."""
    rho, p_value = spearman.get(key, (np.nan, np.nan))
    if not np.isfinite(rho):
        return "Spearman's correlation not resolved"
    # Below this the p-value's own approximation is worth nothing, and the paper stops there too.
    p_text = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    return f"Spearman's correlation {rho:.2f} ({p_text})"


def histogram_edges(memorization: np.ndarray, models_per_side: int) -> np.ndarray:
    """(B + 1,) float64 edges of bins up to 1 that hold all values.

    Args:
        memorization: (N,) float in [-1, 1]; NaN if it could not be resolved.
        models_per_side: a typical number of models that an example is in. Memorization is a multiple
            of its inverse, and bins that hold unequally many such values would show false combs.
    """
    values_per_bin = -(-models_per_side // BINS_PER_UNIT)  # rounded up
    width = values_per_bin / models_per_side
    resolved = memorization[np.isfinite(memorization)]
    lowest = resolved.min() if resolved.size else 0
    half_step = 0.5 / models_per_side  # an edge lies halfway between two possible values
    first, last = np.floor((min(lowest, 0) + half_step) / width), np.floor((1 + half_step) / width)
    return width * np.arange(first, last + 2) - half_step


def draw_memorization_histogram(
    ax: Axes, memorization: np.ndarray, groups: np.ndarray, names: Sequence[str], edges: np.ndarray
) -> None:
    """Draws how many examples of each group have which memorization.

    Args:
        ax: where to draw.
        memorization: (N,) float in [-1, 1]; NaN if it could not be resolved.
        groups: (N,) group ids.
        names: what the groups are called, by group id.
        edges: of the bins, as `histogram_edges` returns them.
    """
    draw_group_histograms(ax, memorization, groups, names, edges)
    ax.set(title="Memorization", xlabel="memorization (correct if IN $-$ correct if OUT)")
