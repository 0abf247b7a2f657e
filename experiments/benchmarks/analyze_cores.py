"""How much faster an analysis is on several cores: the seconds of each of its steps on one core and on all.

    python -m experiments.benchmarks.analyze_cores                                   some minutes on two cores
    python -m experiments.benchmarks.analyze_cores --models=2000 --examples=16000    16 minutes on two cores
    python -m experiments.benchmarks.analyze_cores --logdir=runs/mnist_svhn          of this LOGDIR

Without --logdir it fabricates one: random answers of 10 classes, and pictures of 28x28 of noise. An analysis has every
attack that the record allows. One core is that to which the system confines the process; all are those it may have.
Nothing else should run meanwhile. The processor time of the second run shows what sharing the caches costs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from experiments import commands
from experiments.benchmarks.leave_one_out import fabricate
from mia_tf.analysis.study import audit
from mia_tf.shadow.shadow_models import ShadowModels

PICTURES = (28, 28, 1)
_REST = "all the rest"


def seconds_of_steps(logdir: Path) -> dict[str, tuple[float, float]]:
    """What an audit shows progress of -> its seconds by the clock and of the processor; and of all the rest."""
    steps: dict[str, tuple[float, float]] = {}
    started = _now()

    def timed(doing: str, work: Iterable, _: int) -> Iterator:
        before = _now()
        yield from work
        steps[doing] = _since(before)

    audit(ShadowModels.open(logdir), progress=timed, scratch=logdir)
    whole = _since(started)
    clock, processor = (whole[k] - sum(step[k] for step in steps.values()) for k in (0, 1))
    return {**steps, _REST: (clock, processor), "whole": whole}


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(before: tuple[float, float]) -> tuple[float, float]:
    clock, processor = _now()
    return clock - before[0], processor - before[1]


def measure(logdir: Path, cores: set[int]) -> dict[str, tuple[float, float]]:
    """`seconds_of_steps` in a process of its own that has these cores alone."""
    command = [sys.executable, "-m", "experiments.benchmarks.analyze_cores", f"--steps_of={logdir}"]
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # which the process inherits
    try:
        child = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    finally:
        os.sched_setaffinity(0, allowed)
    return json.loads(child.stdout)


def print_comparison(logdir: Path) -> None:
    """Prints a table of both runs."""
    cores = sorted(os.sched_getaffinity(0))
    for path in logdir.rglob("*.npy"):
        path.read_bytes()  # else the first run alone would wait for the disk
    one = measure(logdir, set(cores[:1]))
    print(f"one core done: {one['whole'][0]:.1f} s", file=sys.stderr, flush=True)
    several = measure(logdir, set(cores))
    headings = ("one core", f"{len(cores)} cores", "times faster", "processor")
    print(f"{'seconds':<32}" + "".join(f"{heading:>14}" for heading in headings))
    for name, (clock, _) in one.items():
        faster, processor = several[name]
        print(f"{name:<32}{clock:>14.1f}{faster:>14.1f}{clock / faster:>14.2f}{processor:>14.1f}")


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--models", type=int, default=256)
    parser.add_argument("--examples", type=int, default=16_000)
    parser.add_argument("--logdir", type=commands.folder, help="measure this one, and fabricate none")
    parser.add_argument("--scratch", type=commands.folder_to_write, help="folder for the fabricated LOGDIR")
    parser.add_argument("--steps_of", type=Path, help=argparse.SUPPRESS)  # one of the processes of `measure`
    options = parser.parse_args()
    if options.steps_of:
        print(json.dumps(seconds_of_steps(options.steps_of)))
        return
    if options.logdir:
        print_comparison(options.logdir)
        return
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        fabricate(Path(folder) / "logdir", options.models, options.examples, queries=1, pictures=PICTURES)
        print_comparison(Path(folder) / "logdir")


if __name__ == "__main__":
    commands.run(main)
