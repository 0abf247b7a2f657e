"""A metric of the attacks against the number of shadow models (figures 3, 7 and 8 of Choi et al.)."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from mia_tf.figures import style
from mia_tf.figures.attacks import chance, label

CAPTION = (
    "Each target is attacked with that many shadow models trained on the example and as many not trained on it. "
    "Bands are 95% intervals; a line begins where the attack can be fitted."
)


def draw_sweep(ax: Axes, metric: str, values: Mapping[str, Mapping[int, tuple[float, float, float]]]) -> None:
    """Draws one metric of one population: a line per attack with the band of its intervals.

    Args:
        ax: where to draw.
        metric: "auroc", or a true positive rate such as "tpr_at_fpr_0.001".
        values: attack -> shadow models per side, np.inf for all -> (value, ci_low, ci_high); NaN if not resolved. What
            all models give stands one step right of the largest number, as "all".
    """
    sizes = sorted({size for by_size in values.values() for size in by_size})
    largest = max((size for size in sizes if np.isfinite(size)), default=0.5)
    places = {size: size if np.isfinite(size) else 2 * largest for size in sizes}
    for attack, look in style.attack_styles(values).items():
        own = sorted(values[attack])
        x, table = [places[size] for size in own], np.array([values[attack][size] for size in own])
        # To the axis' end if an interval reaches 0, which a logarithmic axis does not have.
        low = table[:, 1] if metric == "auroc" else np.maximum(table[:, 1], chance(metric) / 3)
        ax.fill_between(x, low, table[:, 2], color=look.colour, alpha=0.1, linewidth=0)
        line = {"color": look.colour, "linestyle": look.linestyle, "linewidth": 1.4, "marker": "o", "markersize": 3}
        ax.plot(x, table[:, 0], **line, label=look.label)
    ax.axhline(chance(metric), color=style.GREY, linewidth=0.8, zorder=0, label="random guess")
    ax.set_xscale("log", base=2)
    ax.set_xticks(list(places.values()), ["all" if np.isinf(size) else f"{size:g}" for size in sizes])
    first, last = places[sizes[0]], places[sizes[-1]]
    margin = max(last / first, 2) ** 0.05
    ax.set_xlim(first / margin, last * margin)  # also if no value was resolved
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="shadow models per side", ylabel=label(metric))
    ends = [value for triples in values.values() for triple in triples.values() for value in triple]
    if np.isnan(ends).all():
        ax.text(0.5, 0.5, style.UNRESOLVED, transform=ax.transAxes, ha="center", fontsize=8, color=style.GREY)
    if metric != "auroc":
        ax.set_ylim(chance(metric) / 3, 1.3 * np.nanmax([*ends, 10 * chance(metric)]))
        ax.set_yscale("log", nonpositive="clip")
        style.percent_axis(ax.yaxis)
    ax.set_axisbelow(True)
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
