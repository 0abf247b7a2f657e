"""Contact sheets of the mixtures that models see, of rendered house numbers, and of the fractals that PixMix mixes in.

    python -m experiments.sheets rendered --data_dir=FOLDER_WITH_SVHN_NPZ
    python -m experiments.sheets mixtures --data_dir=FOLDER [--dataset=mnist_svhn,mnist_cifar10]
    python -m experiments.sheets fractals

rendered: the rendered house numbers beside real SVHN digits, and statistics of both, in rendered_digits/. Without
--data_dir (or MIA_TF_DATA) only the rendered half is drawn. Expected: the halves resemble in colour, contrast,
sharpness and crowding; the quartiles of each statistic are close. Real pictures vary more: other typefaces,
occlusions, wrong crops.
mixtures: mixtures/NAME.png of every mixture whose data are available, a row per label, both groups side by side.
Expected: pictures of a row on the left belong to its label. On the right they do too, in the classes that the source
has in the label's place; if labels are wrong or random, they are of other classes.
fractals: mixtures/fractals.png and fractals.csv, the pictures that PixMix mixes in if there are no others, and how they
differ. Expected: many forms, colours, brightnesses and contrasts. No two are alike: the greatest correlation of two is
far below 1, and the root mean square difference far above 0.
Cost: ten seconds on one core for the first and the last, up to a quarter of a minute per mixture.
"""

import argparse
import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes

from experiments import commands
from experiments.reproduction.outcome import RESULTS
from mia_tf.config import DataConfig
from mia_tf.data import load, mixing_pictures
from mia_tf.data.mixtures import MIXTURES, like_mnist
from mia_tf.data.rendered_digits import render
from mia_tf.data.sources import folder_of_archives, read
from mia_tf.figures import style
from mia_tf.records import OVER, UNDER, Dataset
from mia_tf.validation import InputError, check_choice

_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = ("apple", "aquarium fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle")
CLASS_NAMES = {"cifar10": _CIFAR10, "cinic10": _CIFAR10, "cifar100_first10": _CIFAR100}
"""What the labels of a source mean; digits are named by their labels."""
RENDERED_PER_LABEL = 100
FRACTAL_SIZE = 32  # of CIFAR-10; MNIST's fractals are rendered at 28 pixels and made grey
FRACTAL_ROWS, FRACTAL_COLUMNS = 14, 20


def grid(rows: Iterable[np.ndarray]) -> np.ndarray:
    """Lays pictures out as one, with a white line between.

    Args:
        rows: per row its pictures (columns, H, W, C) uint8, with 1 or 3 channels.

    Returns:
        (rows * (H + 2), columns * (W + 2), 3) uint8.
    """
    padded = (np.pad(row, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255) for row in rows)
    picture = np.concatenate([np.concatenate(row, axis=1) for row in padded])
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def by_label(images: np.ndarray, labels: np.ndarray, count: int) -> list[np.ndarray]:
    """Returns the first `count` pictures of each of the ten labels; white ones if it has fewer."""
    rows = []
    for label in range(10):
        row = images[labels == label][:count]
        white = np.full((count - len(row), *images.shape[1:]), 255, images.dtype)
        rows.append(np.concatenate([row, white]))
    return rows


