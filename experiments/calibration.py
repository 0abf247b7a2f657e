"""Which recipe made Table 1 of Choi et al.? Accuracy of small convolutional networks after 1 to 16 epochs.

    python -m experiments.calibration --data_dir=DATA
    python -m experiments.calibration --data_dir=DATA --archs cnn8-3-max cnn8-3-mean --epochs 1 3 --batch 32

Table 1 has the accuracy of "CNN32" on MNIST + SVHN (60,000 + 1,000 images). But the paper names neither epochs, batch
size, learning rate nor pooling. Each setting of the grid trains two models, each on 70% of the mixture, without
augmentation. Numbers of epochs are separate trainings, because the learning rate's schedule depends on the total. All
settings share LiRA's peak rate of 0.1 and momentum of 0.9, and this project's warm-up (5%) and clipping (norm 1).
Settings that are trained already are skipped; the results are rewritten from all settings under --runs, and keep the
rows of settings that were trained elsewhere.

Cost of the default grid on one CPU core (4096 matrix product: 198 GFLOP/s on two cores): 23 minutes for each pooling of
cnn8-3, 1 hour of cnn16-3 and 3.5 hours of cnn32-3. An interrupted command resumes. Expected: cnn8-3-max comes within 4
points of all four numbers after 16 epochs. Accuracy on MNIST's test images is then above the paper's with every width.
Writes calibration.csv and calibration.png to experiments/results/calibration, and prints the settings by `deviation`.
"""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments import commands
from experiments.reproduction import paper_numbers
from mia_tf.analysis.statistics import mean_interval
from mia_tf.analysis.tables import write_rows
from mia_tf.store import Store

OUT = Path(__file__).parent / "results" / "calibration"
MIXTURE = "mnist_svhn"
ARCHS = tuple(f"cnn{filters}-3-{pooling}" for filters in (8, 16, 32) for pooling in ("max", "mean"))
EPOCHS = (1, 3, 5, 10, 16)
BATCH = 256
"""LiRA's; flags/mnist_svhn_cpu.flags has 32, for 5,250 examples."""
NUM_MODELS, NUM_PLANNED = 2, 10
"""Models trained, of a plan of 10 in which every example is in exactly 7. A plan of two would put it in one of two."""
RECIPE = {
    "dataset": MIXTURE,
    "pkeep": 0.7,
    "lr": 0.1,
    "warmup": 0.05,
    "clip_norm": 1.0,
    "augment": "none",
    "queries": 1,
    "seed": 0,
}
GROUPS = ("over", "under")
"""Group names of the tables, by group id."""
SPLITS = ("members", "dtr", "test")
"""A model's own training examples; all 61,000 of D^tr, members or not; test images."""


@dataclass(frozen=True, order=True)
class Setting:
    """One cell of the grid."""

    arch: str
    epochs: int
    batch: int

    def logdir(self, runs: Path) -> Path:
        """The LOGDIR of this setting."""
        return runs / f"{self.arch}_batch{self.batch}_epochs{self.epochs}"


class Row(NamedTuple):
    """One accuracy of one setting: a row of calibration.csv.

    Attributes:
        arch, epochs, batch: the setting.
        group: one of GROUPS.
        split: one of SPLITS.
        accuracy: mean over models, as a fraction.
        ci_low, ci_high: 95% interval of the mean over models (Student's t), cut to [0, 1].
        num_models: number of models.
        paper: Table 1's accuracy as a fraction; None for members.
    """

    arch: str
    epochs: int
    batch: int
    group: str
    split: str
    accuracy: float
    ci_low: float
    ci_high: float
    num_models: int
    paper: float | None


def paper_accuracies() -> dict[tuple[str, str], float]:
    """Table 1's accuracies by (group, split), as fractions. Its training accuracy is read as that on all of D^tr."""
    split = {"train": "dtr", "test": "test"}
    numbers = paper_numbers.accuracy_numbers("table1")
    return {(row["group"], split[row["split"]]): row["paper"] for row in numbers if row["mixture"] == MIXTURE}


def train(setting: Setting, data_dir: Path, runs: Path, workers: int) -> None:
    """Trains the models of a setting that are missing.

    Raises:
        CalledProcessError: a model could not be trained; finished models are kept.
    """
    flags = {**RECIPE, "arch": setting.arch, "epochs": setting.epochs, "batch": setting.batch}
    flags |= {"num_experiments": NUM_PLANNED, "expid": f"0-{NUM_MODELS - 1}", "data_dir": data_dir}
    flags |= {"logdir": setting.logdir(runs), "workers": workers, "threads_per_worker": 1}
    command = [sys.executable, "-m", "mia_tf.train", *(f"--{name}={value}" for name, value in flags.items())]
    subprocess.run(command, check=True)


def complete(runs: Path) -> dict[Setting, Store]:
    """The settings under `runs` whose models are all trained, in order."""
    settings = {}
    for path in runs.glob("*/config.json"):
        store = Store.open(path.parent)
        config = store.config()
        if set(range(NUM_MODELS)) <= store.completed():
            settings[Setting(config["arch"], config["epochs"], config["batch"])] = store
    return dict(sorted(settings.items(), key=lambda item: (ARCHS.index(item[0].arch), item[0])))


def model_accuracies(store: Store) -> dict[tuple[str, str], list[float]]:
    """The accuracy of every model of a LOGDIR by (group, split), as fractions."""
    examples = store.examples()
    accuracies = {key: [] for key in product(GROUPS, SPLITS)}
    for model in store.models():
        correct = model.read_logits()[:, 0].argmax(axis=1) == examples.labels
        metrics = model.metrics()
        for number, group in enumerate(GROUPS):
            inside = examples.groups == number
            accuracies[group, "members"].append(correct[inside & model.keep].mean())
            accuracies[group, "dtr"].append(correct[inside].mean())
            accuracies[group, "test"].append(metrics[f"test_accuracy_{group}"])
    return accuracies


