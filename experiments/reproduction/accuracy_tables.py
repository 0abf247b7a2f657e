"""Tables 1 and 4 of Choi et al.: sizes and accuracies of the mixtures, ours beside the paper's.

What the paper calls training accuracy is, by its numbers, that on all of D^tr, of which a model leaves out 30%: 0.7 +
0.3 times the test accuracy is 97.0% for CIFAR-10 alone (printed: 97.06), and with augCIFAR-10 96.3% (96.39) for D_O and
86.3% (86.85) for D_U. So ours is beside it for all of D^tr ("pool"); that of a model's own members stands alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.reproduction import comparison_figure as comparison
from experiments.reproduction import paper_numbers
from experiments.reproduction.judging import Triple, triple
from experiments.reproduction.kept_rows import earlier_runs
from experiments.reproduction.markdown import MIXTURES
from experiments.reproduction.measured import Measured
from experiments.reproduction.outcome import Outcome, footnote
from mia_tf.analysis.statistics import mean_interval
from mia_tf.figures import style
from mia_tf.shadow.answers import Answers
from mia_tf.shadow.shadow_models import ShadowModels

SPLITS = {"members": "members", "pool": "all of $D^{tr}$", "test": "test"}
"""What the rows say -> what the figure says."""


def build(table: str, measured: dict[str, Measured]) -> Outcome:
    """The rows of a table, and its figure."""
    rows = accuracy_rows(table, {run.run.mixture: run for run in measured.values()})
    return Outcome({"": rows}, draw=lambda rows: {"": _figure(table, rows, measured)})


def _figure(table: str, rows: Sequence[Mapping[str, str]], measured: Mapping[str, Measured]) -> Figure:
    """Every accuracy of the runs and of earlier ones."""
    shown = [row for row in rows if row["num_models"]]
    figure = style.new_figure(6.2, 1.6 + 0.42 * len({(row["mixture"], row["split"]) for row in shown}))
    pairs = [
        comparison.Pair(f"{MIXTURES[row['mixture']]}, {SPLITS[row['split']]}", row["group"], triple(row), _paper(row))
        for row in shown
    ]
    ax = figure.subplots()
    comparison.draw_comparison(ax, pairs, "accuracy")
    ax.set_xlim(0, 1.02)  # whole markers at 100%
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    which = {"table1": "random under-represented examples", "table4": "singletons"}[table]
    heading = f"Table {table.removeprefix('table')} of Choi et al.: accuracy with {which}"
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2, title=heading)
    # Of 2,000 models a mean is known 45 times better than a single one.
    widest = max(float(row["paper_pm"]) for row in shown if row["paper_pm"])
    words = f"Ours is of the mean over models; the paper's (up to {100 * widest:.1f}% per side) is of single models."
    present = {run.run.mixture for run in measured.values()}
    earlier = earlier_runs({MIXTURES[row["mixture"]]: row for row in shown if row["mixture"] not in present})
    footnote(figure, "\n".join(filter(None, (f"{comparison.WORDS} {words}", earlier))), measured)
    return figure


def _paper(row: Mapping[str, str]) -> Triple | None:
    """The paper's number and its interval; None if it has none."""
    if not row["paper"]:
        return None
    value, margin = float(row["paper"]), float(row["paper_pm"])
    return value, value - margin, value + margin


def accuracy_rows(table: str, runs: dict[str, Measured]) -> list[dict]:
    """One row per number of the paper, with ours if the mixture has been run, and one for the members.

    Args:
        table: "table1" or "table4".
        runs: by mixture.
    """
    measured = {mixture: accuracies(run) for mixture, run in runs.items()}
    numbers = []
    for number in paper_numbers.accuracy_numbers(table):
        if number["split"] == "train":
            numbers.append({**number, "split": "members", "paper": "", "paper_pm": ""})
            number = {**number, "split": "pool"}
        numbers.append(number)
    rows = []
    for number in numbers:
        run = runs.get(number["mixture"])
        triple = measured.get(number["mixture"], {}).get((number["split"], number["group"]), (np.nan, np.nan, np.nan))
        ours = dict(zip(("ours", "ci_low", "ci_high"), triple, strict=True))
        about = {"num_over": "", "num_under": "", "arch": "", "num_models": "", "note": ""}
        if run:
            sizes = {f"num_{group}": count for group, count in run.counts.items()}
            about = {**sizes, "arch": run.arch, "num_models": run.audit.num_models, "note": run.note}
        rows.append({**number, **ours, **about})
    return rows


def accuracies(run: Measured) -> dict[tuple[str, str], tuple[float, float, float]]:
    """(split, group) -> mean over a run's models and its 95% interval; groups are "over" and "under"."""
    measured = run.audit.accuracies()
    splits = {"members": "train", "test": "test"}
    models = ShadowModels.open(run.folder).models
    rows = {}
    for name, group in run.groups.items():
        here = run.audit.mask(group)
        rows["pool", name] = mean_interval(np.array([_pool_accuracy(model, name, here) for model in models]))
        rows |= {(split, name): measured[its, group] for split, its in splits.items() if (its, group) in measured}
    return rows


def _pool_accuracy(model: Answers, group: str, here: np.ndarray) -> float:
    """A model's accuracy on all examples of a group, trained on or not."""
    kept, metrics = model.member[here], model.metrics()
    right = sum(
        count * metrics[f"{split}_accuracy_{group}"]
        for split, count in (("train", kept.sum()), ("out", (~kept).sum()))
        if count
    )
    return float(right / len(kept))