def _bare(ax: Axes) -> None:
    """Takes the frame and the ticks' marks away; their labels stay."""
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _write_percentiles(path: Path, columns: Sequence[str], rows: Iterable[tuple], percentiles: Sequence[int]) -> None:
    """Writes rows of (cells, values (n,)): the cells and the values' percentiles with two digits."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*columns, *(f"p{p}" for p in percentiles)])
        for cells, values in rows:
            writer.writerow([*cells, *(f"{value:.2f}" for value in np.percentile(values, percentiles))])


# ---- rendered house numbers


def rendered_statistics(images: np.ndarray) -> dict[str, np.ndarray]:
    """Per-picture statistics, each (n,) float64: the first three of the grey 28 x 28 picture, in grey levels."""
    grey = like_mnist(images)[..., 0].astype(np.float64)
    across, down = np.diff(grey, axis=2), np.diff(grey, axis=1)
    gradient = np.sqrt(((across**2).mean((1, 2)) + (down**2).mean((1, 2))) / 2)
    contrast = grey.std((1, 2))
    colour = images.astype(np.float64)
    return {
        "mean grey level": grey.mean((1, 2)),
        "contrast (std)": contrast,
        "gradient (rms)": gradient,
        "gradient / contrast": gradient / contrast,
        "saturation (max - min of RGB)": (colour.max(3) - colour.min(3)).mean((1, 2)),
        "red - blue": (colour[..., 0] - colour[..., 2]).mean((1, 2)),
    }


def draw_rendered(parts: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Draws a titled sheet per part, six pictures of each digit, a column per digit."""
    figure, axes = pyplot.subplots(len(parts), 1, figsize=(6.2, 4.1 * len(parts)), squeeze=False, layout="constrained")
    for ax, (title, (images, labels)) in zip(axes[:, 0], parts.items(), strict=True):
        ax.imshow(grid(np.stack(by_label(images, labels, 6), axis=1)), interpolation="nearest")
        ax.set_title(title, fontsize=10)
        ax.set_xticks(17 + 34 * np.arange(10), labels=[str(label) for label in range(10)])
        ax.set_yticks([])
        ax.set_xlabel("label")
        _bare(ax)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def rendered(options: argparse.Namespace) -> list[Path]:
    """Writes the sheet and the statistics of the stand-in and of SVHN."""
    labels = np.repeat(np.arange(10), RENDERED_PER_LABEL)
    parts = {"Rendered house numbers (stand-in)": (render(labels, np.random.default_rng(options.seed)), labels)}
    if folder_of_archives(options.data_dir) is not None:
        (real,) = read(["svhn"], "npz", options.data_dir)
        parts["Real SVHN digits"] = real.images, real.labels
    paths = [_folder(options, "rendered_digits") / name for name in ("contact_sheet.png", "statistics.csv")]
    draw_rendered(parts, paths[0])
    rows = (
        ((name, title, f"{values.mean():.2f}"), values)
        for title, (images, _) in parts.items()
        for name, values in rendered_statistics(images).items()
    )
    _write_percentiles(paths[1], ("statistic", "pictures", "mean"), rows, (5, 25, 50, 75, 95))
    return paths


# ---- mixtures


def draw_mixture(dataset: Dataset, path: Path) -> None:
    """Draws a sheet per group of the mixture, side by side: ten pictures of each label, a row per label."""
    mixture = MIXTURES[dataset.name]
    groups = np.unique(dataset.groups)
    with matplotlib.rc_context(style.RC):
        size = (0.6 + 3.9 * len(groups), 4.1)
        figure, axes = pyplot.subplots(1, len(groups), figsize=size, squeeze=False, layout="constrained")
        for ax, group in zip(axes[0], groups, strict=True):
            rows = dataset.groups == group
            picture = grid(by_label(dataset.images[rows], dataset.labels[rows], 10))
            ax.imshow(picture)
            ax.set_title(f"{dataset.group_names[group]}: {rows.sum():,} training images")
            # Labels that are changed at random mean what they mean to the other group.
            random = group == UNDER and mixture.num_test_under == 0
            names = CLASS_NAMES.get(mixture.over if group == OVER or random else mixture.under, [""] * 10)
            middles = (np.arange(10) + 0.5) * len(picture) / 10 - 0.5
            ax.set_yticks(middles, [f"{name} {label}".strip() for label, name in enumerate(names)])
            ax.set_xticks([])
            _bare(ax)
            ax.set_xlabel("a row for each label")
        figure.savefig(path, dpi=140, bbox_inches="tight")
        pyplot.close(figure)


