"""How hard is augMNIST under each way to read the paper's settings? Accuracy on pictures that no model has seen.

    python -m experiments.augmnist_readings --data_dir=DATA
    python -m experiments.augmnist_readings --data_dir=DATA --readings "nine operations" published

Choi et al. (appendix C) mix "for 4 iterations" and name "random cropping" among the operations, which PixMix does not
have. PixMix's published code mixes at most 4 times, with nine operations, and mirrors and crops the picture before.
Each reading makes augMNIST of the 5,000 + 250 of our CPU scale, and trains models on 70% of it. All models answer 2,000
unseen pictures, none of which came out as it went in. An interrupted command resumes. The table keeps the rows of
readings that were measured elsewhere.
Cost: about 2 minutes per reading on two idle cores, for 4 models each.
The paper: 65.88% on unseen augMNIST, with 60,000 + 1,000 examples and CNN32 (table 1).
Writes experiments/results/augmnist_readings/augmnist_readings.csv and a sheet of pictures of all readings.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments import commands
from mia_tf.analysis.statistics import mean_interval
from mia_tf.analysis.tables import write_rows
from mia_tf.data import mixing_pictures
from mia_tf.data.operations import NINE
from mia_tf.data.pixmix import READINGS as OF_THE_LIBRARY
from mia_tf.data.pixmix import pixmix_until_changed
from mia_tf.data.resampling import resize_by_area, to_grey
from mia_tf.store import Store

OUT = Path(__file__).parent / "results" / "augmnist_readings"
FLAGS = Path(__file__).parent.parent / "flags" / "mnist_svhn_cpu.flags"
RECIPE = ("--pkeep=0.7", "--augment=none")
"""That of MNIST's mixtures, which an archive does not have."""
NUM_OVER, NUM_UNDER, NUM_TEST = 5000, 250, 2000
NUM_PLANNED = 10
"""The plan that the models are the first of: each example is in 7 of 10. A plan of 4 would put it in 2."""
COLUMNS = ("reading", "group", "test_accuracy", "ci_low", "ci_high", "num_models", "paper")
PAPER = {"over": 0.9843, "under": 0.6588}


READINGS: Mapping[str, Mapping[str, Any]] = {
    "at most 4 rounds": OF_THE_LIBRARY["choi"],
    "4 rounds": {"least": 4},
    "cropped, at most 4 rounds": {"pad": 4},
    "cropped, 4 rounds": {"pad": 4, "least": 4},
    "cropped and mirrored, at most 4 rounds": {"pad": 4, "mirror": True},
    "nine operations": {"operations": tuple(NINE)},
    "nine operations, cropped": {"operations": tuple(NINE), "pad": 4},
    "published": OF_THE_LIBRARY["published"],
}
"""Name -> settings of `pixmix`. The first is `--pixmix=choi`; the last is PixMix's code, with mirrored pictures too."""


def write_archive(
    path: Path, mnist: Mapping[str, np.ndarray], reading: Mapping[str, Any], rng: np.random.Generator
) -> np.ndarray:
    """Writes the mixture as `--dataset=npz:PATH` takes it; returns the (2,000, 28, 28, 1) unseen augMNIST.

    The digits are those of every reading with an equal `rng`; the digits that are augmented are not among the others.
    """
    pictures = resize_by_area(to_grey(mixing_pictures.find(None).in_colour(28)), 28)
    arrays = {}
    sizes = {"train": (NUM_OVER, NUM_UNDER), "test": (NUM_TEST, NUM_TEST)}
    rows = {split: rng.permutation(len(mnist[f"y_{split}"]))[: sum(counts)] for split, counts in sizes.items()}
    for split, counts in sizes.items():
        chosen = rows[split]
        images, labels = mnist[f"x_{split}"][chosen][..., None], mnist[f"y_{split}"][chosen]
        images[counts[0] :] = pixmix_until_changed(images[counts[0] :], pictures, rng, **reading)
        arrays |= {f"x_{split}": images, f"y_{split}": labels, f"group_{split}": np.repeat([0, 1], counts)}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return arrays["x_test"][NUM_TEST:]


def train_reading(name: str, archive: Path, num_models: int, logdir: Path, workers: int) -> list[tuple]:
    """Trains the models of a reading that are missing; returns its rows of COLUMNS.

    Raises:
        CalledProcessError: a model could not be trained; what is stored is kept.
    """
    command = [sys.executable, "-m", "mia_tf.train", f"--flagfile={FLAGS}", f"--dataset=npz:{archive}", *RECIPE]
    command += [f"--num_experiments={NUM_PLANNED}", f"--expid=0-{num_models - 1}", f"--logdir={logdir}"]
    command += [f"--workers={workers}", "--threads_per_worker=1"]
    subprocess.run(command, check=True)
    metrics = [model.metrics() for model in Store.open(logdir).models()]
    return [
        (name, group, *mean_interval([m[f"test_accuracy_{group}"] for m in metrics]), len(metrics), PAPER[group])
        for group in PAPER
    ]


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--data_dir", type=commands.folder, required=True, help="folder of mnist.npz")
    parser.add_argument("--num_models", type=int, default=4, choices=range(2, NUM_PLANNED + 1))
    parser.add_argument("--workers", type=int, default=1, help="models that train at the same time")
    parser.add_argument("--runs", type=commands.folder_to_write, default=Path("runs/augmnist_readings"))
    parser.add_argument("--readings", nargs="+", choices=tuple(READINGS), default=tuple(READINGS), help="to measure")
    options = parser.parse_args()
    commands.check_files(options.data_dir, "mnist.npz")
    OUT.mkdir(parents=True, exist_ok=True)
    sheet = {}
    for number, (name, reading) in enumerate(READINGS.items()):
        archive = options.runs / f"{number}.npz"
        with np.load(options.data_dir / "mnist.npz") as mnist:
            sheet[name] = write_archive(archive, mnist, reading, np.random.default_rng(0))
        if name in options.readings:
            rows = train_reading(name, archive, options.num_models, options.runs / str(number), options.workers)
            print(*rows, sep="\n", flush=True)
            write_rows(OUT / "augmnist_readings.csv", COLUMNS, merged(written(), rows))
    draw(sheet)


def written() -> list[tuple]:
    """Returns the rows of augmnist_readings.csv as it is; none if there is no such file."""
    path = OUT / "augmnist_readings.csv"
    return list(pd.read_csv(path).itertuples(index=False, name=None)) if path.exists() else []


def merged(old: list[tuple], new: list[tuple]) -> list[tuple]:
    """Returns the rows of both, in the order of READINGS; new rows replace old ones of the same reading."""
    measured = {row[0] for row in new}
    rows = [row for row in old if row[0] not in measured] + new
    return sorted(rows, key=lambda row: list(READINGS).index(row[0]))


def draw(sheet: dict[str, np.ndarray]) -> None:
    """Writes a row of unseen pictures for each reading: the same digits."""
    from mia_tf.figures import style

    figure = style.new_figure(7.2, 0.75 * len(sheet))
    for ax, (name, images) in zip(figure.subplots(len(sheet), 1), sheet.items(), strict=True):
        ax.imshow(
            np.hstack([np.pad(one[..., 0], 1, constant_values=255) for one in images[:16]]), "gray", vmin=0, vmax=255
        )
        ax.set_title(name, loc="left")
        ax.set_axis_off()
    figure.savefig(OUT / "augmnist_readings.png", dpi=130)


if __name__ == "__main__":
    commands.run(main)
