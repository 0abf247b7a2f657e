"""A contact sheet of each mixture: the pictures that models see, a row per label, both groups side by side.

Command:  python -m experiments.mixture_sheets --data_dir=FOLDER [--dataset=mnist_svhn,mnist_cifar10]
Cost:     up to a quarter of a minute per mixture on one core.
Writes:   NAME.png in --out (default experiments/results/mixtures) for each mixture whose data can be had.
Expected: pictures of a row on the left belong to its label. On the right they do too, in the classes that the
          source has in the label's place; where labels are wrong or random, they are of other classes.
"""

from pathlib import Path

import matplotlib
import numpy as np
from absl import flags

from mia_tf import command_line
from mia_tf.config import DataConfig
from mia_tf.data import load
from mia_tf.data.mixtures import MIXTURES
from mia_tf.figures import style
from mia_tf.records import OVER, UNDER, Dataset
from mia_tf.validation import InputError, check_choice

COLUMNS = 10
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = ("apple", "aquarium fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle")
CLASS_NAMES = {"cifar10": _CIFAR10, "cinic10": _CIFAR10, "cifar100_first10": _CIFAR100}
"""What the labels of a source mean; digits are named by their labels."""


def sheet(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(10 rows, COLUMNS pictures a row) as one (H', W', 3) uint8 picture; white where a label has fewer."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
    if padded.shape[3] == 1:
        padded = np.repeat(padded, 3, axis=3)
    white = np.full_like(padded[:1], 255)
    rows = []
    for label in range(10):
        row = padded[labels == label][:COLUMNS]
        row = np.concatenate([row, np.repeat(white, COLUMNS - len(row), axis=0)])
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows, axis=0)


def draw(dataset: Dataset, path: Path) -> None:
    """Draws one sheet for each group that the mixture has, side by side."""
    from matplotlib import pyplot

    mixture = MIXTURES[dataset.name]
    groups = np.unique(dataset.groups)
    with matplotlib.rc_context(style.RC):
        size = (0.6 + 3.9 * len(groups), 4.1)
        figure, axes = pyplot.subplots(1, len(groups), figsize=size, squeeze=False, layout="constrained")
        for ax, group in zip(axes[0], groups, strict=True):
            rows = dataset.groups == group
            picture = sheet(dataset.images[rows], dataset.labels[rows])
            ax.imshow(picture)
            ax.set_title(f"{dataset.group_names[group]}: {rows.sum():,} training images")
            # Labels that are changed at random mean what they mean to the other group.
            random = group == UNDER and mixture.num_test_under == 0
            names = CLASS_NAMES.get(mixture.over if group == OVER or random else mixture.under, [""] * 10)
            middles = (np.arange(10) + 0.5) * len(picture) / 10 - 0.5
            ax.set_yticks(middles, [f"{name} {label}".strip() for label, name in enumerate(names)])
            ax.set_xticks([])
            ax.tick_params(length=0)
            ax.spines[:].set_visible(False)
            ax.set_xlabel("a row for each label")
        figure.savefig(path, dpi=140, bbox_inches="tight")
        pyplot.close(figure)


def main() -> None:
    matplotlib.use("Agg")
    out = command_line.path_flag("out")
    out.mkdir(parents=True, exist_ok=True)
    for name in flags.FLAGS.dataset:
        check_choice("dataset", name, MIXTURES)
    for name in flags.FLAGS.dataset:
        config = DataConfig(name, flags.FLAGS.data_source, flags.FLAGS.data_dir, data_seed=flags.FLAGS.seed)
        try:
            dataset = load(config)
        except InputError as error:  # CINIC-10, for one, is nowhere unless a user has fetched it
            print(f"No sheet of {name}: {error}")
            continue
        draw(dataset, out / f"{name}.png")
        print(f"Wrote {out / name}.png")


if __name__ == "__main__":
    flags.DEFINE_list("dataset", sorted(name for name in MIXTURES if MIXTURES[name].under), "Mixtures.")
    flags.DEFINE_string("data_source", "auto", "As of mia_tf.train.")
    flags.DEFINE_string("data_dir", None, "Folder of the sources.")
    flags.DEFINE_string("out", "experiments/results/mixtures", "Folder to write to.")
    flags.DEFINE_integer("seed", 0, "Chooses the examples.")
    command_line.run("experiments.mixture_sheets", main)
