"""The figures of a LOGDIR, each laid out on a page of its own with its footnote."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from mia_tf.figures import attacks, examples, memorization, ood, privacy_scores, roc, style, sweep
from mia_tf.figures.results import METRICS, Results
from mia_tf.records import Dataset

NAMES = (
    *("roc", "attacks", "sweep", "privacy_scores", "memorization", "memorization_histogram"),
    *("privacy_score_ood", "memorization_ood", "examples"),
)
"""Every figure there can be; some analyses have no numbers for some."""
_POPULATIONS = {"all": "All examples", "under": "Under-represented examples"}


def pages(results: Results, dataset: Dataset, arch: str) -> Iterator[tuple[str, Figure]]:
    """Draws every figure that there are numbers for; gives its name, of NAMES, and itself, one after the other.

    Args:
        results: the finished numbers.
        dataset: what they are about.
        arch: the models' architecture, "" where it is not known.
    """
    scale = _scale(results, dataset, arch)
    per_example = {"groups": results.groups, "names": dataset.group_names}
    populations = [name for name in _POPULATIONS if name in results.curves]
    rows = len({attack for attack, _ in results.metrics["auroc"]})

    if populations:  # else no attack could be resolved
        figure = style.new_figure(3.6 * len(populations), 3.9 + 0.17 * rows)
        for ax, population in zip(figure.subplots(1, len(populations), squeeze=False)[0], populations, strict=True):
            auroc = {a: value for (a, p), (value, *_) in results.metrics["auroc"].items() if p == population}
            curves = {attack: results.curves[population].get(attack, ((), ())) for attack in auroc}
            smallest = 1 / max(results.nonmembers.get(population, 1), 1)
            roc.draw_roc(ax, curves, auroc, smallest, _POPULATIONS[population])
        style.footnote(figure, scale)
        yield "roc", figure

    figure = style.new_figure(7.2, 1.1 + 0.4 * rows)
    panels = figure.subplots(1, len(METRICS), sharey=True)
    for ax, metric in zip(panels, METRICS, strict=True):
        attacks.draw_attacks(ax, metric, results.metrics[metric])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    style.footnote(figure, f"Lines are 95% intervals; a triangle at the edge is a rate below 0.01%.\n{scale}")
    yield "attacks", figure

    if results.sweep:
        swept = [name for name in _POPULATIONS if any(name == population for _, population in results.sweep)]
        figure = style.new_figure((5.2, 7.2)[len(swept) > 1], 5.4 + 0.17 * rows)
        panels = figure.subplots(len(METRICS), len(swept), sharex=True, squeeze=False)
        for across, metric in zip(panels, METRICS, strict=True):
            for ax, population in zip(across, swept, strict=True):
                sweep.draw_sweep(ax, metric, results.sweep[metric, population])
        for ax, population in zip(panels[0], swept, strict=True):
            ax.set(title=_POPULATIONS[population], xlabel="")
        for ax in panels[:, 1:].flat:
            ax.set_ylabel("")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(swept) + 1)
        style.footnote(figure, f"{sweep.CAPTION}\n{scale}")
        yield "sweep", figure

    figure = style.new_figure(5, 3.6)
    privacy_scores.draw_privacy_scores(figure.subplots(), results.privacy_scores, **per_example)
    style.footnote(figure, scale)
    yield "privacy_scores", figure

    figure = style.new_figure(5, 4.3)
    values = results.memorization, results.privacy_scores
    memorization.draw_memorization(figure.subplots(), *values, **per_example, spearman=results.spearman)
    style.footnote(figure, scale)
    yield "memorization", figure

    figure = style.new_figure(5, 3.6)
    edges = memorization.histogram_edges(results.memorization, results.models_per_side)
    memorization.draw_memorization_histogram(figure.subplots(), results.memorization, **per_example, edges=edges)
    style.footnote(figure, scale)
    yield "memorization_histogram", figure

    for name, values, label in (
        ("privacy_score", results.privacy_scores, "privacy score"),
        ("memorization", results.memorization, "memorization"),
    ):
        figure = style.new_figure(7.2, 3.8)
        for ax, detector in zip(figure.subplots(1, len(ood.OOD_LABELS), sharey=True), ood.OOD_LABELS, strict=True):
            found = results.correlations.get(frozenset({name, detector}), {})
            drawn = {"detector": detector, "ood": results.ood[detector], "scores": values, "spearman": found}
            ood.draw_against_ood(ax, **drawn, label=label, **per_example)
            ax.label_outer()
        style.footnote(figure, f"{ood.MSP_WORDS}\n{scale}")
        yield f"{name}_ood", figure

    shown = min(dataset.num_classes, examples.MAX_CLASSES)
    by_row = np.full(len(dataset.images), np.nan)
    by_row[results.rows] = results.memorization
    chosen = examples.choose_examples(by_row, dataset.labels, shown, np.random.default_rng(0))
    figure = style.new_figure(*examples.figure_size(shown))
    examples.draw_examples(figure.subplots(), chosen, dataset.images, by_row, dataset.groups, dataset.group_names)
    few = f" The first {shown} of {dataset.num_classes} classes." if shown < dataset.num_classes else ""
    caption = f"Random examples within {examples.WITHIN} of each level; a dash where the class has no more.{few}"
    style.footnote(figure, f"{caption}\n{scale}")
    yield "examples", figure


def _scale(results: Results, dataset: Dataset, arch: str) -> str:
    """The footnote of every figure: the scale, and whatever stands in for real data."""
    counts = [f"{np.count_nonzero(results.groups == g):,} {dataset.group_names[g]}" for g in np.unique(results.groups)]
    models = f"{results.num_models:,} {arch} models".replace("  ", " ")
    sentence = f"{dataset.name}: {models}, {' + '.join(counts)} examples."
    return f"{sentence}\n{dataset.stand_in}".strip()
