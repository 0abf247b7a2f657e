"""Models per hour of the ensemble engine beside Keras' `model.fit` and the reference engine, in one run on one machine.

    python -m experiments.benchmarks.ensemble_speed [--archs=..] [--sizes=1,4,16,64,256] [--rounds=3] [--out=FOLDER]

cnn32-3 on images of MNIST's shape and resnet18 on CIFAR-10's, batches of 256 in memory. Every measurement has a
process of its own, with the first GPU if there is one, else all cores; rounds go through all methods in turn, and
ratios are taken within a round and a precision, because machines are noisy. A model is one of Choi et al.: 70% of
60,000 + 1,000 (or 50,000 + 1,000) examples, here for 100 epochs, LiRA's number; Choi et al. give none. The limit is the
rate of a large matrix product in the same precision.

- `fit`: one `model.fit` after another, on TensorFlow and on JAX; what is not installed is left out and said.
- `reference`: the reference engine, on TensorFlow, float32.
- `ensemble`: K models at once, on JAX.

float32 is at each library's default, which on recent NVIDIA cards is TF32. Writes ensemble_speed.csv and
convolutions.csv, the formulations of K convolutions by layer, to --out, row by row as they are measured.
"""

import argparse
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

from experiments import commands
from mia_tf.analysis.tables import write_rows

EXAMPLES_OF_A_MODEL = {"cnn32-3-max": round(0.7 * 61_000), "resnet18": round(0.7 * 51_000)}
EPOCHS = 100
PRECISIONS = ("float32", "bfloat16")
WAYS = ("grouped", "patches", "shifted")
GOAL = 10
COLUMNS = (
    "arch", "round", "method", "backend", "models_at_once", "precision", "images_per_second", "models_per_hour",
    "gflops", "share_of_limit", "formulations", "device",
)  # fmt: skip
LAYER_COLUMNS = ("arch", "models_at_once", "batch", "precision", "layer", *(f"{way}_ms" for way in WAYS), "fastest")


def in_own_process(backend: str, *arguments: object) -> dict | None:
    """One measurement in a process of its own; None, and a line that says so, if it failed."""
    what = " ".join(map(str, arguments))
    if importlib.util.find_spec(backend) is None:
        print(f"{what}: left out, {backend} is not installed", flush=True)
        return None
    command = [sys.executable, "-m", "experiments.benchmarks.ensemble_measure", *map(str, arguments)]
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        (*_, reason) = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        print(f"{what} on {backend}: failed: {reason}", flush=True)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def methods(arch: str, sizes: list[int], precisions: list[str], seconds: float) -> list[tuple[dict, str, tuple]]:
    """What is measured: (columns that name it, backend, arguments)."""
    named = []
    for precision in precisions:
        alone = {"models_at_once": 1, "precision": precision}
        for backend in ("tensorflow", "jax"):
            named.append(({"method": "fit", **alone}, backend, ("fit", arch, precision, seconds)))
        if precision == "float32":
            named.append(({"method": "reference", **alone}, "tensorflow", ("reference", arch, seconds)))
        for size in sizes:
            columns = {"method": "ensemble", "models_at_once": size, "precision": precision}
            named.append((columns, "jax", ("ensemble", arch, size, precision, seconds)))
    return named


def measured_rows(arch: str, round_: int, options: argparse.Namespace, peaks: dict[str, dict]):
    """A row for each method of one round, as it is measured."""
    for columns, backend, arguments in methods(arch, options.sizes, options.precisions, options.seconds):
        measured = in_own_process(backend, *arguments)
        if measured is None:
            continue
        speed, limit = measured["images_per_second"], peaks[columns["precision"]]
        rate = speed * measured["flops_per_image"]
        row = {
            "arch": arch,
            "round": round_,
            "backend": backend,
            **columns,
            "images_per_second": round(speed),
            "models_per_hour": round(3600 * speed / (EPOCHS * EXAMPLES_OF_A_MODEL[arch]), 3),
            "gflops": round(rate / 1e9, 1),
            "share_of_limit": round(rate / limit["flops"], 4),
            "formulations": measured.get("formulations", ""),
            "device": limit["device"],
        }
        print(", ".join(f"{name}={value}" for name, value in row.items() if value != ""), flush=True)
        yield row


