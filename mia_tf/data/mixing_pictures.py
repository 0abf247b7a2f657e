"""The pictures that PixMix mixes in: a folder of them, or our own fractals."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.validation import InputError

FOLDER = "pixmix"
"""Of the folder of data: images of any size, at any depth, such as the pictures that Hendrycks et al. publish."""

NUM_FRACTALS = 400
MOST_READ = 2000
"""A larger folder is sampled: reading takes milliseconds an image, and few more than this are ever mixed in."""

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
_SEED = 20220309  # one fixed set of pictures; an experiment's seed chooses among them


@dataclass(frozen=True)
class MixingPictures:
    """Pictures that are read or rendered when they are asked for.

    Attributes:
        provenance: where they come from, for people.
        in_colour: size -> (m, size, size, 3) uint8, the same pictures every time.
    """

    provenance: str
    in_colour: Callable[[int], np.ndarray]


def find(data_folder: Path | None) -> MixingPictures:
    """The pictures in `data_folder`/pixmix if that folder exists, else fractals.

    Raises:
        InputError: the folder holds no images. (One that cannot be read is told by `in_colour`.)
    """
    folder = None if data_folder is None else data_folder / FOLDER
    if folder is None or not folder.exists():
        provenance = f"{NUM_FRACTALS} fractals rendered by mia_tf.data.fractals, not PixMix's 14,248"
        return MixingPictures(provenance, functools.partial(_fractals, NUM_FRACTALS))
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not files:
        line = f"No images in {folder}: put PixMix's mixing pictures there, or remove the folder for fractals"
        raise InputError(line, "data_dir", folder)
    chosen = files
    if len(files) > MOST_READ:
        chosen = [files[row] for row in np.random.default_rng(_SEED).permutation(len(files))[:MOST_READ]]
    return MixingPictures(
        f"{len(chosen)} of the {len(files)} pictures in the folder {folder.name}",
        lambda size: np.stack([_read(path, size) for path in chosen]),
    )


@functools.cache
def _fractals(count: int, size: int) -> np.ndarray:
    """Rendered once a process: it takes seconds."""
    from mia_tf.data.fractals import render

    pictures = render(count, size, np.random.default_rng(_SEED))
    pictures.flags.writeable = False
    return pictures


def _read(path: Path, size: int) -> np.ndarray:
    """(size, size, 3) uint8: the middle square, made smaller or larger."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (2 * size, 2 * size))  # spares a JPEG's decoder most of the work
            return np.asarray(ImageOps.fit(picture.convert("RGB"), (size, size), Image.Resampling.BOX))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # what Pillow raises on damage
        raise InputError(f"Cannot read {path}: it is not a whole image ({error})", "data_dir", path) from None
