"""LiRA's fourth open question: what does an attacker who sees intermediate models gain at a low false positive rate?

    python -m experiments.open_questions.intermediate --logdirs runs/mnist_svhn_epochs runs/cifar10_epochs

The LOGDIRs have the logits of several epochs (`mia_tf.train --save_steps=4`, then `mia_tf.inference --queries=1`). LiRA
and RMIA see each epoch alone, and the trajectory of all epochs. LiRA on epochs draws the means that few models tell
towards the usual ones, which helps on one epoch too: so it is compared with itself on the last epoch, and RMIA with
RMIA. The interval of a difference is paired: both attack the same models.
Writes intermediate.csv and a figure of each LOGDIR into experiments/results/open_questions.
Cost: two minutes for five epochs of 32 models and 2,625 examples, besides their training.
Measured: experiments/results/open_questions/intermediate.md.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import mia_tf
from experiments import commands
from experiments.open_questions import rates
from mia_tf.analysis.comparisons import difference
from mia_tf.analysis.result import Audit
from mia_tf.attacks.lira import recommended_online
from mia_tf.figures import attacks as drawn_attacks
from mia_tf.figures import style

OUT = Path(__file__).parent.parent / "results" / "open_questions"
ALL = {"trajectory_lira": "trajectory_lira", "trajectory_rmia": "rmia"}
"""Attack on all epochs -> the attack on the last one that it is compared with."""
METRICS = ("auroc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001")
COLUMNS = (
    *("dataset", "num_models", "epochs", "attack", "population", "metric", "value", "ci_low", "ci_high"),
    *("difference_to_last", "difference_low", "difference_high", "num_targets", "num_members", "num_nonmembers"),
    *("seed", "note"),
)


def alone(record: mia_tf.ShadowModels) -> mia_tf.ShadowModels:
    """The same record with its epoch twice, which adds nothing: attacks on several epochs then see this one."""
    twice = record.subset(range(len(record)))
    twice.earlier = [record]
    return twice


def rows(shadows: mia_tf.ShadowModels, seed: int) -> list[tuple]:
    """Rows of the CSV, of a record with all epochs."""
    of_one = (recommended_online(len(shadows)), "rmia", "trajectory_lira")
    settings = {"fpr": (0.01, 0.001), "seed": seed}
    audits = {
        record.models[0].epoch: mia_tf.audit(alone(record), attacks=of_one, **settings)
        for record in (*shadows.earlier, shadows)
    }
    last = audits[shadows.models[0].epoch]
    measured = []
    for epoch, audit in audits.items():
        measured += _rows(shadows, epoch, audit, last, {name: name for name in of_one}, seed)
    together = mia_tf.audit(shadows, attacks=list(ALL), **settings)
    return [*measured, *_rows(shadows, "all", together, last, ALL, seed)]


def _rows(
    shadows: mia_tf.ShadowModels, epochs: int | str, audit: Audit, last: Audit, pairs: Mapping[str, str], seed: int
) -> Iterable[tuple]:
    """Rows of attacks of an audit, each compared with an attack of the audit of the last epoch."""
    for row in audit.attacks[audit.attacks["metric"].isin(METRICS)].itertuples(index=False):
        if row.attack in pairs:
            one, other = (
                audit.evaluations[row.attack, row.population],
                last.evaluations[pairs[row.attack], row.population],
            )
            who = shadows.about.name, len(shadows), epochs, row.attack, row.population, row.metric
            values = row.value, row.ci_low, row.ci_high, *difference(one, other, row.metric)
            yield *who, *values, row.num_targets, row.num_members, row.num_nonmembers, seed, row.note


def draw(table: Iterable[Mapping]) -> Figure:
    """Draws, on all examples, what each epoch alone gives and, as a band, what all epochs together do."""
    table = [row for row in table if row["population"] == "all"]
    looks = style.attack_styles(row["attack"] for row in table if row["epochs"] != "all")
    figure = style.new_figure(7.2, 3.6)
    for ax, metric in zip(figure.subplots(1, 2), ("auroc", "tpr_at_fpr_0.001"), strict=True):
        for name, look in looks.items():
            of_one = [
                row for row in table if (row["attack"], row["metric"]) == (name, metric) and row["epochs"] != "all"
            ]
            epochs = [row["epochs"] for row in of_one]
            values, low, high = ([row[column] for row in of_one] for column in ("value", "ci_low", "ci_high"))
            ax.plot(epochs, values, color=look.colour, marker="o", markersize=4, label=f"{look.label}, one epoch")
            ax.vlines(epochs, low, high, color=look.colour)
            for row in table:
                if row["epochs"] == "all" and (ALL[row["attack"]], row["metric"]) == (name, metric):
                    dashes = {"color": look.colour, "linestyle": "--", "linewidth": 1.2}
                    ax.axhline(row["value"], label=f"{look.label}, all epochs", **dashes)
                    ax.axhspan(row["ci_low"], row["ci_high"], color=look.colour, alpha=0.12, linewidth=0)
        ax.axhline(drawn_attacks.chance(metric), color=style.GREY, linewidth=0.8)
        ax.set(xlabel="epoch", ylabel=drawn_attacks.label(metric), xticks=epochs)
        if metric != "auroc":
            ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    words = f"{table[0]['dataset']}, {table[0]['num_models']} models, all examples; grey: random guess. 95% intervals."
    style.footnote(figure, words)
    return figure


def main() -> None:
    """Attacks the models of every LOGDIR at all their epochs."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--logdirs", type=commands.folder, nargs="+", required=True, help="runs with several epochs")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--out", type=commands.folder_to_write, default=OUT, help="folder of the CSV and the figures")
    options = parser.parse_args()
    records = {
        folder.name: mia_tf.ShadowModels.open(folder, epoch="all", argument="logdirs") for folder in options.logdirs
    }
    by_record = {name: rows(shadows, options.seed) for name, shadows in records.items()}
    rates.write("intermediate", COLUMNS, by_record, draw, options.out)


if __name__ == "__main__":
    commands.run(main)
