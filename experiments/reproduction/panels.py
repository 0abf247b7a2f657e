"""Figures 1, 2 and 5 to 10 of Choi et al. and 13 of the LiRA excerpt: one panel a run, of finished numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.reproduction.judging import Triple, triple
from experiments.reproduction.kept_rows import earlier_runs
from experiments.reproduction.markdown import MIXTURES
from experiments.reproduction.measured import LIRA_SWEPT, Measured, title
from experiments.reproduction.ood_readings import READINGS
from experiments.reproduction.outcome import footnote
from mia_tf.figures import examples, memorization, ood, privacy_scores, style, sweep
from mia_tf.figures.pages import by_group_id
from mia_tf.figures.strength import spearman_interval, strength
from mia_tf.store import Store

_WIDTH = 3.4
_SWEEP_WIDTH, _SWEEP_HEIGHT = 2.7, 2.6
_SWEPT = (LIRA_SWEPT, "rmia")
_LABELS = {"privacy_score": "privacy score", "memorization": "memorization"}


def page(
    lines: Sequence[tuple[Sequence[Measured], Callable[[Axes, Measured], None]]], item: str, words: str, height: float
) -> Figure:
    """A page with a line of panels, one per run, for each of `lines`.

    Args:
        lines: the runs of each line, which may differ in number, and what draws the panel of one.
        item: of paper/figures.csv; what it says goes into the footnote.
        words: the footnote says first.
        height: of a panel with its legend, in inches.
    """
    lines = [line for line in lines if line[0]]
    across = max(len(shown) for shown, _ in lines)
    figure = style.new_figure(max(_WIDTH * across, 4.6), height * len(lines))
    for axes, (shown, draw) in zip(figure.subplots(len(lines), across, squeeze=False), lines, strict=True):
        for ax, run in zip(axes, shown, strict=False):
            draw(ax, run)
            ax.set_title(run.title)
        for ax in axes[len(shown) :]:
            ax.remove()
    footnote(figure, words, {run.run.name: run for shown, _ in lines for run in shown}, item)
    return figure


def _groups(run: Measured) -> tuple[np.ndarray, tuple[str, ...]]:
    """(N,) group ids, and what the groups are called."""
    return run.audit.group_ids, run.audit.group_titles


def draw_ood(detector: str, column: str) -> Callable[[Axes, Measured], None]:
    """Draws a column of examples.csv against an OOD score."""

    def draw(ax: Axes, run: Measured) -> None:
        scores = run.audit.column(detector), run.audit.column(column), _LABELS[column]
        ood.draw_against_ood(ax, detector, *scores, *_groups(run), by_group_id(run.audit, column, detector))

    return draw


def draw_histogram(ax: Axes, run: Measured) -> None:
    """Draws how privacy scores are distributed."""
    privacy_scores.draw_privacy_scores(ax, run.audit.column("privacy_score"), *_groups(run))


def draw_memorization(ax: Axes, run: Measured) -> None:
    """Draws memorization against privacy score."""
    columns = "memorization", "privacy_score"
    values = [run.audit.column(name) for name in columns]
    memorization.draw_memorization(ax, *values, *_groups(run), by_group_id(run.audit, *columns))


def draw_memorization_histogram(ax: Axes, run: Measured) -> None:
    """Draws how memorization is distributed."""
    values = run.audit.column("memorization")
    edges = memorization.histogram_edges(values, run.audit.models_per_side)
    memorization.draw_memorization_histogram(ax, values, *_groups(run), edges)


def sweep_page(
    lines: Sequence[tuple[Sequence[tuple[str, str]], str, str]],
    rows: Sequence[Mapping[str, str]],
    measured: Mapping[str, Measured],
    item: str,
    words: str,
) -> Figure:
    """A page of metrics against the number of shadow models, with a panel for every run, made or not, and one legend.

    Args:
        lines: per line of panels the mixture and selection of each, the population that is attacked, and the metric.
        rows: of `sweep_rows`, as text, those of earlier runs too.
        measured: the runs that were made.
        item, words: as for `page`.
    """
    made = {(row["mixture"], row["selection"]): row for row in rows}
    drawn = {
        (*place, population, metric): _of_rows(rows, (*place, population, metric))
        for places, population, metric in lines
        for place in places
    }
    # A metric that no run of a line was measured in, though they were made, has no line.
    lines = [
        (places, *what)
        for places, *what in lines
        if any(drawn[*place, *what] for place in places) or not any(place in made for place in places)
    ]
    across = max(len(places) for places, *_ in lines)
    figure = style.new_figure(_SWEEP_WIDTH * across, 0.5 + _SWEEP_HEIGHT * len(lines))
    entries = {}
    for axes, (places, population, metric) in zip(
        figure.subplots(len(lines), across, squeeze=False), lines, strict=True
    ):
        for ax, place in zip(axes, places, strict=False):
            if values := drawn[*place, population, metric]:
                sweep.draw_sweep(ax, metric, values)
                entries |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
            else:
                _draw_absent(ax, "not measured" if place in made else "not run")
            ax.set_title(title(MIXTURES[place[0]], place[1]).replace(" (", "\n("))
        for ax in [ax for ax in axes if ax.get_ylabel()][1:]:
            ax.set_ylabel("")
        for ax in axes[len(places) :]:
            ax.remove()
    figure.legend(entries.values(), entries.keys(), loc="outside upper center", ncols=len(entries))
    present = {(run.run.mixture, run.run.selection) for run in measured.values()}
    kept = {place: row for place, row in made.items() if place not in present}
    earlier = earlier_runs({title(MIXTURES[mixture], kind): row for (mixture, kind), row in kept.items()})
    footnote(figure, "\n".join(filter(None, (words, earlier))), measured, item)
    return figure


def _of_rows(rows: Sequence[Mapping[str, str]], key: tuple[str, ...]) -> dict[str, dict[float, Triple]]:
    """The rows of a mixture, selection, population and metric as `_swept` has them."""
    cells: dict[str, dict[float, Triple]] = {}
    for row in rows:
        if tuple(row[name] for name in ("mixture", "selection", "population", "metric")) == key:
            size = np.inf if row["num_shadow"] == "all" else float(row["num_shadow"])
            cells.setdefault(row["attack"], {})[size] = triple(row)
    return cells


def _draw_absent(ax: Axes, why: str) -> None:
    """A frame for numbers that are not there."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color=style.GREY, linestyle=(0, (4, 4)))
    ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", va="center", color=style.GREY)


