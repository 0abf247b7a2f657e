"""Seconds and memory that every attack takes, all in one walk over the logits, and how both grow.

    OMP_NUM_THREADS=1 python -m experiments.benchmarks.attacks_speed           about a minute, 25 MB of disk
    OMP_NUM_THREADS=1 python -m experiments.benchmarks.attacks_speed --full    about 5 minutes, 450 MB of disk
    OMP_NUM_THREADS=1 python -m experiments.benchmarks.attacks_speed --caps=runs/mnist_svhn
    OMP_NUM_THREADS=1 python -m experiments.benchmarks.attacks_speed --sklearn=runs/mnist_svhn

Fabricates LOGDIRs of random logits, and times `observe`, `fit` and `score` of every registered attack, or of --attacks.
They run as in an analysis, but in one thread: piece by piece, and with every model a target. The work that attacks
share is timed apart: reading the logits, gathering and fitting them. --full ends at 256 models x 20,000 examples x 2
queries x 10 classes.
Expected there: Shokri's attack takes less than half a minute, and all others together less than one. Seconds grow with
models x examples; Shokri's training, once at its cap on rows, with neither. Memory hardly grows.

--caps measures Shokri's attack on a LOGDIR with several caps on the rows that a network trains on. --sklearn holds
its networks, trained many at once, against scikit-learn's, trained one by one. Expected: at least 5 times faster, and
AUROCs that differ no more than with another seed. Measured with 24 models, means of three seeds: on 2,000 and 200 of
the demo's digits 9 times, 0.862 against 0.859 on the under-represented; on 3,000 MNIST and 250 SVHN digits 10 times,
0.849 against 0.850.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from experiments import commands
from experiments.benchmarks.leave_one_out import fabricate
from mia_tf.analysis.study import audit
from mia_tf.attacks import attack_classes, networks, shokri
from mia_tf.shadow.blocks import Block, Recording
from mia_tf.shadow.concurrency import Run
from mia_tf.shadow.kept import Kept
from mia_tf.shadow.shadow_models import ShadowModels

SIZES = ((32, 2000), (32, 4000), (64, 2000), (64, 4000))
FULL_SIZES = ((128, 10000), (128, 20000), (256, 10000), (256, 20000))
"""Models and examples."""
CAPS = (2500, 5000, 10000)
_SHARED = "reading, logits and fits of phi"


class Clock:
    """Seconds of this process by what they were spent on."""

    def __init__(self):
        self.seconds: dict[str, float] = defaultdict(float)
        self._since = time.process_time()

    def charge(self, name: str) -> None:
        """Charges all time since the last charge to `name`."""
        now = time.process_time()
        self.seconds[name] += now - self._since
        self._since = now


def walk(logdir: Path, names: list[str]) -> dict[str, float]:
    """Seconds by attack of both passes over a LOGDIR."""
    shadows = ShadowModels.open(logdir)
    attacks = {name: attack_classes()[name](len(shadows), np.random.default_rng(0)) for name in names}
    with tempfile.TemporaryDirectory(dir=logdir) as scratch:
        recording, kept = Recording(shadows), Kept(Path(scratch))
        clock = Clock()
        for block, _ in recording.read(kept):
            _pass(block, attacks, "observe", clock)
        for name, attack in attacks.items():
            attack.fit()
            clock.charge(name)
        for block in recording.reread(kept):
            _pass(block, attacks, "score", clock)
    return clock.seconds


def _pass(block: Block, attacks: dict, step: str, clock: Clock) -> None:
    """Shows a block to every attack, piece by piece."""
    for _, piece in block.pieces():
        _ = piece.logits, piece.fits.squares, step == "score" and piece.fits.medians
        clock.charge(_SHARED)
        for name, attack in attacks.items():
            getattr(attack, step)(piece)
            clock.charge(name)


def print_costs(sizes: tuple, names: list[str]) -> None:
    """Prints seconds and peak memory at each size, each in a process of its own."""
    columns = []
    for num_models, num_examples in sizes:
        with tempfile.TemporaryDirectory() as folder:
            fabricate(Path(folder), num_models, num_examples)
            command = [
                sys.executable,
                "-m",
                "experiments.benchmarks.attacks_speed",
                f"--walk={folder}",
                f"--attacks={','.join(names)}",
            ]
            child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            seconds = json.loads(child.stdout.read() or "{}")
            _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"The attacks on {num_models} models x {num_examples} examples failed.")
        columns.append({**seconds, "all together": sum(seconds.values()), "peak memory, MiB": usage.ru_maxrss / 1024})
        print(f"{num_models} models x {num_examples} examples done", file=sys.stderr)
    headings = [f"{models} x {examples}" for models, examples in sizes]
    print(f"{'seconds':<32}" + "".join(f"{heading:>14}" for heading in headings) + "   2x examples  2x models")
    for name in columns[0]:
        values = [column[name] for column in columns]
        growth = values[3] / values[2], values[3] / values[1]
        print(f"{name:<32}" + "".join(f"{value:>14.2f}" for value in values) + "{:>14.2f}{:>11.2f}".format(*growth))


def measure_caps(logdir: Path) -> None:
    """Prints what Shokri's attack gains from more training rows, with 95% intervals, and what they cost."""
    for cap in CAPS:
        shokri.MAX_ROWS = cap
        areas, _ = _attack(logdir)
        print(f"{cap:>6} rows: {areas}", flush=True)


