"""The theory against the measurement: distances and memorization, and numbers of shadow models."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from mia_tf.figures import scatter, style

STRATA_COLOURS = (style.BLACK, style.SKY, style.GREEN, style.ORANGE, style.VERMILLION, style.PURPLE)
STRATA_MARKERS = ("o", "s", "^", "D", "v", "P")


def draw_distance(
    ax: Axes,
    memorization: np.ndarray,
    distance: np.ndarray,
    groups: np.ndarray,
    names: tuple[str, str],
    label: str,
    title: str,
) -> None:
    """Draws a distance of P0 and P1 against memorization, a point per example, with the line of equality.

    Args:
        ax: where to draw.
        memorization: (N,) float in [-1, 1].
        distance: (N,) float: H^2 or TV; may lie below 0 if a bias has been taken off.
        groups: (N,) group ids.
        names: what the groups are called, by group id.
        label: what the distance is.
        title: of the panel.
    """
    ax.fill_between([0, 1], [0, 1], [1, 1], color="#EEEEEE", zorder=0, linewidth=0)
    scatter.draw_groups(ax, memorization, distance, groups, names)
    ax.plot([0, 1], [0, 1], color=style.GREY, linewidth=1, label="equal to memorization; grey: above it")
    ax.set(xlabel="memorization", ylabel=label, title=title, ylim=(min(0, np.nanmin(distance)) - 0.04, 1.04))
    style.legend_below(ax, handlelength=1.5)
    for handle in ax.get_legend().legend_handles:
        handle.set_alpha(1)


def draw_learning_curves(
    ax: Axes,
    models: Sequence[int],
    measured: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    predicted: Mapping[str, np.ndarray],
) -> None:
    """Draws the advantage against the shadow models per side, for strata of memorization.

    Args:
        ax: where to draw.
        models: (K,) numbers of shadow models per side.
        measured: stratum -> (K,) mean, low and high end of its interval.
        predicted: stratum -> (K,) mean advantage that the fitted normals predict.
    """
    for (stratum, (mean, low, high)), colour, marker in zip(
        measured.items(), STRATA_COLOURS, STRATA_MARKERS, strict=False
    ):
        ax.fill_between(models, low, high, color=colour, alpha=0.18, linewidth=0)
        ax.plot(models, mean, color=colour, marker=marker, markersize=4, linewidth=1.3, label=stratum)
        ax.plot(models, predicted[stratum], color=colour, linestyle=(0, (3, 2)), linewidth=1)
    ax.plot([], [], color=style.GREY, linestyle=(0, (3, 2)), linewidth=1, label="predicted by the normal fits")
    ax.set(xlabel="shadow models per side", ylabel="advantage  TPR $-$ FPR", ylim=(None, 1))
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:g}")
    style.legend_below(ax, ncols=2, title="memorization (on the other models)", handlelength=2.5)


def draw_predicted_numbers(
    ax: Axes,
    inverse: Mapping[str, tuple[np.ndarray, np.ndarray]],
    largest: int,
    advantage: float,
) -> None:
    """Draws the shadow models measured to be enough against the order that Corollary 1 predicts.

    Args:
        ax: where to draw.
        inverse: name of a distance -> (B,) 1 / distance of each bin of examples, and the models per side its
            mean advantage needs; inf if the largest number is not enough.
        largest: of the numbers of shadow models that were tried.
        advantage: to be reached.
    """
    for (name, (predicted, needed)), look in zip(inverse.items(), style.GROUP_STYLES[:2], strict=True):
        reached = np.isfinite(needed)
        shared = {"linestyle": "", "color": look.colour, "markersize": 5}
        ax.plot(predicted[reached], needed[reached], marker=look.marker, label=f"1 / {name}", **shared)
        # Not reached: hollow, above the largest number.
        ax.plot(predicted[~reached], np.full((~reached).sum(), 1.6 * largest), marker=look.marker, mfc="none", **shared)
    edge = max([2, *(p.max() for p, _ in inverse.values())])
    ax.plot([1, edge], [1, edge], color=style.GREY, linewidth=0.8, label="equal")
    ax.axhline(1.25 * largest, color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_yscale("log", base=2)
    ax.set(ylim=(0.8, 2.1 * largest), xlabel="predicted order, mean of a bin of examples")
    ax.set_ylabel(f"shadow models per side\nmeasured to reach advantage {advantage:g}")
    ticks = 2 ** np.arange(int(np.log2(largest)) + 1)
    ax.set_yticks([*ticks, 1.6 * largest], labels=[*map(str, ticks), f"> {largest}"])
    ax.minorticks_off()
    style.legend_below(ax, ncols=3, handlelength=1.5)


def draw_models_needed(ax: Axes, ladder: Sequence[int], needed: Mapping[float, np.ndarray], title: str) -> None:
    """Draws the share of examples on which K shadow models per side decide with a given error.

    Args:
        ax: where to draw.
        ladder: numbers of shadow models, rising.
        needed: error -> (n,) float: a number of the ladder, inf for more, NaN for not decidable.
        title: of the panel.
    """
    for (error, column), look, marker in zip(
        needed.items(), (style.VERMILLION, style.BLUE, style.GREEN), "Dos", strict=False
    ):
        share = [(column <= k).mean() for k in ladder]
        limit = 1 - np.isnan(column).mean()
        ax.step(ladder, share, where="post", color=look, linewidth=1.3, marker=marker, markersize=3.5)
        ax.plot(
            [], [], color=look, marker=marker, markersize=3.5, label=f"error {error:g}: {limit:.1%} decidable at all"
        )
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="shadow models per side", ylabel="share of examples decided", title=title)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    style.legend_below(ax)
