"""Tables 1 and 4 of Choi et al.: sizes and accuracies of the mixtures, ours beside the paper's."""

import numpy as np

from experiments.reproduction import paper_numbers
from experiments.reproduction.command import Outcome, footnote
from experiments.reproduction.measured import Measured
from mia_tf.figures import comparison, style

INTERVALS = "Ours is of the mean over models; the paper's, up to 21.7% wide a side, can only be of single models."
"""Of 2,000 models a mean is known 45 times better than a single one."""


def build(table: str, found: dict[str, Measured]) -> Outcome:
    """The rows of a table, and its figure."""
    runs = {run.run.mixture: run for run in found.values()}
    rows = accuracy_rows(table, runs)
    shown = [row for row in rows if row["mixture"] in runs]
    figure = style.new_figure(6.2, 1.3 + 0.42 * len({(row["mixture"], row["split"]) for row in shown}))
    pairs = [
        comparison.Pair(
            f"{' + '.join(runs[row['mixture']].names)}, {row['split']}".replace(" + none", ""),
            row["group"],
            (row["ours"], row["ci_low"], row["ci_high"]),
            tuple(row["paper"] + side * row["paper_pm"] for side in (0, -1, 1)),
        )
        for row in shown
    ]
    ax = figure.subplots()
    comparison.draw_comparison(ax, pairs, "accuracy")
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    footnote(figure, f"{comparison.WORDS} {INTERVALS}", found)
    return Outcome({"": rows}, {"": figure})


def accuracy_rows(table: str, runs: dict[str, Measured]) -> list[dict]:
    """One row a number of the paper, with ours where the mixture has been run.

    Args:
        table: "table1" or "table4".
        runs: by mixture.
    """
    measured = {
        mixture: {(row["split"], row["group"]): row for row in run.table("accuracy")} for mixture, run in runs.items()
    }
    rows = []
    for number in paper_numbers.accuracy_numbers(table):
        run = runs.get(number["mixture"])
        mine = measured.get(number["mixture"], {}).get((number["split"], number["group"]), {})
        ours = {
            to: float(mine[column]) if mine.get(column) else np.nan
            for to, column in (("ours", "mean"), ("ci_low", "ci_low"), ("ci_high", "ci_high"))
        }
        sizes = dict(zip(("num_over", "num_under"), run.counts if run else ("", ""), strict=True))
        models = {"arch": run.arch if run else "", "num_models": run.results.num_models if run else ""}
        note = "stand-in data" if run and run.stand_in else ""
        rows.append({**number, **ours, **sizes, **models, "note": note})
    return rows
