"""How fast Keras models of a task train on JAX, several at once beside one at a time, in turn in one process.

    KERAS_BACKEND=jax python -m experiments.benchmarks.keras_ensemble_speed [--num_models=32] [--out=FOLDER]   4 minutes

Each task trains the same models one at a time, by the choice of the program for this device, and all at once; the
convolutional one an eighth of them. The first round compiles; the others count. Expected on a CPU: the small network
trains about twice as fast at once, the convolutional one more slowly, so that the program trains it one at a time.
Writes keras_ensemble_speed.csv to --out.
"""

import statistics
import time
from pathlib import Path

import jax
import numpy as np

from experiments import commands
from mia_tf.analysis.tables import write_rows
from mia_tf.task import load_task
from mia_tf.training.task_engine import TaskEngine
from mia_tf.validation import check

OUT = Path("runs/benchmarks")
TASKS = Path(__file__).parent.parent / "audits" / "tasks"
NAMES = {"cancer_mlp.py:task": 1, "cancer_mlp.py:private": 1, "digits_cnn.py:task": 8}
"""Task -> the share of the models that it trains: convolutions at once are slow on a CPU."""
COLUMNS = (
    "task",
    "device",
    "num_models",
    "chosen",
    "at_once",
    "first_seconds",
    "seconds",
    "cpu_seconds",
    "faster",
    "cpu_faster",
)
ROUNDS = 2


def train(engine: TaskEngine, members: np.ndarray, size: int) -> tuple[float, float]:
    """Trains all models, as ensembles of a size; returns wall-clock and CPU seconds."""
    started = time.perf_counter(), time.process_time()
    for start in range(0, len(members), size):
        rows = range(start, min(start + size, len(members)))
        for outcome in engine.train(members[rows], rows):
            check("task", outcome, hasattr(outcome, "logits"), "must train all models")
    return time.perf_counter() - started[0], time.process_time() - started[1]


def ensemble_size_rows(task, num_models: int) -> list[tuple]:
    """For each size of an ensemble: whether the program chooses it, the size, and seconds per model."""
    members = np.random.default_rng(0).random((num_models, len(task.labels))) < 0.5
    nominal = len(task.labels) // 2
    chosen = TaskEngine(task, nominal, None, num_models).ensemble_size
    engines = {size: TaskEngine(task, nominal, size, num_models) for size in sorted({1, chosen, num_models})}
    seconds = {size: [] for size in engines}
    for _ in range(1 + ROUNDS):
        for size, engine in engines.items():
            seconds[size].append(train(engine, members, size))
    rows = []
    for size, (first, *others) in seconds.items():
        middle = [statistics.median(column) / num_models for column in zip(*others, strict=True)]
        rows.append((size == chosen, size, first[0] / num_models, *middle))
    return rows


def main() -> None:
    """Measures, and writes the table."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--num_models", type=int, default=32, help="models of each measurement (default: 32)")
    parser.add_argument("--out", type=commands.folder_to_write, default=OUT, help="folder of the CSV")
    options = parser.parse_args()
    table = []
    for name, share in NAMES.items():
        num_models = max(2, options.num_models // share)
        rows = ensemble_size_rows(load_task(str(TASKS / name)), num_models)
        for chosen, size, first, wall, cpu in rows:
            ratios = rows[0][3] / wall, rows[0][4] / cpu
            numbers = (f"{number:.4f}" for number in (first, wall, cpu))
            how = jax.default_backend(), num_models, chosen, size
            table.append((name, *how, *numbers, *(f"{ratio:.2f}" for ratio in ratios)))
            print(*table[-1], flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    print(write_rows(options.out / "keras_ensemble_speed.csv", COLUMNS, table))


if __name__ == "__main__":
    commands.run(main)
