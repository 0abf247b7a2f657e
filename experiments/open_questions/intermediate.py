"""LiRA's fourth open question: what does an attacker who sees intermediate models gain at a low false positive rate?

    python -m experiments.open_questions.intermediate --logdir runs/intermediate --data_dir DATA

Trains the models that the LOGDIR lacks and asks those of every fourth epoch (`mia_tf.train --save_steps=4`, then
`mia_tf.inference`); without --data_dir it takes a LOGDIR that has the logits of several epochs. LiRA and RMIA see each
epoch alone, and the trajectory of all epochs. LiRA on epochs draws the means that few models tell towards the usual
ones, which helps on one epoch too: so it is compared with itself on the last epoch, and RMIA with RMIA. The interval of
a difference is paired: both attack the same models.
Writes intermediate.csv and a figure into experiments/results/open_questions.
Cost: 32 models of 2,625 examples, ten minutes of one core and three to ask; then two minutes to attack.
Measured: experiments/results/open_questions/intermediate.md.
"""

import subprocess
import sys
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
from mia_tf.files import expanded

OUT = Path(__file__).parent.parent / "results" / "open_questions"
FLAGS = Path(__file__).parent.parent.parent / "flags" / "mnist_svhn_cpu.flags"
SCALE = ("--num_over=2500", "--num_under=125", "--num_experiments=32", "--save_steps=4", "--seed=17")
ALL = {"trajectory_lira": "trajectory_lira", "trajectory_rmia": "rmia"}
"""Attack on all epochs -> the attack on the last one that it is compared with."""
METRICS = ("auroc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001")
COLUMNS = (
    *("dataset", "num_models", "epochs", "attack", "population", "metric", "value", "ci_low", "ci_high"),
    *("difference_to_last", "difference_low", "difference_high", "num_targets", "num_members", "num_nonmembers"),
    *("seed", "note"),
)


def train(logdir: Path, data_dir: Path) -> None:
    """Trains the models that are missing, and asks those whose earlier epochs are.

    Raises:
        CalledProcessError: a command failed; it said why.
    """
    train = [f"--flagfile={FLAGS}", *SCALE, f"--data_dir={data_dir}", f"--logdir={logdir}"]
    for module, arguments in (("train", train), ("inference", ["--queries=1", f"--logdir={logdir}"])):
        subprocess.run([sys.executable, "-m", f"mia_tf.{module}", *arguments], check=True)


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
    """Attacks the models of a LOGDIR at all epochs, once they are trained."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--logdir", type=commands.folder_to_write, required=True, help="run with several epochs")
    parser.add_argument("--data_dir", type=expanded, help="folder of the data, to train what is missing")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--out", type=commands.folder_to_write, default=OUT, help="folder of the CSV and the figure")
    options = parser.parse_args()
    if options.data_dir is not None:
        train(options.logdir, options.data_dir)
    shadows = mia_tf.ShadowModels.open(options.logdir, epoch="all")
    by_record = {shadows.about.name: rows(shadows, options.seed)}
    rates.write("intermediate", COLUMNS, by_record, draw, options.out)


if __name__ == "__main__":
    commands.run(main)
