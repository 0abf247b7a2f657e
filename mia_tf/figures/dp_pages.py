"""The figures of a comparison with and without differential privacy (DP), each on a page with its footnote.

`comparison` is a `mia_tf.Comparison`; nothing of the analysis is imported.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mia_tf.figures import dp_runs as draw
from mia_tf.figures import frontier, memorization, style
from mia_tf.figures.attacks import CHANCE, draw_attacks
from mia_tf.figures.pages import further_height, not_drawn, of_drawn_groups

_LEAKS = ("auroc", "tpr_at_fpr_0.001_per_target")
"""What `frontier_page` shows of an attack, a row of panels each."""
_DOT = 0.2
"""Inches of a run's dot in the row of an attack: room for the words that say it is not resolved."""
_NOISE = {"noise": "noise_multiplier", "clip": "l2_norm_clip"}
_POPULATIONS = {"all": "All examples", "under": "Under-represented examples"}


def pages(comparison, words: str = "") -> Iterator[tuple[str, Figure]]:
    """Draws every figure of a comparison; yields its name and itself, one after the other.

    Args:
        comparison: of runs that a figure can tell apart.
        words: what else every footnote says.

    Raises:
        InputError: there are more runs than `dp_runs.MAX_RUNS`.
    """
    plain, labels = comparison.plain, list(comparison.audits)
    titles, series = {"all": "all", **_titles(plain)}, draw.run_series(labels)
    scale = f"{plain.num_models} models of the same subsets in each run, {len(plain.records):,} examples."
    scale = "\n".join(filter(None, (*_promises(comparison), words, scale, plain.about["stand_in"])))

    figure = style.new_figure(3.2 * len(labels), 3.6 + further_height(plain))
    panels = figure.subplots(1, len(labels), sharex=True, sharey=True)
    _, ids, titles_of_drawn = of_drawn_groups(plain, "memorization")
    values = {label: of_drawn_groups(audit, "memorization")[0] for label, audit in comparison.audits.items()}
    draw.draw_distributions(panels, values, ids, titles_of_drawn, histogram_edges(comparison))
    errors = comparison.memorization.query("group != 'all'")["standard_error"]
    side = f"With {plain.models_per_side} models on the smaller side of an example"
    error = f"a standard error of {errors.min():.2f} to {errors.max():.2f}"
    left_out = not_drawn(plain.group_titles[style.MOST_GROUPS :])
    style.footnote(figure, "\n".join(filter(None, (f"{side}, its memorization has {error}.", left_out, scale))))
    yield "memorization", figure

    figure = style.new_figure(7.2, 3.8)
    left, right = figure.subplots(1, 2)
    draw.draw_means(left, _triples(comparison.memorization, ["group", "run"], "mean"), series, titles)
    accuracies = _triples(comparison.accuracy, ["split", "group", "run"], "mean")
    by_row = {((split, group), run): triple for (split, group, run), triple in accuracies.items()}
    draw.draw_accuracies(right, by_row, series, titles)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=len(labels))
    style.footnote(figure, f"Lines are 95% intervals.\n{scale}")
    yield "accuracy", figure

    present = [name for name in _POPULATIONS if name in plain.populations]
    height = max(0.4, _DOT * len(labels)) * plain.attacks["attack"].nunique()

    figure = style.new_figure(10, len(present) * (1.1 + height))
    panels = figure.subplots(len(present), len(CHANCE), squeeze=False, sharey=True)
    for across, population in zip(panels, present, strict=True):
        for ax, metric in zip(across, CHANCE, strict=True):
            table = comparison.attacks.query("metric == @metric and population == @population")
            draw_attacks(ax, metric, _triples(table, ["attack", "run"], "value"), series)
        across[0].set_title(_POPULATIONS[population], loc="left")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(labels) + 1)
    style.footnote(figure, f"Lines are 95% intervals; a triangle at the edge is a rate below 0.01%.\n{scale}")
    yield "attacks", figure

    figure = style.new_figure(7.2, 1.4 + height)
    panels = figure.subplots(1, len(present), squeeze=False, sharex=True, sharey=True)[0]
    for ax, population in zip(panels, present, strict=True):
        table = comparison.epsilon.query("population == @population")
        lower = table.set_index(["attack", "run"])["epsilon_lower"].to_dict()
        draw.draw_epsilons(ax, lower, _upper_bounds(comparison), series)
        ax.set_title(_POPULATIONS[population], loc="left")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(labels))
    delta = f"delta = {plain.about['delta']:g}"
    caption = f"Dots: lower bounds at {delta}, each with 95% confidence by itself; 0 says nothing."
    caption = f"{caption} Pairs are taken for independent trials."
    style.footnote(figure, f"{caption} Lines: the accountant's upper bounds for DP.\n{scale}")
    yield "epsilon", figure


