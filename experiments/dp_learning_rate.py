"""What the learning rate does to models trained with DP-SGD at epsilon 3.2: accuracy by rate.

    python -m experiments.dp_learning_rate --data_dir=DATA [--runs=runs/dp_learning_rate] [--num_models=3]

Trains models of flags/dp_mnist_svhn_cpu.flags (20,000 MNIST + 1,000 SVHN digits, cnn8-3-max, batches of 512)
at each of four rates, on subsets and with seeds that no other experiment has: about ten minutes on two CPU
cores. Each example is in one of the three models, so that a model trains on a third of the examples, not on half as
the models of that flagfile: give --num_models=4 for half. Epsilon is that of the smaller training set.
Choi et al. (section 8) call their models "low utility" and name neither rate nor batch size; 0.1 is LiRA's rate,
which is also this project's without DP. What is learnt here about the rate is not covered by epsilon.
Writes experiments/results/figure4/learning_rate.csv, with 95% intervals over models (Student's t).
"""

import subprocess
import sys
from pathlib import Path

from experiments import commands
from mia_tf.analysis.statistics import mean_interval
from mia_tf.analysis.tables import write_rows
from mia_tf.store import Store

FLAGS = "flags/dp_mnist_svhn_cpu.flags"
RATES = (0.1, 0.25, 0.5, 1.0)
SEED = 100
COLUMNS = ("lr", "split", "group", "mean", "ci_low", "ci_high", "num_models")
OUT = Path(__file__).parent / "results" / "figure4" / "learning_rate.csv"


def train(rate: float, num_models: int, data_dir: str, logdir: Path) -> list[dict]:
    """Trains models at one rate, and gives each one's metrics.

    Raises:
        CalledProcessError: a model could not be trained; what is stored is kept.
    """
    command = [sys.executable, "-m", "mia_tf.train", f"--flagfile={FLAGS}", f"--lr={rate}", f"--seed={SEED}"]
    command += [f"--num_experiments={num_models}", f"--data_dir={data_dir}", f"--logdir={logdir}"]
    subprocess.run([*command, "--workers=2", "--threads_per_worker=1"], check=True)
    return [model.metrics() for model in Store.open(logdir).models()]


def rows(rate: float, metrics: list[dict]) -> list[dict]:
    """Accuracy on each split and group, with its interval over models."""
    table = []
    for split in ("train", "out", "test"):
        for group in ("over", "under"):
            values = [m[f"{split}_accuracy_{group}"] for m in metrics]
            numbers = dict(zip(("mean", "ci_low", "ci_high"), mean_interval(values), strict=True))
            rounded = {name: round(value, 4) for name, value in numbers.items()}
            table.append({"lr": rate, "split": split, "group": group, **rounded, "num_models": len(values)})
    return table


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--data_dir", type=commands.folder, required=True, help="folder of mnist.npz and svhn.npz")
    parser.add_argument("--num_models", type=int, default=3)
    parser.add_argument("--runs", type=commands.folder_to_write, default=Path("runs/dp_learning_rate"))
    options = parser.parse_args()
    commands.check_files(options.data_dir, "mnist.npz", "svhn.npz")
    table = []
    for rate in RATES:
        metrics = train(rate, options.num_models, options.data_dir, options.runs / f"lr_{rate:g}")
        table += rows(rate, metrics)
        print(*(f"{row['split']} {row['group']} {row['mean']:.1%}" for row in table[-6:]), sep=", ", flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    write_rows(OUT, COLUMNS, ([row[name] for name in COLUMNS] for row in table))


if __name__ == "__main__":
    commands.run(main)
