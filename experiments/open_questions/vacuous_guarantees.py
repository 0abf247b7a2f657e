"""LiRA's second open question: what do vacuous guarantees of differential privacy (DP) do against a strong attack?

    python -m experiments.open_questions.vacuous_guarantees --runs runs/frontier --data_dir DATA

Trains what is missing of seven runs, which share examples, subsets, seeds, network and all settings but the noise:
without DP, with clipped gradients and no noise, and at five values of epsilon from 3 to a million. 16 models each.
Then three runs of ONE model, trained on examples that fair coins chose, for the lower bound on epsilon from one run:
without DP, and at the noise multipliers 0.3 and 1.3. Without --data_dir it analyzes the runs that are complete.
Without DP the mean gradient of a step is still limited to norm 1, as by default: else training diverges at this rate.
Writes the page vacuous_guarantees.md, its figure and the two CSVs with its numbers into
experiments/results/open_questions.
Cost: about 25 s of one core per private model, 10 s without DP; 50 minutes for all, and five for the single models.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import mia_tf
from experiments import commands
from experiments.open_questions import vacuous_page
from mia_tf.analysis.comparisons import difference
from mia_tf.analysis.dp_comparison import Comparison
from mia_tf.analysis.result import Audit
from mia_tf.analysis.statistics import CONFIDENCE
from mia_tf.analysis.tables import write_rows
from mia_tf.attacks.lira import recommended_online
from mia_tf.figures import style
from mia_tf.files import replacing
from mia_tf.shadow.signals import loss, phi
from mia_tf.store import Store
from mia_tf.validation import check

OUT = Path(__file__).parent.parent / "results" / "open_questions"
FLAGS = Path(__file__).parent.parent.parent / "flags"
COMMON = (
    *("--dataset=mnist_svhn", "--num_over=3000", "--num_under=150", "--num_experiments=16", "--pkeep=0.5"),
    *("--arch=cnn8-3-max", "--epochs=20", "--batch=64", "--lr=0.2", "--seed=0"),
)
"""Of every point. With pkeep=0.5 each side of an example has 8 of the 16 models, and training costs least."""
DP = ("--dp", "--delta=1e-5", "--l2_norm_clip=1.0", "--sampling=poisson")
POINTS: dict[str, tuple[str, ...]] = {
    "none": (),
    "clip": (*DP, "--noise_multiplier=0"),
    **{epsilon: (*DP, f"--target_epsilon={epsilon}") for epsilon in ("1e6", "1e4", "100", "10", "3")},
}
"""Folder of a point -> its flags besides COMMON."""
COINS = ("--num_experiments=2", "--expid=0", "--subsets=bernoulli", "--pkeep=0.5", "--seed=1")
"""One model; a LOGDIR is planned for two at least."""
PRIVATE = (
    *("--dataset=mnist_svhn", "--num_over=20000", "--num_under=1000", "--arch=cnn8-3-max", *DP),
    *("--epochs=16", "--batch=512", "--lr=0.5"),
)
"""flags/dp_mnist_svhn_cpu.flags, whose noise follows from a target epsilon."""
ONE_RUN: dict[str, tuple[str, ...]] = {
    "one_run_none": (f"--flagfile={FLAGS / 'dp_mnist_svhn_cpu_plain.flags'}", *COINS),
    **{f"one_run_{noise}": (*PRIVATE, *COINS, f"--noise_multiplier={noise}") for noise in ("0.3", "1.3")},
}
"""Folder of a run of one model -> its flags."""
DELTA = 1e-5
BESIDE_LIRA = ("yeom", "rmia")
"""The attacks, besides the LiRA variant that the number of models recommends."""
METRICS = ("auroc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001", "tpr_at_fpr_0.001_per_target")
COLUMNS = (
    *("dataset", "num_models", "point", "noise_multiplier", "epsilon_rdp", "epsilon_pld", "delta"),
    *("quantity", "of", "population", "metric", "value", "ci_low", "ci_high"),
    *("minus_none", "minus_none_low", "minus_none_high", "minus_clip", "minus_clip_low", "minus_clip_high"),
    *("num_members", "num_nonmembers", "seed", "note"),
)
ONE_RUN_COLUMNS = (
    *("dataset", "num_examples", "point", "noise_multiplier", "epsilon_rdp", "epsilon_pld", "delta"),
    *("population", "epsilon_lower", "confidence", "num_members", "num_nonmembers", "seed", "note"),
)
_NOTHING = (np.nan,) * 3


def train(runs: Path, data_dir: Path, options: Iterable[str]) -> None:
    """Trains the models that are missing, point by point.

    Raises:
        CalledProcessError: a command failed; it said why.
    """
    for name, flags in {**{name: (*COMMON, *flags) for name, flags in POINTS.items()}, **ONE_RUN}.items():
        where = (f"--data_dir={data_dir}", f"--logdir={runs / name}")
        subprocess.run([sys.executable, "-m", "mia_tf.train", *flags, *options, *where], check=True)


def complete(runs: Path, names: Iterable[str]) -> list[str]:
    """The runs that have all their models: a single one, or as many as are planned."""
    return [name for name in names if (runs / name).is_dir() and _is_complete(name, Store(runs / name))]


def _is_complete(name: str, store: Store) -> bool:
    return len(store.completed()) == (1 if name in ONE_RUN else store.config().get("num_experiments"))


def compared(runs: Path, names: list[str], seed: int) -> Comparison:
    """Compares the points; the first was trained without DP."""
    models = len(mia_tf.ShadowModels.open(runs / names[0]))
    attacks = (*BESIDE_LIRA, recommended_online(models))
    return mia_tf.compare([runs / name for name in names], labels=names, attacks=attacks, seed=seed)


def rows(comparison: Comparison) -> Iterable[tuple]:
    """Rows of the CSV: accuracy, memorization, attacks and lower bounds on epsilon of every point."""
    noise = comparison.runs.set_index("run")["noise_multiplier"]
    for point, audit in comparison.audits.items():
        upper = comparison.upper_bounds.get(point, {})
        epsilons = upper.get("rdp", np.nan), upper.get("pld", np.nan)
        about = audit.about["name"], audit.num_models, point, noise[point], *epsilons, DELTA
        for of, triple, minus, (members, nonmembers, note) in _measurements(comparison, point, audit):
            yield (*about, *of, *triple, *minus, members, nonmembers, audit.about["seed"], note)


def _measurements(comparison: Comparison, point: str, audit: Audit) -> Iterable[tuple[tuple, tuple, tuple, tuple]]:
    """Of one point: what was measured, its value and interval, what it is less than other points, and of how many."""
    unpaired, no_pairs = (*_NOTHING, *_NOTHING), (None, None, "")
    for line in audit.accuracy.itertuples(index=False):
        triple = line.mean, line.ci_low, line.ci_high
        yield ("accuracy", line.split, line.group, "mean"), triple, unpaired, no_pairs
    for line in comparison.memorization[comparison.memorization["run"] == point].itertuples(index=False):
        triple = line.mean, line.ci_low, line.ci_high
        less = line.minus_plain, line.minus_plain_low, line.minus_plain_high, *_NOTHING
        yield ("memorization", "", line.group, "mean"), triple, less, (None, None, line.note)
    others = comparison.plain, comparison.audits.get("clip")
    for line in audit.attacks[audit.attacks["metric"].isin(METRICS)].itertuples(index=False):
        of = line.attack, line.population, line.metric
        less = tuple(value for other in others for value in _minus(audit, other, *of))
        pairs = line.num_members, line.num_nonmembers, line.note
        yield ("attack", *of), (line.value, line.ci_low, line.ci_high), less, pairs
    for line in audit.epsilon.itertuples(index=False):
        of, pairs = (
            ("epsilon_lower", line.attack, line.population, ""),
            (line.num_members, line.num_nonmembers, line.note),
        )
        yield of, (line.epsilon_lower, np.nan, np.nan), unpaired, pairs


def _minus(audit, other, attack: str, population: str, metric: str) -> tuple[float, float, float]:
    """A metric less the same of another point, with its paired interval; NaN for the point itself."""
    if other is None or other is audit or metric not in audit.evaluations[attack, population].offsets:
        return _NOTHING
    return difference(audit.evaluations[attack, population], other.evaluations[attack, population], metric)


def one_run_rows(runs: Path, names: Iterable[str], seed: int) -> Iterable[tuple]:
    """Rows of the CSV of single models: a lower bound beside the accountants' upper bounds.

    The score of an example is minus its loss (Yeom), the one of the attacks that one model alone allows.
    """
    for name in names:
        shadows = mia_tf.ShadowModels.open(runs / name)
        (model,) = shadows.models
        hparams = model.hparams()
        upper = [np.inf if (bound := hparams.get(key)) is None else bound for key in ("epsilon_rdp", "epsilon_pld")]
        point, noise = name.removeprefix("one_run_"), hparams.get("noise_multiplier")
        about = (shadows.about.name, len(shadows.labels), point, noise, *upper, DELTA)
        scores = -loss(phi(shadows.read_logits(0)[:, 0], shadows.labels))
        for population, mask in shadows.populations.items():
            bound = mia_tf.epsilon_one_run(scores[mask], model.member[mask], DELTA, CONFIDENCE, seed)
            pairs = bound.num_members, bound.num_nonmembers
            yield (*about, population, bound.epsilon_lower, CONFIDENCE, *pairs, seed, bound.note)


def main() -> None:
    """Trains what is missing, then measures and draws the points that are complete."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--runs", type=commands.folder_to_write, required=True, help="folder of the runs")
    parser.add_argument("--data_dir", type=commands.folder, help="folder of mnist.npz, svhn.npz; default: train none")
    parser.add_argument("--workers", type=int, help="processes that train at the same time; default by a measurement")
    parser.add_argument("--threads_per_worker", type=int, help="threads of each; default by a measurement")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--out", type=commands.folder_to_write, default=OUT, help="folder of the CSVs and the figure")
    options = parser.parse_args()
    if options.data_dir:
        speed = {name: getattr(options, name) for name in ("workers", "threads_per_worker")}
        train(options.runs, options.data_dir, [f"--{name}={value}" for name, value in speed.items() if value])
    points, single = complete(options.runs, POINTS), complete(options.runs, ONE_RUN)
    enough = points[:1] == ["none"] and len(points) > 1
    check("runs", options.runs, enough, "must hold all models of none and of another point, or give --data_dir")
    missing = {*POINTS, *ONE_RUN}.difference(points, single)
    if missing:
        print(f"not complete, and left out: {', '.join(sorted(missing))}", file=sys.stderr)
    comparison = compared(options.runs, points, options.seed)
    write(comparison, list(one_run_rows(options.runs, single, options.seed)), sorted(missing), options.out)


def write(comparison: Comparison, single: list[tuple], missing: list[str], out: Path) -> None:
    """Writes the CSVs, the figure and the page, and prints their paths."""
    out.mkdir(parents=True, exist_ok=True)
    name = "vacuous_guarantees"
    table = list(rows(comparison))
    print(write_rows(out / f"{name}.csv", COLUMNS, table))
    print(write_rows(out / f"{name}_one_run.csv", ONE_RUN_COLUMNS, single))
    comparison.frontier().savefig(out / f"{name}.png", dpi=150)
    print(out / f"{name}.png")
    attack = comparison.plain.about["recommended"]
    by_column = [dict(zip(COLUMNS, row, strict=True)) for row in table]
    of_one = [dict(zip(ONE_RUN_COLUMNS, row, strict=True)) for row in single]
    label = style.attack_styles([attack])[attack].label
    text = vacuous_page.page(attack, label, by_column, of_one, missing)
    with replacing(out / f"{name}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(out / f"{name}.md")


if __name__ == "__main__":
    commands.run(main)
