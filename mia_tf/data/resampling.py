"""Colour to grey and one size to another, exact to the last bit on every machine.

An example is known by a hash of its pixels, so a pixel must not depend on how a machine adds up floats.
All sums here are of integers (held in float64, far below 2^53, where matrix products are fast and exact),
and each pixel is rounded once.
"""

import numpy as np

GREY_WEIGHTS = (2989, 5870, 1140)
"""Ten-thousandths of red, green and blue in grey (Choi et al., section 4); they add up to 0.9999."""

_SCALE = 10_000
_CHUNK = 4096  # images at a time: bounds the memory of the wide sums


def to_grey(images: np.ndarray) -> np.ndarray:
    """Grey levels 0.2989 R + 0.5870 G + 0.1140 B in ten-thousandths, not yet rounded.

    Args:
        images: (n, H, W, 3) uint8.

    Returns:
        (n, H, W) int32 in [0, 2549745].
    """
    red, green, blue = (images[..., channel].astype(np.int32) for channel in range(3))
    return red * GREY_WEIGHTS[0] + green * GREY_WEIGHTS[1] + blue * GREY_WEIGHTS[2]


def area_overlaps(old: int, new: int) -> np.ndarray:
    """(new, old) overlap of each new cell with each old cell along a line, in units of 1/new of an old cell.

    Every row adds up to `old`, every column to `new`.
    """
    starts, ends = np.arange(new) * old, (np.arange(new) + 1) * old
    old_starts, old_ends = np.arange(old) * new, (np.arange(old) + 1) * new
    overlap = np.minimum.outer(ends, old_ends) - np.maximum.outer(starts, old_starts)
    return np.maximum(overlap, 0)


def resize_by_area(grey: np.ndarray, size: int) -> np.ndarray:
    """Resizes by averaging over areas: a new pixel is the mean of the old picture under it.

    Averaging over areas is antialiased, keeps a picture's mean and a constant picture, and has one
    definition (resampling filters differ between libraries and their versions).

    Args:
        grey: (n, H, W) integers, grey levels in ten-thousandths.
        size: the new height and width.

    Returns:
        (n, size, size, 1) uint8, rounded half up.
    """
    rows = area_overlaps(grey.shape[1], size).astype(np.float64)
    columns = area_overlaps(grey.shape[2], size).astype(np.float64)
    divisor = _SCALE * grey.shape[1] * grey.shape[2]
    resized = np.empty((len(grey), size, size, 1), np.uint8)
    for start in range(0, len(grey), _CHUNK):
        sums = rows @ grey[start : start + _CHUNK].astype(np.float64) @ columns.T
        resized[start : start + _CHUNK, ..., 0] = (2 * sums.astype(np.int64) + divisor) // (2 * divisor)
    return resized