def frontier_page(comparison, attack: str) -> Figure:
    """Draws leak against accuracy, a point per run with its epsilon: a column per group, a row per leak.

    Args:
        comparison: with any number of runs.
        attack: whose leak is drawn; all runs have it.
    """
    plain = comparison.plain
    groups = list(plain.groups) if len(plain.groups) > 1 else ["all"]
    titles = {"all": "All examples", **_titles(plain)}
    accuracies = {label: audit.accuracies() for label, audit in comparison.audits.items()}
    tested = all(("test", group) in known for known in accuracies.values() for group in groups)
    split, words = ("test", "test images") if tested else ("out", "non-members")
    leaks = [name for name in _LEAKS if name in plain.attacks["metric"].unique()]
    figure = style.new_figure(4.4 * len(groups), 0.5 + 2.9 * len(leaks))
    axes = figure.subplots(len(leaks), len(groups), squeeze=False, sharex="col")
    panels = []
    for across, metric in zip(axes, leaks, strict=True):
        values = {label: audit.metric(metric) for label, audit in comparison.audits.items()}
        for ax, group in zip(across, groups, strict=True):
            points = [
                frontier.Point(bound, accuracies[label][split, group], values[label][attack, group])
                for label, bound in comparison.stated_epsilons.items()
            ]
            frontier.draw_frontier(ax, metric, points)
            ax.set(title=titles.get(group, group) if metric == leaks[0] else "", xlabel=f"accuracy on {words}")
            ax.label_outer()
            ax.tick_params(labelleft=True)
            panels.append((ax, points))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    accountants = sorted({run["accountant"].upper() for run in comparison.hparams.values() if run.get("accountant")})
    delta = f"by {' or '.join(accountants)} at delta = {plain.about['delta']:g}"
    scale = f"{plain.num_models} models of the same subsets per point, {len(plain.records):,} examples."
    name = style.attack_styles([attack])[attack].label
    caption = f"Attack: {name}. Lines are 95% intervals. Epsilon is the accountant's, {delta}; {scale}"
    style.footnote(figure, f"{caption}\n{plain.about['stand_in']}".strip())
    frontier.label_points(figure, panels)
    return figure


def _promises(comparison) -> Iterator[str]:
    """A sentence per run with DP: its guarantee."""
    for label, bounds in comparison.upper_bounds.items():
        run = comparison.hparams[label]
        named = {name: f"{bound:.3g}" if np.isfinite(bound) else "infinite" for name, bound in bounds.items()}
        epsilons = " and ".join(f"{bound} by {name.upper()}" for name, bound in named.items())
        settings = [f"{name} {run[key]:.3g}" for name, key in _NOISE.items() if run.get(key) is not None]
        promise = ", ".join([f"epsilon {epsilons} at delta {run['delta']:g}", *settings])
        yield f"{style.literal(label)}: {promise}."


def _titles(audit) -> dict[str, str]:
    """Group -> its title as it is drawn."""
    return {name: style.literal(title) for name, title in audit.about["group_titles"].items()}


def histogram_edges(comparison) -> np.ndarray:
    """Edges of the bins of memorization, the same for all runs (`memorization.histogram_edges`)."""
    values = np.concatenate([audit.column("memorization") for audit in comparison.audits.values()])
    return memorization.histogram_edges(values, comparison.plain.models_per_side)


def _triples(table: pd.DataFrame, keys: list[str], value: str) -> dict[tuple, tuple[float, float, float]]:
    """These columns of each row -> its value and interval."""
    columns = zip(table[value], table["ci_low"], table["ci_high"], strict=True)
    return dict(zip(table[keys].itertuples(index=False, name=None), columns, strict=True))


def _upper_bounds(comparison) -> dict[str, float]:
    """What each distinct upper bound is called -> it; runs are named if their bounds differ."""
    bounds = {}
    for accountant in ("rdp", "pld"):
        epsilons = {label: bounds[accountant] for label, bounds in comparison.upper_bounds.items()}
        if len(set(epsilons.values())) == 1:
            epsilons = {"": next(iter(epsilons.values()))}
        named = {
            f"at most, {accountant.upper()}{label and ', '}{style.literal(label)}": e for label, e in epsilons.items()
        }
        bounds |= {label: epsilon for label, epsilon in named.items() if np.isfinite(epsilon)}
    return bounds
