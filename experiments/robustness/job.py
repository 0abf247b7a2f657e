"""Small training runs to disturb, and the checks that a disturbed run must pass."""

import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mia_tf.store import Store

NUM_MODELS = 12
_SECONDS = 600.0
_TASK = '''
import time

import numpy as np

import mia_tf

rng = np.random.default_rng(0)
x = rng.normal(size=(4000, 8))
y = np.searchsorted([-0.5, 0.5], x[:, 0])


def train_and_predict(rows, seed):
    """Distances to the means of the classes, with noise by which models differ."""
    means = np.array([x[rows][y[rows] == label].mean(axis=0) for label in range(3)])
    time.sleep(0.02)
    distances = ((x[:, None] - means) ** 2).sum(axis=2)
    return 1e-2 * np.random.default_rng(seed).normal(size=distances.shape) - distances


task = mia_tf.Task(train_and_predict, labels=y)
'''
"""A user's file. A model takes some hundredths of a second, so most of a run is starting, writing and renaming."""
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}|\.scratch-.+|\.new-.+")


@dataclass(frozen=True)
class Job:
    """A training command without its --logdir.

    Attributes:
        arguments: of `python -m mia_tf.train`.
        environment: variables besides those of this process.
    """

    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, logdir: Path, log: Path) -> subprocess.Popen:
        """Starts the command in a process group of its own; what it prints is appended to `log`."""
        return start("mia_tf.train", (*self.arguments, f"--logdir={logdir}"), log, self.environment)


def task_job(folder: Path) -> Job:
    """A user's own task on NumPy, whose file goes into `folder`: about a second of processor time, mostly imports."""
    path = folder / "nearest_mean.py"
    path.write_text(_TASK)
    return Job((f"--task={path}:task", f"--num_experiments={NUM_MODELS}", "--workers=2"))


def network_job(num_models: int = NUM_MODELS, epochs: int = 10) -> Job:
    """The smallest built-in network on embedded digits, on TensorFlow: on JAX equal runs are equal to rounding only."""
    sizes = ("--num_over=200", "--num_under=40", "--arch=cnn2-1-max", "--batch=8", "--augment=none")
    data = ("--dataset=mnist_svhn", "--data_source=embedded", f"--num_experiments={num_models}", f"--epochs={epochs}")
    return Job((*data, *sizes, "--workers=2", "--threads_per_worker=1"), {"KERAS_BACKEND": "tensorflow"})


def start(
    module: str, arguments: Sequence[str], log: Path, environment: dict[str, str] | None = None
) -> subprocess.Popen:
    """Starts a command in a process group of its own; what it prints is appended to `log`."""
    with open(log, "ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip


def finish(process: subprocess.Popen, log: Path) -> int:
    """Waits for a command; returns its exit code, which must be 0, 1 or 2, without a traceback in `log`."""
    code = process.wait(timeout=_SECONDS)
    check_log(log)
    if code not in (0, 1, 2):
        raise AssertionError(f"exit code {code}: {log.read_text()[-2000:]}")
    return code


def check_log(log: Path) -> None:
    """Raises AssertionError if a command printed a traceback."""
    if "Traceback" in (text := log.read_text()):
        raise AssertionError(text[-4000:])


def contents(logdir: Path) -> dict[int, bytes]:
    """Model -> the bytes of its logits and its membership, of every model that is present."""
    models = Store(logdir).models() if (logdir / "config.json").exists() else []
    return {model.index: model.file.read_bytes() + np.packbits(model.keep).tobytes() for model in models}


def check_kept(logdir: Path, earlier: set[int], reference: dict[int, bytes]) -> set[int]:
    """The models that are present; raises AssertionError if an earlier one is lost, or one differs from `reference`."""
    present = contents(logdir)
    if lost := earlier - present.keys():
        raise AssertionError(f"models {sorted(lost)} are lost in {logdir}")
    if differ := [index for index, content in present.items() if content != reference[index]]:
        raise AssertionError(f"models {differ} differ from an undisturbed run in {logdir}")
    return set(present)


def check_ended_well(logdir: Path, reference: dict[int, bytes]) -> None:
    """Raises AssertionError unless all models are there, equal to `reference`, and nothing temporary is left."""
    if contents(logdir) != reference:
        raise AssertionError(f"{logdir} differs from an undisturbed run")
    if left := sorted(left_behind(logdir)):
        raise AssertionError(f"left behind in {logdir}: {', '.join(left)}")


def left_behind(logdir: Path) -> Iterator[str]:
    """The temporary files and folders of a LOGDIR, by their paths in it."""
    for path in logdir.rglob("*"):
        name = str(path.relative_to(logdir))
        if name.startswith(".work/") or _TEMPORARY.fullmatch(path.name):
            yield name


def undisturbed(job: Job, folder: Path) -> tuple[dict[int, bytes], float]:
    """`contents` of a run that nothing disturbs, and the seconds that it takes."""
    started = time.monotonic()
    if finish(job.start(folder / "undisturbed", folder / "undisturbed.log"), folder / "undisturbed.log") != 0:
        raise AssertionError((folder / "undisturbed.log").read_text())
    seconds = time.monotonic() - started
    reference = contents(folder / "undisturbed")
    check_ended_well(folder / "undisturbed", reference)
    return reference, seconds


def write_table(path: Path, columns: tuple[str, ...], table: list[dict]) -> None:
    """Writes rows as a CSV."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
