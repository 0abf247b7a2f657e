"""How fast a KerasTask trains beside the user's own loop, and what a Task costs beside the user's own function.

    python -m experiments.benchmarks.keras_task_speed [--num_models=12] [--out=FOLDER]      about 10 minutes, two cores

- `loop`: seconds per model of `build(); fit(); predict()`, and of the task's own training, in turn in one process.
- `workers`: seconds of `train_shadow_models` with one worker and with two, start of the workers included.
- `overhead`: seconds per model of a Task whose function returns at once: subsets, checks and files.

Expected: a KerasTask takes at most as long as the loop; two workers on two cores at most 1/1.3 of one's time; the
overhead is below 0.05 s. Writes keras_task_speed.csv to --out.
"""

import functools
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

import mia_tf
from experiments import commands
from mia_tf.analysis.tables import write_rows
from mia_tf.task import load_task

OUT = Path("runs/benchmarks")
TASKS = Path(__file__).parent.parent / "audits" / "tasks"
NAMES = ("cancer_mlp", "digits_cnn", "docs_text")
COLUMNS = ("measurement", "task", "backend", "slower", "seconds", "faster", "seconds_of_faster", "ratio", "num_models")


def own_loop(task, rows: np.ndarray, seed: int) -> None:
    """What a user would write without this program."""
    trainer = task.train_and_predict
    keras.utils.set_random_seed(seed)
    model = trainer.__wrapped__()
    config, x, y = trainer.config, trainer.x, trainer.targets
    model.fit(x[rows], y[rows], batch_size=config.batch_size, epochs=config.epochs, verbose=0)
    model.predict(x, verbose=0)


def seconds_of(function) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def loop_row(name: str, num_models: int) -> tuple:
    """The user's loop and the task, in turn; the first model of each, which compiles, does not count for the task."""
    task = load_task(f"{TASKS / name}.py:task")
    subsets = np.random.default_rng(0).random((num_models, len(task.labels))) < 0.5
    task.train_and_predict(np.flatnonzero(subsets[0]), 0)
    own, ours = [], []
    for seed, keep in enumerate(subsets):
        rows = np.flatnonzero(keep)
        own.append(seconds_of(functools.partial(own_loop, task, rows, seed)))
        ours.append(seconds_of(functools.partial(task.train_and_predict, rows, seed)))
    return "loop", name, statistics.median(own), "KerasTask", statistics.median(ours), num_models


def workers_row(name: str, num_models: int) -> tuple:
    """All models with one worker, and with two."""
    task = load_task(f"{TASKS / name}.py:task")
    seconds = []
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            train = functools.partial(mia_tf.train_shadow_models, task, num_models, logdir=folder, workers=workers)
            seconds.append(seconds_of(train))
    return "workers", name, seconds[0], "two workers", seconds[1], num_models


def overhead_row(num_models: int) -> tuple:
    """What more models cost whose function returns at once."""
    labels = np.arange(5000) % 10
    task = mia_tf.Task(lambda rows, seed: np.random.default_rng(seed).normal(size=(5000, 10)), labels=labels)
    seconds = []
    for count in (2, 2 + num_models):
        with tempfile.TemporaryDirectory() as folder:
            seconds.append(seconds_of(functools.partial(mia_tf.train_shadow_models, task, count, logdir=folder)))
    own = seconds_of(lambda: [task.train_and_predict(None, seed) for seed in range(num_models)])
    return "overhead", "5,000 x 10", (seconds[1] - seconds[0]) / num_models, "function", own / num_models, num_models


def main() -> None:
    """Measures, and writes the table."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--num_models", type=int, default=12, help="models of each measurement (default: 12)")
    parser.add_argument("--out", type=commands.folder_to_write, default=OUT, help="folder of the CSV")
    options = parser.parse_args()
    measurements = [functools.partial(loop_row, name, options.num_models) for name in NAMES]
    measurements += [functools.partial(workers_row, name, 2 * options.num_models) for name in NAMES]
    measurements.append(functools.partial(overhead_row, 40))
    slower = {"loop": "build, fit, predict", "workers": "one worker", "overhead": "Task"}
    table = []
    for measure in measurements:
        kind, name, seconds, faster, less, count = measure()
        numbers = f"{seconds:.4f}", faster, f"{less:.4f}", f"{seconds / less:.2f}"
        table.append((kind, name, keras.backend.backend(), slower[kind], *numbers, count))
        print(*table[-1], flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    print(write_rows(options.out / "keras_task_speed.csv", COLUMNS, table))


if __name__ == "__main__":
    commands.run(main)
