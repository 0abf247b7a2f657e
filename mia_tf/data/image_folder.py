"""Reads data sets that are folders of images: SPLIT/CLASS/NAME.png."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mia_tf.validation import InputError, check, part_of

IGNORED = "cifar"
"""Images whose names begin so are left out: CINIC-10 has all of CIFAR-10 in it, as cifar10-SPLIT-NUMBER.png."""


def read_split(folder: Path, classes: Sequence[str], shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Reads one split, some hundred microseconds an image.

    Args:
        folder: has a folder of PNG files for each of `classes`.
        classes: names of the folders; the label of a class is its place here.
        shape: (H, W, 3) of every image.

    Returns:
        (n, H, W, 3) uint8 images and (n,) int64 labels, by class and file name.

    Raises:
        InputError: a folder is missing or empty, or a file is no such image.
    """
    files = [(path, label) for label, name in enumerate(classes) for path in _files(folder / name)]
    images = np.empty((len(files), *shape), np.uint8)
    for row, (path, _) in enumerate(files):
        images[row] = _read(path, shape)
    return images, np.array([label for _, label in files], np.int64)


def _files(folder: Path) -> list[Path]:
    """The images of one class."""
    files = sorted(path for path in folder.glob("*.png") if not path.name.startswith(IGNORED))
    if not files:
        line = f"No images in {folder}: *.png whose names do not begin with `{IGNORED}`"
        raise InputError(line, "data_dir", folder)
    return files


def _read(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """(H, W, 3) uint8; grey pictures become coloured ones."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            image = np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # what Pillow raises on damage
        raise InputError(f"Cannot read {path}: it is not a whole image ({error})", "data_dir", path) from None
    check(part_of("data_dir", str(path)), f"shape {image.shape}", image.shape == shape, f"must have shape {shape}")
    return image
