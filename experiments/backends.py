"""Whether it matters which engine trains: the reference engine on TensorFlow beside the ensemble engine on JAX.

    python -m experiments.backends [--logdir=runs/backends] [--ensemble_size=8]

Trains and analyzes the 24 models of flags/demo.flags (digits that need no download) four times: with either engine,
without augmentation and with weak augmentation. The seeds are the same, so that the models are pairs with the same
training sets and initial weights; without augmentation they part by rounding alone, with it they see other views.
Differences are of pairs, of models for accuracies and of examples for memorization, with Student's 95% intervals.
About 15 minutes on two CPU cores. Writes experiments/results/backends/backends.csv.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from mia_tf.analysis.memorization import memorization
from mia_tf.analysis.statistics import mean_interval, spearman
from mia_tf.analysis.tables import write_rows
from mia_tf.records import OVER, UNDER
from mia_tf.store import Store

FLAGFILE = Path(__file__).parent.parent / "flags" / "demo.flags"
OUT = Path(__file__).parent / "results" / "backends" / "backends.csv"
ACCURACIES = ("train_accuracy_all", "out_accuracy_over", "out_accuracy_under", "test_accuracy_over")
GROUPS = {"over": OVER, "under": UNDER}
COLUMNS = ("augment", "quantity", "tensorflow", "jax", "difference", "ci_low", "ci_high", "spearman", "pairs")


def train(logdir: Path, backend: str, augment: str, ensemble_size: int) -> Store:
    """The models of one engine."""
    command = [sys.executable, "-m", "mia_tf.train", f"--flagfile={FLAGFILE}", f"--augment={augment}", "--queries=1"]
    command += [f"--logdir={logdir}", *([f"--ensemble_size={ensemble_size}"] if backend == "jax" else [])]
    subprocess.run(command, check=True, env={**os.environ, "KERAS_BACKEND": backend})
    return Store.open(logdir)


def memorized(store: Store) -> np.ndarray:
    """(N,) memorization of every example."""
    models, labels = store.models(), store.examples().labels
    answers = np.stack([model.read_logits()[:, 0].argmax(axis=1) for model in models], axis=1)
    return memorization(answers == labels[:, None], np.stack([model.keep for model in models], axis=1))[0]


def compared(augment: str, stores: dict[str, Store]) -> list[tuple]:
    """The rows of one kind of augmentation."""
    rows = []
    metrics = {name: [model.metrics() for model in store.models()] for name, store in stores.items()}
    for quantity in ACCURACIES:
        values = {name: np.array([found[quantity] for found in metrics[name]]) for name in stores}
        rows.append(_row(augment, quantity, values))
    scores = {name: memorized(store) for name, store in stores.items()}
    groups = stores["jax"].examples().groups
    for group, value in GROUPS.items():
        rows.append(_row(augment, f"memorization_{group}", {name: s[groups == value] for name, s in scores.items()}))
    return rows


def _row(augment: str, quantity: str, values: dict[str, np.ndarray]) -> tuple:
    means = [float(values[name].mean()) for name in ("tensorflow", "jax")]
    difference = mean_interval(values["jax"] - values["tensorflow"])
    correlation, _, pairs = spearman(values["tensorflow"], values["jax"])
    return augment, quantity, *means, *difference, correlation, pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logdir", type=Path, default=Path("runs/backends"))
    parser.add_argument("--ensemble_size", type=int, default=8)
    options = parser.parse_args()
    rows = []
    for augment in ("none", "weak"):
        folders = {name: options.logdir / f"{name}_{augment}" for name in ("tensorflow", "jax")}
        stores = {name: train(folder, name, augment, options.ensemble_size) for name, folder in folders.items()}
        rows += compared(augment, stores)
        for row in rows[-len(ACCURACIES) - len(GROUPS) :]:
            print(*row, flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    write_rows(OUT, COLUMNS, rows)


if __name__ == "__main__":
    main()