def _swept(run: Measured, metric: str, population: str) -> dict[str, dict[float, Triple]]:
    """Attack -> shadow models per side, np.inf for all -> its number."""
    swept, whole = run.audit.swept(metric, population), run.audit.metric(metric)
    cells = {attack: dict(sorted(swept.get(attack, {}).items())) for attack in _SWEPT}
    for attack in _SWEPT:
        if (attack, population) in whole:
            cells[attack][np.inf] = whole[attack, population]
    return {attack: by_size for attack, by_size in cells.items() if by_size}


def correlation_rows(run: Measured, x: str, y: str) -> Iterator[dict]:
    """Spearman's correlation of two columns of examples.csv, one row per group, with a 95% interval."""
    for group, (rho, p_value) in run.audit.correlation(x, y).items():
        n = np.count_nonzero(run.audit.mask(group))
        low, high = spearman_interval(rho, n)
        yield {
            "mixture": run.run.mixture,
            "selection": run.run.selection,
            "x": x,
            "y": y,
            "group": group,
            "spearman": rho,
            "ci_low": low,
            "ci_high": high,
            "p_value": p_value,
            "strength": strength(rho, p_value, n),
            "n": n,
            "num_models": run.audit.num_models,
            "note": run.note,
            "ood_reading": READINGS["out"] if y.startswith("ood_") else "",
        }


def sweep_rows(run: Measured, metric: str, population: str) -> Iterator[dict]:
    """A metric of the swept attacks by the number of shadow models, and with all of them."""
    cells = _swept(run, metric, population)
    for attack, size, (value, low, high) in ((a, size, cells[a][size]) for a in cells for size in cells[a]):
        yield {
            "mixture": run.run.mixture,
            "selection": run.run.selection,
            "attack": attack,
            "population": population,
            "num_shadow": "all" if np.isinf(size) else size,
            "metric": metric,
            "ours": value,
            "ci_low": low,
            "ci_high": high,
            "num_models": run.audit.num_models,
            "note": run.note,
        }


def distribution_rows(run: Measured, column: str, levels: dict[str, float]) -> Iterator[dict]:
    """Mean, quartiles and shares above levels of a column of examples.csv, one row per group.

    Args:
        run: the run.
        column: "memorization" or "privacy_score".
        levels: name of a share -> the level that it is above.
    """
    for name, group in run.groups.items():
        values = run.audit.column(column)[run.audit.mask(group)]
        values = values[np.isfinite(values)]
        quartiles = np.quantile(values, (0.25, 0.5, 0.75)) if len(values) else [np.nan] * 3
        yield {
            "mixture": run.run.mixture,
            "selection": run.run.selection,
            "group": name,
            "quantity": column,
            "mean": values.mean() if len(values) else np.nan,
            "mean_se": values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan,
            **dict(zip(("q25", "median", "q75"), quartiles, strict=True)),
            **{share: (values > level).mean() if len(values) else np.nan for share, level in levels.items()},
            "n": len(values),
            "num_models": run.audit.num_models,
            "note": run.note,
        }


def examples_page(run: Measured) -> Figure:
    """Random examples of low, middle and high memorization, a row per class (Choi et al., Figure 2b)."""
    dataset = Store.open(run.folder).dataset()
    by_row = np.full(len(dataset.images), np.nan)
    by_row[run.audit.records["row"]] = run.audit.column("memorization")
    chosen = examples.choose_examples(by_row, dataset.labels, dataset.num_classes, np.random.default_rng(0))
    figure = style.new_figure(*examples.figure_size(dataset.num_classes))
    names = dataset.group_names, range(dataset.num_classes)
    examples.draw_examples(figure.subplots(), chosen, dataset.images, by_row, dataset.groups, *names)
    words = f"Random examples within {examples.WITHIN} of each level; a dash if the class has no more."
    footnote(figure, words, {run.run.name: run})
    return figure
