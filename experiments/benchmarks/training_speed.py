"""Training speed of the reference engine beside Keras' `model.fit`, in one run on this machine.

    python -m experiments.benchmarks.training_speed [--rounds=3] [--seconds=6] [--torch_python=PYTHON]

Both train the same Keras network on the same images in memory with batch 256 and SGD with
momentum; `model.fit` has all cores and is tried with and without XLA, ours has the workers and
threads that `mia_tf.train` would measure to be the fastest. Rounds alternate between the two and
the ratio is taken within a round, because the machine is noisy. The limit is TensorFlow's rate of a
large float32 matrix product on all cores. With --torch_python, a Python that has PyTorch, its own loop on the same
network (torch_peer.py) is a third peer. Writes training_speed.csv to the folder of --out.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np

from experiments import commands
from mia_tf.config import ExperimentConfig, TrainingConfig
from mia_tf.records import Dataset
from mia_tf.store import Store

ARCHITECTURES = ("cnn8-3-max", "cnn32-3-max")
BATCH = 256
SHAPE = (28, 28, 1)


def random_dataset(count: int = 5120, shape: tuple[int, int, int] = SHAPE) -> Dataset:
    """Images of noise: what they show does not change how long a step takes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    labels = np.arange(count) % 10
    zeros = np.zeros(count, np.uint8)
    ids = np.array([str(i) for i in range(count)])
    return Dataset("noise", images, labels, zeros, ids, images[:0], labels[:0], zeros[:0], 10)


def flops_per_image(arch: str, shape: tuple[int, int, int] = SHAPE) -> float:
    """Floating-point operations of training on one image: forward, and twice that backward."""
    from mia_tf import models

    total = 0
    for layer in models.build(arch, shape, 10, seed=0).layers:
        if hasattr(layer, "kernel"):
            positions = int(np.prod(layer.output.shape[1:-1]))
            total += 2 * int(np.prod(layer.kernel.shape)) * positions
    return 3.0 * total


def measure_fit(arch: str, xla: bool, seconds: float) -> float:
    """Images per second of `model.fit` on all cores."""
    import keras

    from mia_tf import models

    data = random_dataset()
    model = models.build(arch, SHAPE, 10, seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), loss, jit_compile=xla)
    images = (data.images / 127.5 - 1).astype(np.float32)
    model.fit(images[: 4 * BATCH], data.labels[: 4 * BATCH], batch_size=BATCH, verbose=0)
    part = images[: 5 * BATCH] if arch != ARCHITECTURES[0] else images
    seen, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        model.fit(part, data.labels[: len(part)], batch_size=BATCH, verbose=0)
        seen += len(part)
    return seen / (time.perf_counter() - started)


def measure_peak(seconds: float) -> float:
    """Floating-point operations per second of TensorFlow's float32 matrix product on all cores."""
    import tensorflow as tf

    side = 4096
    a = tf.random.stateless_normal((side, side), seed=(0, 0))
    tf.matmul(a, a).numpy()
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        tf.matmul(a, a).numpy()
        done += 1
    return 2 * side**3 * done / (time.perf_counter() - started)


def in_process(*arguments: object) -> float:
    """Runs one measurement in a process of its own, so that none disturbs another."""
    command = [sys.executable, "-m", "experiments.benchmarks.training_speed", "--measure", *map(str, arguments)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def measure_torch(python: str, arch: str, seconds: float) -> float:
    """Images per second of PyTorch's own loop on all cores."""
    command = [python, str(Path(__file__).with_name("torch_peer.py")), arch, str(BATCH), str(seconds)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--out", type=commands.folder_to_write, help="folder for the CSV")
    parser.add_argument("--torch_python", help="a Python that has PyTorch, which is then measured too")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, *rest = options.measure
        measured = {
            "fit": lambda: measure_fit(rest[0], rest[1] == "True", float(rest[2])),
            "flops": lambda: flops_per_image(rest[0]),
            "peak": lambda: measure_peak(float(rest[0])),
        }
        print(json.dumps(measured[what]()))
        return

    from mia_tf.training.executors.sharing import measure_workers

    cores = joblib.cpu_count()
    peak = in_process("peak", options.seconds)
    print(f"{cores} cores, measured limit {peak / 1e9:.0f} GFLOP/s\n", flush=True)
    rows = []
    for arch in ARCHITECTURES:
        flops = in_process("flops", arch)
        training = TrainingConfig(arch=arch, batch=BATCH, augment="none", queries=1)
        config = ExperimentConfig(training=training)
        with tempfile.TemporaryDirectory() as folder:
            store = Store.create(folder, config.to_dict(), random_dataset)
            for round_ in range(options.rounds):
                fit = {xla: in_process("fit", arch, xla, options.seconds) for xla in (False, True)}
                torch = {}
                if options.torch_python:
                    torch["torch_images_per_second"] = round(measure_torch(options.torch_python, arch, options.seconds))
                speeds = measure_workers(store, config, cores, options.seconds)
                workers, threads = max(speeds, key=speeds.get)
                rows.append(
                    {
                        "arch": arch,
                        "round": round_,
                        "fit_images_per_second": round(fit[False]),
                        "fit_xla_images_per_second": round(fit[True]),
                        **torch,
                        "ours_images_per_second": round(speeds[workers, threads]),
                        "workers": workers,
                        "threads_per_worker": threads,
                        "ratio": round(speeds[workers, threads] / max(*fit.values(), *torch.values()), 3),
                        "ours_gflops": round(speeds[workers, threads] * flops / 1e9),
                        "share_of_limit": round(speeds[workers, threads] * flops / peak, 3),
                    }
                )
                print(rows[-1], flush=True)
        ratios = [row["ratio"] for row in rows if row["arch"] == arch]
        print(f"{arch}: {statistics.median(ratios):.2f} times the fastest other (rounds: {ratios})\n", flush=True)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        with open(options.out / "training_speed.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    commands.run(main)
