"""How many small models a training recipe loses: LiRA's own, and the one that is the default here.

    python -m experiments.recipe_stability --data_dir=DATA [--num_models=64] [--logdir=runs/recipe_stability]

Trains 64 cnn8-3-max models on halves of 2,600 MNIST digits, 20 epochs, with each recipe: about 20
minutes on two CPU cores. A model is lost when its loss ceases to be finite or when it ends no better
than chance on its own training set. LiRA's recipe was made for 25,000 examples and more; it is not
at fault for failing here. Writes experiments/results/recipe_stability/recipe_stability.csv.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from experiments import commands
from mia_tf.analysis.tables import write_rows
from mia_tf.store import Store

SCALE = ["--dataset=mnist", "--num_over=2600", "--arch=cnn8-3-max", "--epochs=20", "--augment=none", "--recipe=lira"]
LIRA = {"warmup": 0.01, "clip_norm": 0}
OURS = {"warmup": 0.05, "clip_norm": 1}
RECIPES = {
    "LiRA's": {**LIRA, "batch": 256, "lr": 0.1},
    "LiRA's, batch 32": {**LIRA, "batch": 32, "lr": 0.1},
    "LiRA's, batch 32, lr 0.03": {**LIRA, "batch": 32, "lr": 0.03},
    "ours": {**OURS, "batch": 256, "lr": 0.1},
    "ours, batch 32": {**OURS, "batch": 32, "lr": 0.1},
}
COLUMNS = (
    "recipe", "batch", "lr", "warmup", "clip_norm", "num_models", "diverged", "at_chance",
    "lost_share", "ci_low", "ci_high", "train_accuracy_min", "train_accuracy_median", "test_accuracy_median",
)  # fmt: skip
OUT = Path(__file__).parent / "results" / "recipe_stability" / "recipe_stability.csv"


def train_and_count(recipe: dict, num_models: int, data_dir: str, logdir: Path) -> dict:
    """Trains the models of one recipe and counts."""
    command = [sys.executable, "-m", "mia_tf.train", *SCALE, f"--num_experiments={num_models}"]
    command += [f"--data_dir={data_dir}", f"--logdir={logdir}", *(f"--{k}={v}" for k, v in recipe.items())]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    failures = [line for line in done.stderr.splitlines() if line.startswith("mia_tf.train: ")]
    if done.returncode not in (0, 1) or not all("not finite" in line for line in failures):
        raise SystemExit(done.stderr)  # a disk that is full, say: not what is counted here
    metrics = [model.metrics() for model in Store.open(logdir).models()]
    diverged = len(failures)
    at_chance = sum(m["at_chance"] for m in metrics)
    interval = binomtest(diverged + at_chance, num_models).proportion_ci(method="exact")
    train = [m["train_accuracy_all"] for m in metrics] or [np.nan]
    test = [m["test_accuracy_all"] for m in metrics] or [np.nan]
    return {
        **recipe,
        "num_models": num_models,
        "diverged": diverged,
        "at_chance": at_chance,
        "lost_share": (diverged + at_chance) / num_models,
        "ci_low": round(interval.low, 4),
        "ci_high": round(interval.high, 4),
        "train_accuracy_min": round(float(np.min(train)), 4),
        "train_accuracy_median": round(float(np.median(train)), 4),
        "test_accuracy_median": round(float(np.median(test)), 4),
    }


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--data_dir", type=commands.folder, required=True, help="folder of mnist.npz")
    parser.add_argument("--num_models", type=int, default=64)
    parser.add_argument("--logdir", type=commands.folder_to_write, default=Path("runs/recipe_stability"))
    options = parser.parse_args()
    commands.check_files(options.data_dir, "mnist.npz")
    rows = []
    for number, (name, recipe) in enumerate(RECIPES.items()):
        logdir = options.logdir / str(number)
        rows.append({"recipe": name, **train_and_count(recipe, options.num_models, options.data_dir, logdir)})
        print(rows[-1], flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    write_rows(OUT, COLUMNS, ([row[name] for name in COLUMNS] for row in rows))


if __name__ == "__main__":
    commands.run(main)
