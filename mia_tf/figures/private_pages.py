"""The figures of a comparison with and without differential privacy, each laid out on a page with its footnote."""

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure

from mia_tf.analysis import private_tables
from mia_tf.analysis.private_tables import Comparison
from mia_tf.figures import private_runs as draw
from mia_tf.figures import style
from mia_tf.figures.attacks import CHANCE, draw_attacks

_POPULATIONS = {"all": "All examples", "under": "Under-represented examples"}


def pages(found: Comparison, rows: Mapping[str, list[tuple]], edges: np.ndarray) -> Iterator[tuple[str, Figure]]:
    """Draws every figure; gives its name and itself, one after the other.

    Args:
        found: the comparison.
        rows: of its tables, as `private_tables.rows` gives them.
        edges: of the bins of memorization.
    """
    plain, labels = found.runs[found.plain], list(found.runs)
    names, series = plain.group_names, draw.run_series(labels)
    scale = f"{len(plain.models)} models of the same subsets in each run, {len(plain.examples.labels):,} examples."
    scale = f"{scale}\n{plain.examples.stand_in}".strip()

    figure = style.new_figure(3.2 * len(labels), 3.6)
    panels = figure.subplots(1, len(labels), sharex=True, sharey=True)
    draw.draw_distributions(panels, found.memorization, plain.examples.groups, names, edges)
    place = private_tables.COLUMNS["memorization"].index("standard_error")
    errors = [row[place] for row in rows["memorization"] if row[1] != "all"]
    side = f"With {found.models_per_side} models on the smaller side of an example"
    error = f"a standard error of {np.nanmin(errors):.2f} to {np.nanmax(errors):.2f}"
    style.footnote(figure, f"{side}, its memorization has {error}.\n{scale}")
    yield "figure4", figure

    figure = style.new_figure(7.2, 3.8)
    left, right = figure.subplots(1, 2)
    draw.draw_means(left, {(row[1], row[0]): row[3:6] for row in rows["memorization"]}, series, names)
    draw.draw_accuracies(right, {(row[1:3], row[0]): row[3:6] for row in rows["accuracy"]}, series, names)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=len(labels))
    style.footnote(figure, f"Lines are 95% intervals.\n{scale}")
    yield "accuracy", figure

    keys = found.findings[found.plain].evaluations
    present = [name for name in _POPULATIONS if any(name == population for _, population in keys)]
    height = 0.4 * len({attack for attack, _ in keys})

    figure = style.new_figure(7.2, len(present) * (1.0 + height))
    panels = figure.subplots(len(present), len(CHANCE), squeeze=False, sharey=True)
    for across, population in zip(panels, present, strict=True):
        for ax, metric in zip(across, CHANCE, strict=True):
            values = {
                (attack, label): each.metrics[metric]
                for label, findings in found.findings.items()
                for (attack, of), each in findings.evaluations.items()
                if of == population
            }
            draw_attacks(ax, metric, values, series)
        across[0].set_title(_POPULATIONS[population], loc="left")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(labels) + 1)
    style.footnote(figure, f"Lines are 95% intervals; a triangle at the edge is a rate below 0.01%.\n{scale}")
    yield "attacks", figure

    figure = style.new_figure(7.2, 1.4 + height)
    panels = figure.subplots(1, len(present), squeeze=False, sharex=True, sharey=True)[0]
    for ax, population in zip(panels, present, strict=True):
        lower = {
            (attack, label): bound.epsilon_lower
            for label, findings in found.findings.items()
            for (attack, of), bound in findings.bounds.items()
            if of == population
        }
        draw.draw_epsilons(ax, lower, _upper_bounds(found), series)
        ax.set_title(_POPULATIONS[population], loc="left")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(labels))
    caption = f"Dots: lower bounds at delta = {found.delta:g}, each with 95% confidence by itself; 0 says nothing."
    style.footnote(figure, f"{caption} Lines: the accountant's upper bounds for DP.\n{scale}")
    yield "epsilon", figure


def _upper_bounds(found: Comparison) -> dict[str, float]:
    """What each distinct upper bound is called -> it; runs are named where their bounds differ."""
    private = {label: run for label, run in found.runs.items() if run.private}
    bounds = {}
    for accountant in ("rdp", "pld"):
        epsilons = {label: run.epsilon(accountant) for label, run in private.items()}
        if len(set(epsilons.values())) == 1:
            epsilons = {"": next(iter(epsilons.values()))}
        named = {f"at most, {accountant.upper()}{label and ', '}{label}": e for label, e in epsilons.items()}
        bounds |= {label: epsilon for label, epsilon in named.items() if np.isfinite(epsilon)}
    return bounds
