"""Models per hour of the ensemble engine beside Keras' `model.fit` and the reference engine, in one run on one machine.

    python -m experiments.benchmarks.ensemble_speed [--sizes=1,4,16,64,256] [--rounds=3] [--seconds=6] [--out=FOLDER]

cnn32-3 on images of MNIST's shape and resnet18 on CIFAR-10's, batches of 256 in memory. Every measurement has a
process of its own, with the first GPU where there is one, else all cores; rounds go through all methods in turn, and
ratios are taken within a round, because machines are noisy. A model is one of Choi et al.: 70% of 60,000 + 1,000 (or
50,000 + 1,000) examples, 100 epochs. The limit is the rate of a large matrix product in the same precision.

- `fit`: one `model.fit` after another, on TensorFlow and on JAX; what is not installed is left out and said.
- `reference`: the reference engine, on TensorFlow.
- `ensemble`: K models at once, on JAX; float32 at JAX's default precision (TF32 on recent NVIDIA cards) and bfloat16.

Writes ensemble_speed.csv, and convolutions.csv with the formulations of K convolutions by layer, to --out.
"""

import argparse
import csv
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

EXAMPLES_OF_A_MODEL = {"cnn32-3-max": round(0.7 * 61_000), "resnet18": round(0.7 * 51_000)}
EPOCHS = 100
PRECISIONS = ("float32", "bfloat16")
GOAL = 10


def measure(backend: str, *arguments: object) -> dict | None:
    """One measurement in a process of its own; None, and a line that says so, where it cannot be had."""
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


def methods(arch: str, sizes: list[int], seconds: float) -> list[tuple[dict, str, tuple]]:
    """What is measured: (columns that name it, backend, arguments)."""
    named = [({"method": "fit"}, backend, ("fit", arch, seconds)) for backend in ("tensorflow", "jax")]
    named.append(({"method": "reference"}, "tensorflow", ("reference", arch, seconds)))
    named = [({**name, "models_at_once": 1, "precision": "float32"}, *rest) for name, *rest in named]
    for precision in PRECISIONS:
        for size in sizes:
            columns = {"method": "ensemble", "models_at_once": size, "precision": precision}
            named.append((columns, "jax", ("ensemble", arch, size, precision, seconds)))
    return named


def measured_rows(arch: str, options: argparse.Namespace, peaks: dict[str, dict]) -> list[dict]:
    """A row for each method and round."""
    rows = []
    for round_ in range(options.rounds):
        for columns, backend, arguments in methods(arch, options.sizes, options.seconds):
            found = measure(backend, *arguments)
            if found is None:
                continue
            speed, limit = found["images_per_second"], peaks[columns["precision"]]
            rate = speed * found["flops_per_image"]
            row = {
                "arch": arch,
                "round": round_,
                "backend": backend,
                **columns,
                "images_per_second": round(speed),
                "models_per_hour": round(3600 * speed / (EPOCHS * EXAMPLES_OF_A_MODEL[arch]), 3),
                "gflops": round(rate / 1e9, 1),
                "share_of_limit": round(rate / limit["flops"], 4),
                "formulations": found.get("formulations", ""),
                "device": limit["device"],
            }
            print(", ".join(f"{name}={value}" for name, value in row.items() if value != ""), flush=True)
            rows.append(row)
    return rows


def say_ratios(rows: list[dict]) -> None:
    """The ensemble's best against the best of one by one, within each round."""
    ratios = []
    for round_ in sorted({row["round"] for row in rows}):
        speeds = {"fit": [], "reference": [], "ensemble": []}
        for row in rows:
            if row["round"] == round_:
                speeds[row["method"]].append(row["images_per_second"])
        if speeds["ensemble"] and (alone := speeds["fit"] + speeds["reference"]):
            ratios.append(max(speeds["ensemble"]) / max(alone))
    if ratios:
        told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{rows[0]['arch']}: the ensemble trains {statistics.median(ratios):.2f} times the models of the faster "
              f"one-by-one training (goal on a GPU: {GOAL}; rounds: {told})\n", flush=True)  # fmt: skip


def convolution_rows(options: argparse.Namespace) -> list[dict]:
    """Milliseconds of each formulation of K convolutions, forward and backward, and the fastest."""
    rows = []
    for arch in options.archs:
        for precision in PRECISIONS:
            found = measure("jax", "convolutions", arch, options.sizes[len(options.sizes) // 2], precision) or {}
            for shape, seconds in found.items():
                milliseconds = {name: round(1000 * value, 3) for name, value in seconds.items()}
                size = options.sizes[len(options.sizes) // 2]
                columns = {"arch": arch, "models_at_once": size, "precision": precision, "layer": shape}
                rows.append({**columns, **milliseconds, "fastest": min(seconds, key=seconds.get)})
    return rows


def write(path: Path, rows: list[dict]) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", type=lambda text: text.split(","), default=list(EXAMPLES_OF_A_MODEL))
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")], default=[1, 4, 16, 64, 256])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement, at least")
    parser.add_argument("--out", type=Path, help="folder for the CSVs")
    options = parser.parse_args()
    for arch in options.archs:
        if arch not in EXAMPLES_OF_A_MODEL:
            parser.error(f"Argument `archs` must be of {', '.join(EXAMPLES_OF_A_MODEL)}. Received: archs={arch}")
    peaks = {precision: measure("jax", "peak", precision, options.seconds) for precision in PRECISIONS}
    if None in peaks.values():
        raise SystemExit("The limit could not be measured: the benchmark needs JAX (pip install .[jax])")
    for precision, found in peaks.items():
        print(f"{found['device']}, {precision}: measured limit {found['flops'] / 1e9:,.0f} GFLOP/s", flush=True)
    rows = []
    for arch in options.archs:
        rows += measured_rows(arch, options, peaks)
        say_ratios([row for row in rows if row["arch"] == arch])
    convolutions = convolution_rows(options)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write(options.out / "ensemble_speed.csv", rows)
        write(options.out / "convolutions.csv", convolutions)


if __name__ == "__main__":
    main()