def rows(setting: Setting, accuracies: dict[tuple[str, str], list[float]]) -> list[Row]:
    """The rows of calibration.csv of one setting."""
    paper = paper_accuracies()
    return [
        Row(*astuple(setting), *key, *np.clip(mean_interval(values), 0, 1).tolist(), len(values), paper.get(key))
        for key, values in accuracies.items()
    ]


def deviation(rows: Iterable[Row]) -> float:
    """How far a setting is from Table 1: the largest absolute difference of its four numbers, in percentage points.

    The four are the accuracies on D^tr and on test images of MNIST and of SVHN. The nearest recipe has the smallest
    deviation. This rule was fixed before the grid was run.
    """
    differences = [abs(row.accuracy - row.paper) for row in rows if row.paper is not None]
    if len(differences) != 4:
        raise ValueError(f"A setting must have four numbers to compare with the paper. Received: {len(differences)}")
    return 100 * max(differences)


def ranked(table: Iterable[Row]) -> list[tuple[float, Setting]]:
    """The settings of a table with their deviations, the nearest to Table 1 first."""
    by_setting = {}
    for row in table:
        by_setting.setdefault(Setting(row.arch, row.epochs, row.batch), []).append(row)
    return sorted((deviation(group), setting) for setting, group in by_setting.items())


def draw(table: list[Row]):
    """Returns a figure of accuracy by epochs: a row of panels per group, a column for D^tr and one for test images."""
    from matplotlib import rc_context

    from mia_tf.figures import style

    colours = {"8": style.BLUE, "16": style.GREEN, "32": style.VERMILLION}
    dashes, markers = {"max": "-", "mean": "--"}, "osv^D"
    names = {"over": "MNIST", "under": "SVHN", "dtr": "all of $D^{tr}$", "test": "test images"}
    batches = sorted({row.batch for row in table}, reverse=True)
    with rc_context(style.RC):
        figure = style.new_figure(7.2, 5.2)
        panels = figure.subplots(2, 2, sharex=True, sharey="row")
        for (group, split), ax in zip(product(GROUPS, ("dtr", "test")), panels.flat, strict=True):
            here = [row for row in table if (row.group, row.split) == (group, split)]
            for arch, batch in dict.fromkeys((row.arch, row.batch) for row in here):
                line = [row for row in here if (row.arch, row.batch) == (arch, batch)]
                filters, _, pooling = arch.removeprefix("cnn").split("-")
                look = {"color": colours[filters], "linestyle": dashes[pooling], "linewidth": 1.2}
                look |= {"marker": markers[batches.index(batch)], "markersize": 4, "label": f"{arch}, batch {batch}"}
                look |= {"markerfacecolor": "white"} if pooling == "mean" else {}
                ax.plot([row.epochs for row in line], [100 * row.accuracy for row in line], **look)
            ax.axhline(100 * here[0].paper, color=style.GREY, linewidth=1.5, zorder=0, label="Choi et al., Table 1")
            ax.set_title(f"{names[group]}, {names[split]}", loc="left")
            ax.set(xscale="log", xticks=EPOCHS, xticklabels=EPOCHS)
            ax.minorticks_off()
            ax.label_outer()
        for ax in panels[:, 0]:
            ax.set_ylabel("accuracy (%)")
        for ax in panels[1]:
            ax.set_xlabel("epochs")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, handlelength=3.5)
    return figure


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--data_dir", type=commands.folder, required=True, help="folder of mnist.npz and svhn.npz")
    parser.add_argument(
        "--runs", type=commands.folder_to_write, default=Path("runs/calibration"), help="folder of the LOGDIRs"
    )
    parser.add_argument("--workers", type=int, default=2, help="models that train at the same time")
    parser.add_argument("--archs", nargs="+", choices=ARCHS, default=ARCHS, help="architectures to train")
    parser.add_argument("--epochs", nargs="+", type=int, default=EPOCHS, help="numbers of epochs to train for")
    parser.add_argument("--batch", nargs="+", type=int, default=(BATCH,), help="batch sizes to train with")
    options = parser.parse_args()
    commands.check_files(options.data_dir, "mnist.npz", "svhn.npz")
    for arch, batch, epochs in product(options.archs, options.batch, options.epochs):
        setting = Setting(arch, epochs, batch)
        if setting not in complete(options.runs):
            train(setting, options.data_dir, options.runs, options.workers)
        report(options.runs)


def written() -> list[Row]:
    """The rows of calibration.csv as it is; none if there is no such file."""
    path = OUT / "calibration.csv"
    if not path.exists():
        return []
    table = pd.read_csv(path).astype(object)
    return [Row(*row) for row in table.where(table.notna(), None).itertuples(index=False)]


def report(runs: Path) -> None:
    """Rewrites the table and the figure with all complete settings, and prints the nearest three."""
    trained = complete(runs)
    table = [row for row in written() if Setting(row.arch, row.epochs, row.batch) not in trained]
    table += [row for setting, store in trained.items() for row in rows(setting, model_accuracies(store))]
    table.sort(key=lambda row: (ARCHS.index(row.arch), row.epochs, row.batch))
    OUT.mkdir(parents=True, exist_ok=True)
    write_rows(OUT / "calibration.csv", Row._fields, table)
    draw(table).savefig(OUT / "calibration.png", dpi=130)
    for points, setting in ranked(table)[:3]:
        print(f"{points:5.1f} points from Table 1: {setting.arch}, {setting.epochs} epochs, batch {setting.batch}")


if __name__ == "__main__":
    commands.run(main)
