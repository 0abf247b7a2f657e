"""A contact sheet of the fractals that PixMix mixes in if there are no other pictures, and how they differ.

Command:  python -m experiments.fractal_sheet
Cost:     ten seconds on one core.
Writes:   fractals.png and fractals.csv in --out (default experiments/results/mixtures).
Expected: pictures that look like fractals, of many forms, colours, brightnesses and contrasts; no two are alike: the
          greatest correlation of two is far below 1, and the root mean square difference far above 0.
"""

import csv
from pathlib import Path

import matplotlib
import numpy as np
from absl import flags

from mia_tf import command_line
from mia_tf.data import mixing_pictures
from mia_tf.figures import style

SIZE = 32  # of CIFAR-10; MNIST's fractals are rendered at 28 pixels and made grey
ROWS, COLUMNS = 14, 20
PERCENTILES = (0, 5, 50, 95, 100)


def statistics(pictures: np.ndarray) -> dict[str, np.ndarray]:
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


def sheet(pictures: np.ndarray) -> np.ndarray:
    """(ROWS * 34, COLUMNS * 34, 3) uint8: the first pictures, a white line between."""
    padded = np.pad(pictures[: ROWS * COLUMNS], ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
    rows = [np.concatenate(row, axis=1) for row in padded.reshape(ROWS, COLUMNS, *padded.shape[1:])]
    return np.concatenate(rows)


def draw(pictures: np.ndarray, path: Path) -> None:
    """Draws the titled sheet."""
    from matplotlib import pyplot

    with matplotlib.rc_context(style.RC):
        figure, ax = pyplot.subplots(figsize=(8, 5.9), layout="constrained")
        ax.imshow(sheet(pictures), interpolation="nearest")
        ax.set_title(f"Fractals to mix in: {ROWS * COLUMNS} of {len(pictures)}, {SIZE} x {SIZE} pixels")
        ax.set_axis_off()
        figure.savefig(path, dpi=170)
        pyplot.close(figure)


def main() -> None:
    matplotlib.use("Agg")
    out = command_line.path_flag("out")
    out.mkdir(parents=True, exist_ok=True)
    pictures = mixing_pictures.find(None).in_colour(SIZE)
    draw(pictures, out / "fractals.png")
    with open(out / "fractals.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["statistic", "n", *(f"p{p}" for p in PERCENTILES)])
        for name, values in statistics(pictures).items():
            writer.writerow([name, len(values), *(f"{v:.2f}" for v in np.percentile(values, PERCENTILES))])
    print(f"Wrote {out / 'fractals.png'} and {out / 'fractals.csv'}")


if __name__ == "__main__":
    flags.DEFINE_string("out", "experiments/results/mixtures", "Folder to write to.")
    command_line.run("experiments.fractal_sheet", main)