def _attack(logdir: Path, seed: int = 0) -> tuple[str, float]:
    """Shokri's AUROC on every population, as a line to print, and the seconds that training its networks took."""
    clock, fit = Clock(), networks.fit

    def timed(*data):
        clock.charge("other")
        trained = fit(*data)
        clock.charge("training")
        return trained

    networks.fit = timed
    try:
        areas = audit(ShadowModels.open(logdir), attacks=["shokri"], seed=seed).metric("auroc")
    finally:
        networks.fit = fit
    shown = ", ".join(f"{name} {a:.4f} [{low:.4f}, {high:.4f}]" for (_, name), (a, low, high) in areas.items())
    return f"AUROC {shown}; training {clock.seconds['training']:.2f} s", clock.seconds["training"]


def measure_sklearn(logdir: Path) -> None:
    """Prints AUROC and seconds of training with our networks and with scikit-learn's, for three seeds."""
    for seed in range(3):
        ours, seconds = _attack(logdir, seed)
        print(f"seed {seed}, many at once: {ours}", flush=True)
        stacked, networks.fit = networks.fit, fit_one_by_one
        try:
            theirs, slow_seconds = _attack(logdir, seed)
        finally:
            networks.fit = stacked
        print(f"seed {seed}, scikit-learn: {theirs}, {slow_seconds / seconds:.1f} times as long", flush=True)


def fit_one_by_one(
    features: list[np.ndarray], labels: list[np.ndarray], seeds: list[int], _: Run
) -> list[networks.Network]:
    """What `networks.fit` does, by scikit-learn."""
    trained = []
    for rows, label, seed in zip(features, labels, seeds, strict=True):
        network = MLPClassifier((networks.HIDDEN,), max_iter=networks.EPOCHS, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(rows.astype(np.float64), label)
        hidden, output = map(np.vstack, zip(network.coefs_, network.intercepts_, strict=True))
        trained.append(networks.Network(hidden, output[:, 0]))
    return trained


def main() -> None:
    """Runs one of the measurements."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--full", action="store_true", help="up to the real size")
    parser.add_argument("--attacks", help="some only, by name, with commas")
    parser.add_argument("--caps", type=commands.folder, metavar="LOGDIR", help="measure Shokri's cap on this LOGDIR")
    parser.add_argument(
        "--sklearn", type=commands.folder, metavar="LOGDIR", help="hold Shokri's networks against scikit-learn's"
    )
    parser.add_argument("--walk", type=Path, help=argparse.SUPPRESS)  # what each process of its own does
    arguments = parser.parse_args()
    names = arguments.attacks.split(",") if arguments.attacks else list(attack_classes())
    if arguments.caps:
        measure_caps(arguments.caps)
    elif arguments.sklearn:
        measure_sklearn(arguments.sklearn)
    elif arguments.walk:
        print(json.dumps(walk(arguments.walk, names)))
    else:
        print_costs(FULL_SIZES if arguments.full else SIZES, names)


if __name__ == "__main__":
    commands.run(main)
