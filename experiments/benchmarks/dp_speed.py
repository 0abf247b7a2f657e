"""Speed and memory of a DP-SGD step beside a plain one, TF-Privacy's DPModel and Opacus, in one run on this machine.

    python -m experiments.benchmarks.dp_speed [--rounds=3] [--seconds=6] [--opacus_python=PATH] [--out=FOLDER]

The same networks, batches of 256 images of 28x28x1 in memory, SGD with momentum, clip 1 and noise 1.3. Each
measurement has a process of its own; rounds alternate between the methods and ratios are taken within a round, because
the machine is noisy. All have the same threads, one per core: as one process, and the two engines also as training has
them, one process of one thread a core, each with its own models.

- `plain` is the reference engine without any clipping, `dp` the private engine.
- `dpmodel` is TF-Privacy's DPModel (tf_keras) with its default of one example a microbatch, with and without XLA. Its
  faster way needs every trainable layer in its layer registry, which has no convolution: it does not apply here.
- `opacus_hooks` is Opacus' default, `opacus_ghost` its fast gradient clipping (which has no norms of its own for a
  convolution and so computes every gradient); `pytorch` the same network without Opacus. They need a Python of
  their own, since Opacus wants another NumPy:
      python3.11 -m venv opacus && opacus/bin/pip install torch opacus
  with PyTorch's build for CPUs, which gave torch 2.13.0+cpu and Opacus 1.6.0 in 1.1 GB. Without --opacus_python they
  are left out.

Memory is the most the process held, TensorFlow and the images included, by --microbatch of the private engine.
Writes dp_speed.csv and dp_memory.csv to --out.
"""

import csv
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import joblib

from experiments import commands
from mia_tf.config import PrivacyConfig

ARCHITECTURES = ("cnn8-3-max", "cnn32-3-max")
MICROBATCH = PrivacyConfig(noise_multiplier=1.0).microbatch
MICROBATCHES = (16, 32, 64, 128, 256)
OURS, TF_PRIVACY, PYTORCH = ("plain", "dp"), ("dpmodel", "dpmodel_xla"), ("pytorch", "opacus_hooks", "opacus_ghost")
GOALS = (
    ("a DP step costs {:.2f} plain steps (goal: at most 2.5)", "dp", ("plain",)),
    ("the DP step is {:.2f} times as fast as the faster DPModel (goal: at least 4)", "dp", TF_PRIVACY),
    ("the DP step is {:.2f} times as fast as the faster Opacus (goal: at least 2)", "dp", PYTORCH[1:]),
)


def speed_and_memory(
    python: str, method: str, arch: str, processes: int, threads: int, seconds: float, microbatch: int
) -> tuple[float, int]:
    """Images per second of all processes together, which start when all are ready; the largest one's MiB."""
    arguments = [python, "-m", "experiments.benchmarks.dp_measure", method, arch, threads, seconds, microbatch]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    if method in TF_PRIVACY:
        environment["TF_USE_LEGACY_KERAS"] = "1"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen([*map(str, arguments)], env=environment, **pipes) for _ in range(processes)]
    for process in running:
        process.stdout.readline()
    for process in running:
        if process.poll() is None:
            process.stdin.write("\n")
            process.stdin.flush()
    results = []
    for process in running:
        output, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{method} of {arch} failed:\n{errors}")
        results.append(json.loads(output))
    return sum(each["images_per_second"] for each in results), max(each["peak_mib"] for each in results)


def faster(speeds: dict[str, float], methods: tuple[str, ...]) -> float | None:
    """The highest speed of those methods that were measured."""
    return max((speeds[method] for method in methods if method in speeds), default=None)


def goal_lines(arch: str, rounds: list[dict[str, float]], form: str) -> list[str]:
    """What is asked of the private engine, as medians with the rounds they are of.

    Args:
        arch: the network.
        rounds: of each round, method -> images per second.
        form: how the processes were laid out.
    """
    lines = []
    for words, method, others in GOALS:
        pairs = [(speeds[method], faster(speeds, others)) for speeds in rounds]
        if any(other is None for _, other in pairs):
            continue
        ratios = [other / speed if others == ("plain",) else speed / other for speed, other in pairs]
        by_round = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        lines.append(f"{arch}, {form}: {words.format(statistics.median(ratios))}; rounds: {by_round}")
    return lines


def write(path: Path, rows: list[dict]) -> None:
    """Writes a CSV of equal rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--microbatch", type=int, default=MICROBATCH, help="of the private engine, for the speeds")
    parser.add_argument("--opacus_python", help="a Python that has torch and opacus")
    parser.add_argument("--out", type=commands.folder_to_write, help="folder for the CSVs")
    options = parser.parse_args()
    cores = joblib.cpu_count()
    print(f"{cores} cores", flush=True)
    if not options.opacus_python:
        print("Opacus and PyTorch are left out: --opacus_python names no Python that has them")
    one, many = f"one process of {cores} threads", f"{cores} processes of one thread"
    plan = [(method, one, 1, cores) for method in (*OURS, *TF_PRIVACY)]
    plan += [(method, one, 1, cores) for method in PYTORCH if options.opacus_python]
    plan += [(method, many, cores, 1) for method in OURS]
    rows, memory = [], []
    for arch in ARCHITECTURES:
        rounds = {one: [], many: []}
        for round_ in range(options.rounds):
            speeds = {one: {}, many: {}}
            for method, form, processes, threads in plan:
                python = options.opacus_python if method in PYTORCH else sys.executable
                how = processes, threads, options.seconds, options.microbatch
                speed, peak = speed_and_memory(python, method, arch, *how)
                speeds[form][method] = speed
                row = {"arch": arch, "round": round_, "method": method, "processes": processes, "threads": threads}
                row |= {"images_per_second": round(speed), "plain_steps": round(speeds[form]["plain"] / speed, 3)}
                rows.append({**row, "peak_mib": peak})
                print(rows[-1], flush=True)
            for form, speed_of in speeds.items():
                rounds[form].append(speed_of)
        print(
            "\n".join(line for form, speeds in rounds.items() for line in goal_lines(arch, speeds, form)),
            flush=True,
        )
        for microbatch in MICROBATCHES:
            speed, peak = speed_and_memory(sys.executable, "dp", arch, 1, cores, options.seconds, microbatch)
            measured = {"images_per_second": round(speed), "peak_mib": peak}
            memory.append({"arch": arch, "microbatch": microbatch, **measured})
            print(memory[-1], flush=True)
    if options.out:
        write(options.out / "dp_speed.csv", rows)
        write(options.out / "dp_memory.csv", memory)


if __name__ == "__main__":
    commands.run(main)
