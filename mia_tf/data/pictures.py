"""Pictures as users have them in archives, to uint8 with the channels last."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mia_tf.data.archives import StoredArray
from mia_tf.validation import check, check_shape, fail

_HALF = 0.5
"""Half a level: what lies less than this outside of 0 and 255 rounds to a level."""
_DARKEST = 127
"""Numbers up to this may have a range of their own, such as 0 to 16 or 0 to 100, instead of 0 to 255."""


@dataclass(frozen=True)
class Pictures:
    """Pictures, and what was done to them.

    Attributes:
        images: (N, H, W, C) uint8.
        scale: what the stored pixels were multiplied by: 255 if they were in [0, 1], else 1.
        floats: whether the stored pixels were floats.
        changes: what was done to them beside a change of dtype, for people; "" for nothing.
    """

    images: np.ndarray
    scale: int
    floats: bool
    changes: str


def read_pictures(
    stored: StoredArray, name: str, *, shape: tuple[int, int, int] | None = None, like: Pictures | None = None
) -> Pictures:
    """Reads pictures in blocks: in memory there are the result and some megabytes.

    Args:
        stored: (N, H, W), (N, H, W, C) or, if it cannot be anything else, (N, C, H, W), with C 1 or 3: integers from
            0 to 255, or floats from 0 to 255 or from 0 to 1, which are rounded to 256 levels.
        name: its name in error messages.
        shape: the (H, W, C) that the pictures must have; None for any.
        like: other pictures, whose shape and range these must have; None for any.

    Raises:
        InputError: the array is anything else; the message says how to convert it.
    """
    check(name, f"dtype {stored.dtype}", stored.dtype.kind in "uif", _how_to_convert_dtype(stored.dtype))
    channels_last = _layout(stored, name)
    floats = stored.dtype.kind == "f"
    low, high = (0, 255) if stored.dtype == np.uint8 else _range(stored, name)
    if like is not None and like.floats == floats:
        scale = like.scale
        _check_range_of_others(low, high, scale, floats, name)
    else:
        scale = _scale(low, high, floats, name)
    count, *size = stored.shape
    images = np.empty((count, *channels_last(np.empty((0, *size))).shape[1:]), np.uint8)
    start = 0
    for block in stored.blocks():
        if floats:
            block = np.rint(block.astype(np.float64) * scale)
        images[start : start + len(block)] = channels_last(block)
        start += len(block)
    if stored.dtype == np.uint8 and like is None:
        low, high = images.min(), images.max()
        check(name, f"pixels from {low} to {high}", high > 1, _clearer(high))
    elif stored.dtype == np.uint8 and like is not None and like.images.max() > 1 and len(images):
        low, high = images.min(), images.max()
        check(
            name,
            f"pixels from {low} to {high}",
            high > 1,
            "must have pixels from 0 to 255, as the training pictures have",
        )
    wanted = shape if like is None else like.images.shape[1:]
    if wanted is not None:
        check_shape(name, images, (None, *wanted))
    changes = [f"{stored.dtype} from 0 to {255 // scale} rounded to 256 levels"] * floats
    dark = stored.dtype == np.uint8 and bool(images.max(initial=0) <= _DARKEST)
    changes += [f"only from 0 to {images.max(initial=0)}; if that is white, divide them by it"] * dark
    changes += ["reordered from (N, C, H, W) to (N, H, W, C)"] * (channels_last is _from_channels_first)
    return Pictures(images, scale, floats, " and ".join(changes))


def _from_channels_last(block: np.ndarray) -> np.ndarray:
    return block


def _from_grey(block: np.ndarray) -> np.ndarray:
    return block[..., np.newaxis]


def _from_channels_first(block: np.ndarray) -> np.ndarray:
    return np.moveaxis(block, 1, -1)


def _layout(stored: StoredArray, name: str) -> Callable[[np.ndarray], np.ndarray]:
    """What brings the channels of a block of pictures to its last axis."""
    shape = stored.shape
    if 0 not in shape:
        if len(shape) == 3:
            return _from_grey
        if len(shape) == 4 and shape[3] in (1, 3):
            return _from_channels_last
        if len(shape) == 4 and shape[1] in (1, 3):
            return _from_channels_first
    convert = ""
    if len(shape) == 2:
        convert = ": give flat pictures their shape with x.reshape(-1, H, W, C)"
    elif len(shape) == 4 and shape[3] == 4:
        convert = ": leave out the alpha channel with x[..., :3]"
    elif len(shape) == 4 and shape[2] in (1, 3):
        convert = ": bring the axis of the examples to the front with np.moveaxis(x, -1, 0)"
    allowed = "must have shape (N, H, W), (N, H, W, 1 or 3) or (N, 1 or 3, H, W)"
    fail(name, f"shape {shape}", allowed + convert)


def _how_to_convert_dtype(dtype: np.dtype) -> str:
    convert = ": x.astype(np.uint8) * 255 makes True white" if dtype.kind == "b" else ""
    return "must have integers from 0 to 255, or floats from 0 to 255 or from 0 to 1" + convert


def _range(stored: StoredArray, name: str) -> tuple:
    """The smallest and the largest pixel."""
    ends = np.array([(block.min(), block.max()) for block in stored.blocks()])
    low, high = ends.min().item(), ends.max().item()  # NaN if one is
    finite = np.isfinite(low) and np.isfinite(high)
    check(name, "NaN or infinity", finite, "must be finite: leave such pictures out, or x = np.nan_to_num(x)")
    return low, high


def _scale(low, high, floats: bool, name: str) -> int:
    """255 for pixels from 0 to 1, 1 for pixels from 0 to 255."""
    received = f"pixels from {low} to {high}"
    if floats and -_HALF < 255 * low and 255 * high < 255 + _HALF:
        return 255
    unit = floats and 255 * high < 255 + _HALF
    allowed = "must not be negative: take the change of range back, such as with (x + 1) / 2 or x * std + mean"
    check(name, received, low > -_HALF and not unit, allowed)
    allowed = "must be at most 255: convert pixels of 16 bits with x / 65535"
    check(name, received, high < 255 + _HALF, allowed)
    check(name, received, high > _DARKEST, _clearer(high))
    return 1


def _clearer(high) -> str:
    """What must be done to pixels of an unknown range."""
    convert = "x.astype(np.float32)" if high <= 1 else "x / 16"
    return (
        "must have pixels that are clearly from 0 to 255, or floats from 0 to 1: divide them by the largest value that "
        f"a pixel can have, such as {convert}"
    )


def _check_range_of_others(low, high, scale: int, floats: bool, name: str) -> None:
    """Raises InputError if test pictures have another range than the training pictures."""
    fits = -_HALF < scale * low and scale * high < 255 + _HALF
    fits &= not (floats and scale == 1 and high <= 1 + _HALF / 255)  # else they would be black
    allowed = f"must have pixels from 0 to {255 // scale}, as the training pictures have"
    check(name, f"pixels from {low} to {high}", fits, allowed)
