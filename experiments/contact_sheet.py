"""A contact sheet of the rendered house numbers beside real SVHN digits, and the statistics of both.

Command:  python -m experiments.contact_sheet --data_dir=FOLDER_WITH_SVHN_NPZ
Cost:     ten seconds on one core. Without --data_dir (or MIA_TF_DATA) only the rendered half is drawn.
Writes:   contact_sheet.png and statistics.csv in --out (default experiments/results/rendered_digits).
Expected: the halves resemble in colour, contrast, sharpness and crowding; the quartiles of each statistic are
          close. Real pictures vary more: other typefaces, occlusions, wrong crops.
"""

import csv
from pathlib import Path

import matplotlib
import numpy as np
from absl import flags

from mia_tf import command_line
from mia_tf.data.mixtures import like_mnist
from mia_tf.data.rendered_digits import render
from mia_tf.data.sources import folder_of_archives, read

ROWS = 6
PER_LABEL = 100
PERCENTILES = (5, 25, 50, 75, 95)


def statistics(images: np.ndarray) -> dict[str, np.ndarray]:
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


def sheet(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(ROWS * 34, 340, 3) uint8: ROWS pictures of each digit, one column a digit, a white line between."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
    columns = [np.concatenate(padded[labels == label][:ROWS], axis=0) for label in range(10)]
    return np.concatenate(columns, axis=1)


def draw(parts: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Draws one titled sheet for each part."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(parts), 1, figsize=(6.2, 4.1 * len(parts)), squeeze=False, layout="constrained")
    for ax, (title, (images, labels)) in zip(axes[:, 0], parts.items(), strict=True):
        ax.imshow(sheet(images, labels), interpolation="nearest")
        ax.set_title(title, fontsize=10)
        ax.set_xticks(17 + 34 * np.arange(10), labels=[str(label) for label in range(10)])
        ax.set_yticks([])
        ax.set_xlabel("label")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def main() -> None:
    labels = np.repeat(np.arange(10), PER_LABEL)
    parts = {"Rendered house numbers (stand-in)": (render(labels, np.random.default_rng(flags.FLAGS.seed)), labels)}
    if folder_of_archives(flags.FLAGS.data_dir) is not None:
        (real,) = read(["svhn"], "npz", flags.FLAGS.data_dir)
        parts["Real SVHN digits"] = real.images, real.labels
    out = command_line.path_flag("out")
    out.mkdir(parents=True, exist_ok=True)
    draw(parts, out / "contact_sheet.png")
    with open(out / "statistics.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["statistic", "pictures", "mean", *(f"p{p}" for p in PERCENTILES)])
        for title, (images, _) in parts.items():
            for name, values in statistics(images).items():
                row = [values.mean(), *np.percentile(values, PERCENTILES)]
                writer.writerow([name, title, *(f"{v:.2f}" for v in row)])
    print(f"Wrote {out / 'contact_sheet.png'} and {out / 'statistics.csv'}")


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "Folder that holds svhn.npz.")
    flags.DEFINE_string("out", "experiments/results/rendered_digits", "Folder to write to.")
    flags.DEFINE_integer("seed", 0, "Draws the pictures.")
    command_line.run("experiments.contact_sheet", main)
