"""Whether it matters which engine trains: the reference engine on TensorFlow beside the ensemble engine on JAX.

    python -m experiments.backends [--logdir=runs/backends] [--ensemble_size=8] [--seeds=0,1]

Trains 24 models of flags/demo.flags with either engine, and again with each other seed. They have 2,000 and 200 digits
that need no download, and weak augmentation. So the models are pairs with the same training sets and initial weights,
but they see other views of the images. (Without augmentation they part by rounding alone, which the tests check.)
Differences are of pairs of models, with Student's 95% intervals; the mean memorization of a group has that of Tukey's
pseudo-values, which leave out one pair each. Correlations are over pairs of models, and for memorization over examples.
Writes experiments/results/backends/backends.csv. About ten minutes per seed on two idle cores.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from experiments import commands
from mia_tf.analysis.statistics import mean_interval, spearman
from mia_tf.analysis.tables import write_rows
from mia_tf.records import GROUPS
from mia_tf.shadow import signals
from mia_tf.shadow.memorization import memorization
from mia_tf.shadow.shadow_models import ShadowModels

FLAGFILE = Path(__file__).parent.parent / "flags" / "demo.flags"
OUT = Path(__file__).parent / "results" / "backends" / "backends.csv"
SIZE = ("--num_over=2000", "--num_under=200", "--num_experiments=24")
ACCURACIES = ("train_accuracy_all", "out_accuracy_over", "out_accuracy_under", "test_accuracy_over")
BACKENDS = ("tensorflow", "jax")
COLUMNS = ("seed", "quantity", "tensorflow", "jax", "difference", "ci_low", "ci_high", "spearman", "pairs")


def train(logdir: Path, backend: str, seed: int, ensemble_size: int) -> ShadowModels:
    """The models of one engine and seed."""
    command = [sys.executable, "-m", "mia_tf.train", f"--flagfile={FLAGFILE}", *SIZE, "--augment=weak", "--queries=1"]
    command += [
        f"--seed={seed}",
        f"--logdir={logdir}",
        *([f"--ensemble_size={ensemble_size}"] if backend == "jax" else []),
    ]
    subprocess.run(command, check=True, env={**os.environ, "KERAS_BACKEND": backend})
    return ShadowModels.open(logdir)


def answers(shadows: ShadowModels) -> tuple[np.ndarray, np.ndarray]:
    """(N, M) bool each: whether a model has an example right, and whether it trained on it."""
    correct = [signals.correct(shadows.read_logits(k)[:, 0], shadows.labels) for k in range(len(shadows))]
    return np.stack(correct, axis=1), shadows.members.T


def pseudo_values(correct: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """(M,) Tukey's pseudo-values of the mean memorization: M times it less (M - 1) times it without one."""
    count = correct.shape[1]
    without = [np.nanmean(memorization(*(np.delete(a, m, axis=1) for a in (correct, keep)))[0]) for m in range(count)]
    return count * np.nanmean(memorization(correct, keep)[0]) - (count - 1) * np.array(without)


def compared(trained: dict[str, ShadowModels]) -> list[tuple]:
    """The rows of one seed, of the models of either engine."""
    rows = []
    metrics = {name: [model.metrics() for model in shadows.models] for name, shadows in trained.items()}
    for quantity in ACCURACIES:
        values = [np.array([record[quantity] for record in metrics[name]]) for name in BACKENDS]
        rows.append(_row(quantity, values, values))
    correct = [answers(trained[name]) for name in BACKENDS]
    for group in GROUPS:
        mask = trained["jax"].populations[group]
        here = [[each[mask] for each in pair] for pair in correct]
        scores = [memorization(*pair)[0] for pair in here]
        rows.append(_row(f"memorization_{group}", [pseudo_values(*pair) for pair in here], scores))
    return rows


def _row(quantity: str, values: list[np.ndarray], correlated: list[np.ndarray]) -> tuple:
    """One row, of what either engine gives for each model, and of what is correlated."""
    means = [float(each.mean()) for each in values]
    difference = mean_interval(values[1] - values[0])
    correlation, _, pairs = spearman(*correlated)
    return quantity, *means, *difference, correlation, pairs


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--logdir", type=commands.folder_to_write, default=Path("runs/backends"))
    parser.add_argument("--ensemble_size", type=int, default=8)
    parser.add_argument("--seeds", default="0,1")
    options = parser.parse_args()
    rows = []
    for seed in map(int, options.seeds.split(",")):
        folder = options.logdir / f"seed{seed}"
        trained = {name: train(folder / name, name, seed, options.ensemble_size) for name in BACKENDS}
        rows += [(seed, *row) for row in compared(trained)]
    for row in rows:
        print(*row)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    write_rows(OUT, COLUMNS, rows)


if __name__ == "__main__":
    commands.run(main)
