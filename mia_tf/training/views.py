"""Mirrored and shifted views of images, for augmentation and for queries.

A view is pure indexing: each row and column of the view names the row and column of the image that
it shows, reflected at the border. So mirroring, REFLECT padding and cropping are one gather, on either backend.
"""

import itertools

import numpy as np
from keras import ops

from mia_tf.config import PAD


def query_views(count: int) -> list[tuple[int, int, bool]]:
    """The first `count` query views as (rows down, columns right, mirrored).

    The image and its mirror image come first; then both forms of the eight shifts by PAD, which
    make LiRA's 18 queries; then those of all other shifts, the smallest first.
    """
    shifts = itertools.product(range(-PAD, PAD + 1), repeat=2)
    corners = {-PAD, 0, PAD}

    def rank(shift):
        distance = max(abs(shift[0]), abs(shift[1]))
        return shift != (0, 0), not (shift[0] in corners and shift[1] in corners), distance, shift

    views = [(dy, dx, mirrored) for dy, dx in sorted(shifts, key=rank) for mirrored in (False, True)]
    return views[:count]


def are_pictures(x) -> bool:
    """Whether these are pictures (B, H, W, C), of which there are views, and no other arrays, nor several."""
    return not isinstance(x, dict | tuple) and len(x.shape) == 4


def gather_views(images, shifts, mirrored):
    """Shows each image shifted, with reflected borders, and mirrored if asked for.

    Args:
        images: (B, H, W, C), any dtype.
        shifts: (B, 2) int32 in [-PAD, PAD]: rows down, columns right of the cropping window.
        mirrored: (B,) bool; the image is mirrored first, then padded and cropped.

    Returns:
        (B, H, W, C), the dtype of `images`.
    """
    count, (height, width, channels) = ops.shape(images)[0], images.shape[1:]
    rows = _reflect(ops.arange(height)[None] + shifts[:, :1], height)
    columns = _reflect(ops.arange(width)[None] + shifts[:, 1:], width)
    columns = ops.where(mirrored[:, None], width - 1 - columns, columns)
    first_rows = ops.arange(count)[:, None] * height
    pixels = (first_rows + rows)[:, :, None] * width + columns[:, None]
    return ops.take(ops.reshape(images, (-1, channels)), pixels, axis=0)


def augment(images, augmentation: str, draws):
    """LiRA's augmentations: "weak" mirrors, pads and crops at random, "mirror" mirrors, "none" does nothing.

    Args:
        images: (B, H, W, C), any dtype.
        augmentation: one of the three names.
        draws: (3, B) float32, uniform in [0, 1).
    """
    if augmentation == "none":
        return images
    mirrored = draws[0] < 0.5
    if augmentation == "mirror":
        return ops.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    shifts = ops.cast(ops.floor(draws[1:] * (2 * PAD + 1)), "int32") - PAD
    return gather_views(images, ops.transpose(shifts), mirrored)


def to_input(images):
    """uint8 pixels as the float32 input in [-1, 1] that every model takes: x / 127.5 - 1."""
    return ops.cast(images, "float32") / np.float32(127.5) - 1


def _reflect(positions, size: int):
    """Positions beyond [0, size) reflected into it without repeating the border."""
    return size - 1 - ops.abs(size - 1 - ops.abs(positions))
