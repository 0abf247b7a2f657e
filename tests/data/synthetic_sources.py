"""Small random archives in Keras' layout, and folders of images in CINIC-10's."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from mia_tf.data.catalogue import SOURCES


def synthetic_arrays(name: str, per_label: int = 12, test_per_label: int = 3, seed: int = 0) -> dict:
    """Random images of the shape of source data set `name`, all labels equally often, rows in random order."""
    source = SOURCES[name]
    rng = np.random.default_rng([seed, *name.encode()])
    arrays = {}
    for split, count in (("train", per_label), ("test", test_per_label)):
        labels = rng.permutation(np.repeat(np.arange(source.num_classes), count)).astype(np.uint8)
        arrays[f"x_{split}"] = rng.integers(0, 256, (len(labels), *source.shape), dtype=np.uint8)
        arrays[f"y_{split}"] = labels
    return arrays


def write_source(folder: Path, name: str, arrays: dict) -> None:
    """Writes those arrays as the archive or the folder of images that `name` is read from."""
    if not SOURCES[name].classes:
        np.savez(folder / f"{name}.npz", **arrays)
        return
    shutil.rmtree(folder / name, ignore_errors=True)
    for split in ("train", "test"):
        for row, (image, label) in enumerate(zip(arrays[f"x_{split}"], arrays[f"y_{split}"], strict=True)):
            of_class = folder / name / split / SOURCES[name].classes[label]
            of_class.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(of_class / f"n02691156_{row}.png", compress_level=1)
