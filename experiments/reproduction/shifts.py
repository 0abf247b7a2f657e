"""Figure 13 of Carlini et al. (LiRA): privacy scores of examples ever further from CIFAR-10, as overlaid histograms.

CIFAR-10 with CINIC-10 (other photographs of the same things), with CIFAR-100 images under random labels, and with
CIFAR-10's own test images under random labels. CINIC-10 is a folder of images that a user downloads.
LiRA's models are ResNets on 51,000 examples.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from experiments.reproduction import panels
from experiments.reproduction.measured import Measured
from experiments.reproduction.outcome import Outcome, footnote
from mia_tf.figures import style
from mia_tf.figures.privacy_scores import count_label

INSERTED = {
    "cifar10_cinic10": "CINIC-10",
    "cifar10_cifar100_random": "CIFAR-100, random labels",
    "cifar10_mislabeled": "CIFAR-10's test images, random labels",
}
"""Mixture -> what its examples are called, in the order of their shift."""
BINS = 40
WORDS = "Privacy score |mean IN - mean OUT| / (sd IN + sd OUT) of phi. Markers above the panel: means."


def build(measured: Mapping[str, Measured]) -> Outcome:
    """Builds one panel with a histogram per kind of example."""
    levels = {"share_above_1": 1, "share_above_2": 2}
    rows = [row for run in measured.values() for row in panels.distribution_rows(run, "privacy_score", levels)]
    figure = style.new_figure(6.4, 5.2)
    draw_overlaid(figure.subplots(), series(measured))
    footnote(figure, WORDS, measured, "lira_figure13")
    return Outcome({"": rows}, {"": figure})


def series(measured: Mapping[str, Measured]) -> dict[str, np.ndarray]:
    """Name -> (n,) privacy scores, NaN if not resolved; empty if the run was not made.

    CIFAR-10's own are those of the run on it alone, or if that was not made, those of the first mixture.
    """
    first = measured.get("cifar10", next(iter(measured.values())))
    where = "alone" if first.run.mixture == "cifar10" else f"mixed with {INSERTED[first.run.mixture]}"
    kinds = {f"CIFAR-10, {where}": _scores(first, "over")}
    for mixture, name in INSERTED.items():
        run = measured.get(f"{mixture}_random")
        kinds[name] = _scores(run, "under") if run else np.empty(0)
    return kinds


def _scores(run: Measured, group: str) -> np.ndarray:
    return run.audit.column("privacy_score")[run.audit.mask(run.groups[group])]


def draw_overlaid(ax: Axes, kinds: Mapping[str, np.ndarray]) -> None:
    """Draws histograms over one another, each as shares of its own examples, with a marker at its mean.

    Args:
        ax: where to draw.
        kinds: name -> (n,) float privacy scores; NaN is left out. An empty one is named in the legend as not run.
    """
    resolved = {name: scores[np.isfinite(scores)] for name, scores in kinds.items()}
    edges = np.linspace(0, max((scores.max() for scores in resolved.values() if scores.size), default=1), BINS + 1)
    for place, (name, scores) in enumerate(resolved.items()):
        look = style.GROUP_STYLES[place]
        line = {"color": look.colour, "linestyle": look.linestyle, "linewidth": 1.6}
        if not scores.size:
            ax.plot([], [], marker=look.marker, **line, label=f"{name}: not run")
            continue
        shares = np.histogram(scores, edges)[0] / len(scores)
        ax.stairs(shares, edges, fill=True, facecolor=(look.colour, 0.15), edgecolor="none")
        ax.stairs(shares, edges, **line)
        ax.plot([], [], marker=look.marker, **line, label=count_label(kinds[name], name))
        above = {"transform": ax.get_xaxis_transform(), "clip_on": False, "markersize": 7}
        ax.plot(scores.mean(), 1.03, marker=look.marker, color=look.colour, **above)
    ax.set(xlim=(0, edges[-1]), xlabel="privacy score", ylabel="share of the examples")
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    style.legend_below(ax)