def mixtures(options: argparse.Namespace) -> Iterator[Path]:
    """Writes a sheet of every mixture whose data are available, and yields its path."""
    names = options.dataset.split(",")
    for name in names:
        check_choice("dataset", name, MIXTURES)
    for name in names:
        try:
            dataset = load(DataConfig(name, options.data_source, options.data_dir, data_seed=options.seed))
        except InputError as error:  # CINIC-10, for one, is nowhere unless a user has fetched it
            print(f"No sheet of {name}: {error}")
            continue
        path = _folder(options, "mixtures") / f"{name}.png"
        draw_mixture(dataset, path)
        yield path


# ---- fractals


def fractal_statistics(pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Of each picture (n,) or each pair of pictures (n (n - 1) / 2,), float64, in grey levels but for correlations."""
    grey = pictures.mean(axis=3)
    flat = pictures.reshape(len(pictures), -1).astype(np.float64)
    pairs = np.triu_indices(len(pictures), 1)
    squares = (flat**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * flat @ flat.T
    return {
        "mean grey level": grey.mean((1, 2)),
        "contrast (std of grey)": grey.std((1, 2)),
        "gradient (mean step of grey to the right)": np.abs(np.diff(grey, axis=2)).mean((1, 2)),
        "saturation (mean of max - min of RGB)": np.ptp(pictures.astype(np.int64), axis=3).mean((1, 2)),
        "absolute correlation of two pictures in grey": np.abs(np.corrcoef(grey.reshape(len(grey), -1))[pairs]),
        "absolute correlation of two pictures in colour": np.abs(np.corrcoef(flat)[pairs]),
        "root mean square difference of two pictures": np.sqrt(distances[pairs] / flat.shape[1]),
    }


def draw_fractals(pictures: np.ndarray, path: Path) -> None:
    """Draws the titled sheet of the first pictures."""
    count = FRACTAL_ROWS * FRACTAL_COLUMNS
    rows = pictures[:count].reshape(FRACTAL_ROWS, FRACTAL_COLUMNS, *pictures.shape[1:])
    with matplotlib.rc_context(style.RC):
        figure, ax = pyplot.subplots(figsize=(8, 5.9), layout="constrained")
        ax.imshow(grid(rows), interpolation="nearest")
        ax.set_title(f"Fractals to mix in: {count} of {len(pictures)}, {FRACTAL_SIZE} x {FRACTAL_SIZE} pixels")
        ax.set_axis_off()
        figure.savefig(path, dpi=170)
        pyplot.close(figure)


def fractals(options: argparse.Namespace) -> list[Path]:
    """Writes the sheet and the statistics of the fractals."""
    paths = [_folder(options, "mixtures") / name for name in ("fractals.png", "fractals.csv")]
    pictures = mixing_pictures.find(None).in_colour(FRACTAL_SIZE)
    draw_fractals(pictures, paths[0])
    rows = (((name, len(values)), values) for name, values in fractal_statistics(pictures).items())
    _write_percentiles(paths[1], ("statistic", "n"), rows, (0, 5, 50, 95, 100))
    return paths


# ---- the command

SHEETS = {"rendered": rendered, "mixtures": mixtures, "fractals": fractals}


def _folder(options: argparse.Namespace, name: str) -> Path:
    """The folder of a sheet, made."""
    folder = options.results / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("sheets", nargs="+", choices=tuple(SHEETS), help="which to draw")
    parser.add_argument("--data_dir", help="folder of the sources; default $MIA_TF_DATA")
    with_groups = sorted(name for name in MIXTURES if MIXTURES[name].under)
    parser.add_argument("--dataset", default=",".join(with_groups), help="mixtures to draw (default: %(default)s)")
    parser.add_argument("--data_source", default="auto", help="as of mia_tf.train")
    parser.add_argument("--results", type=commands.folder_to_write, default=RESULTS, help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="draws the rendered digits, and chooses the examples")
    options = parser.parse_args()
    matplotlib.use("Agg")
    for name in options.sheets:
        for path in SHEETS[name](options):
            print(f"Wrote {path}")


if __name__ == "__main__":
    commands.run(main)
