"""What does an attacker who sees the examples and trains no shadow model gain? Quantile regression (Bertran, 2023).

    python -m experiments.open_questions.sees_x --logdirs runs/mnist_svhn_cpu

For comparison: Yeom's attack, which has no shadow models either; and RMIA offline with 1, 2 and 4 shadow models that
were not trained on the example. The last rows have all shadow models. Writes sees_x.csv and a figure for each LOGDIR
into experiments/results/open_questions.
Cost: half a minute per LOGDIR of 32 models and 2,625 examples on one core, besides its training.
Measured: experiments/results/open_questions/sees_x.md.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from matplotlib.figure import Figure

import mia_tf
from experiments import commands
from experiments.open_questions import rates
from mia_tf.attacks.lira import recommended_online
from mia_tf.figures import style
from mia_tf.validation import check, part_of

OUT = Path(__file__).parent.parent / "results" / "open_questions"
NUM_SHADOW = (1, 2, 4)
WITHOUT_SHADOW_MODELS = ("yeom", "quantile_regression")
METRICS = ("auroc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001")
COLUMNS = (
    *("dataset", "num_models", "attack", "num_shadow", "population", "metric", "value", "ci_low", "ci_high"),
    *("num_targets", "num_members", "num_nonmembers", "seed", "note"),
)


def rows(shadows: mia_tf.ShadowModels, seed: int) -> list[tuple]:
    """Rows of the CSV, of one record; num_shadow is 0 without shadow models and "all" with all of them."""
    attacks = (*WITHOUT_SHADOW_MODELS, "rmia_offline", recommended_online(len(shadows)))
    audit = mia_tf.audit(shadows, attacks=attacks, num_shadow=NUM_SHADOW, fpr=(0.01, 0.001), seed=seed)
    limited = audit.sweep[audit.sweep["attack"] == "rmia_offline"]
    measured = []
    for table in (audit.attacks, limited):
        for row in table[table["metric"].isin(METRICS)].itertuples(index=False):
            size = getattr(row, "num_shadow", 0 if row.attack in WITHOUT_SHADOW_MODELS else "all")
            triple = row.value, row.ci_low, row.ci_high
            counts = row.num_targets, row.num_members, row.num_nonmembers
            who = shadows.about.name, len(shadows), row.attack, size, row.population
            measured.append((*who, row.metric, *triple, *counts, seed, row.note))
    return measured


def draw(table: Iterable[Mapping]) -> Figure:
    """Draws AUROC and TPR at 0.1% FPR of one record, by attack and population."""
    table = list(table)
    labels = style.attack_styles(row["attack"] for row in table)
    names = {}
    for row in sorted(
        table, key=lambda row: (row["num_shadow"] == "all", row["num_shadow"] or 0, row["attack"] != "yeom")
    ):
        models = {0: "", "all": ", all models"}.get(row["num_shadow"], f", {row['num_shadow']} models")
        names[row["attack"], row["num_shadow"]] = labels[row["attack"]].label + models.replace("1 models", "1 model")
    populations = dict.fromkeys(row["population"] for row in table if row["population"] != "over")
    series = {name: (f"{name} examples", style.group_style(place)) for place, name in enumerate(populations)}

    def values(metric: str) -> dict:
        return {
            ((row["attack"], row["num_shadow"]), row["population"]): (row["value"], row["ci_low"], row["ci_high"])
            for row in table
            if row["metric"] == metric and row["population"] in populations
        }

    words = f"{table[0]['dataset']}, {table[0]['num_models']} models; grey: random guess. 95% intervals."
    return rates.draw(names, series, values, 3.8, words)


def main() -> None:
    """Attacks every LOGDIR."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--logdirs", type=commands.folder, nargs="+", required=True, help="runs of pictures")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap and the random units")
    parser.add_argument("--out", type=commands.folder_to_write, default=OUT, help="folder of the CSV and the figures")
    options = parser.parse_args()
    records = [mia_tf.ShadowModels.open(folder, argument="logdirs") for folder in options.logdirs]
    for folder, shadows in zip(options.logdirs, records, strict=True):
        check(part_of("logdirs", str(folder)), "no pictures", shadows.x is not None, "must hold x_train.npy")
    by_record = {shadows.about.name: rows(shadows, options.seed) for shadows in records}
    rates.write("sees_x", COLUMNS, by_record, draw, options.out)


if __name__ == "__main__":
    commands.run(main)