def ratio_lines(rows: list[dict]) -> list[str]:
    """For each architecture and precision, the ensemble's best against the best of one by one within each round."""
    lines = []
    for arch, precision in dict.fromkeys((row["arch"], row["precision"]) for row in rows):
        ratios = []
        here = [row for row in rows if (row["arch"], row["precision"]) == (arch, precision)]
        for round_ in sorted({row["round"] for row in here}):
            at_once, alone = (
                [r["images_per_second"] for r in here if r["round"] == round_ and (r["method"] == "ensemble") == wanted]
                for wanted in (True, False)
            )
            if at_once and alone:
                ratios.append(max(at_once) / max(alone))
        if ratios:
            by_round = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            lines.append(
                f"{arch}, {precision}: the ensemble trains {statistics.median(ratios):.2f} times the models of the "
                f"fastest one-by-one training (goal on an H200: {GOAL}; rounds: {by_round})"
            )
    return lines


def layer_rows(arch: str, models_at_once: int, batch: int, precision: str):
    """Milliseconds of each formulation of K convolutions, forward and backward, and the fastest, layer by layer."""
    layers = in_own_process("jax", "convolutions", arch, models_at_once, batch, precision) or {}
    for shape, seconds in layers.items():
        times = {f"{way}_ms": round(1000 * seconds[way], 3) if seconds[way] < math.inf else "" for way in WAYS}
        named = {"arch": arch, "models_at_once": models_at_once, "batch": batch, "precision": precision}
        yield {**named, "layer": shape, **times, "fastest": min(seconds, key=seconds.get)}


class Table:
    """A CSV that is written anew, whole, with every row."""

    def __init__(self, folder: Path | None, name: str, columns: tuple[str, ...]):
        self._path, self._columns = folder and folder / name, columns
        self.rows: list[dict] = []

    def add(self, row: dict) -> None:
        self.rows.append(row)
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_rows(self._path, self._columns, ([row[name] for name in self._columns] for row in self.rows))


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--archs", type=lambda text: text.split(","), default=list(EXAMPLES_OF_A_MODEL))
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")], default=[1, 4, 16, 64, 256])
    parser.add_argument("--precisions", type=lambda text: text.split(","), default=list(PRECISIONS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement, at least")
    parser.add_argument("--layers", default="16,256", help="models and images that formulations are measured with")
    parser.add_argument("--out", type=commands.folder_to_write, help="folder for the CSVs")
    options = parser.parse_args()
    for name, known in (("archs", EXAMPLES_OF_A_MODEL), ("precisions", PRECISIONS)):
        for value in getattr(options, name):
            if value not in known:
                parser.error(f"Argument `{name}` must be of {', '.join(known)}. Received: {name}={value}")
    peaks = {precision: in_own_process("jax", "peak", precision, options.seconds) for precision in options.precisions}
    if None in peaks.values():
        raise SystemExit("The limit could not be measured: the benchmark needs JAX (pip install .[jax])")
    for precision, peak in peaks.items():
        print(f"{peak['device']}, {precision}: measured limit {peak['flops'] / 1e9:,.0f} GFLOP/s", flush=True)
    layers, speeds = (
        Table(options.out, name, columns)
        for name, columns in (("convolutions.csv", LAYER_COLUMNS), ("ensemble_speed.csv", COLUMNS))
    )
    for arch in options.archs:
        for precision in options.precisions:
            for row in layer_rows(arch, *map(int, options.layers.split(",")), precision):
                layers.add(row)
    for arch in options.archs:
        for round_ in range(options.rounds):
            for row in measured_rows(arch, round_, options, peaks):
                speeds.add(row)
    print("\n".join(ratio_lines(speeds.rows)))


if __name__ == "__main__":
    commands.run(main)
