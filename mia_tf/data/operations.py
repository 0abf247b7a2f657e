"""Augmentations of one picture with Pillow: those of AugMix, which PixMix takes over (Hendrycks et al.).

Each moves the picture, or changes its grey levels or colours, by an amount that grows with a strength in
[0, 1]; what comes in from outside is black.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps


def _rotate(picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """By whole degrees, 30 at most."""
    return picture.rotate(_sign(rng) * int(30 * strength), Image.Resampling.BILINEAR)


def _shear_x(picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Each row by 0.3 of its height in the picture at most."""
    return _affine(picture, (1, _sign(rng) * 0.3 * strength, 0, 0, 1, 0))


def _shear_y(picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Each column by 0.3 of its place in the picture at most."""
    return _affine(picture, (1, 0, 0, _sign(rng) * 0.3 * strength, 1, 0))


def _translate_x(picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """By whole pixels, a third of the width at most."""
    return _affine(picture, (1, 0, _sign(rng) * int(picture.width / 3 * strength), 0, 1, 0))


def _translate_y(picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """By whole pixels, a third of the height at most."""
    return _affine(picture, (1, 0, 0, 0, 1, _sign(rng) * int(picture.height / 3 * strength)))


def _enhance(kind: type) -> Callable:
    """0.1 (hardly any of it left) to 1.9 (nearly twice as much) of what `kind` measures; 1 changes nothing."""
    return lambda picture, strength, rng: kind(picture).enhance(0.1 + 1.8 * strength)


_Operation = Callable[[Image.Image, float, np.random.Generator], Image.Image]

NINE: dict[str, _Operation] = {
    "autocontrast": lambda picture, strength, rng: ImageOps.autocontrast(picture),
    "equalize": lambda picture, strength, rng: ImageOps.equalize(picture),
    "posterize": lambda picture, strength, rng: ImageOps.posterize(picture, max(1, 4 - int(4 * strength))),
    "rotate": _rotate,
    "solarize": lambda picture, strength, rng: ImageOps.solarize(picture, 256 - int(256 * strength)),
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
}
"""Those that PixMix's published code takes unless it is called with --all-ops."""

OPERATIONS: dict[str, _Operation] = {
    **NINE,
    "color": _enhance(ImageEnhance.Color),
    "contrast": _enhance(ImageEnhance.Contrast),
    "brightness": _enhance(ImageEnhance.Brightness),
    "sharpness": _enhance(ImageEnhance.Sharpness),
}
"""name -> (picture, strength, rng) -> picture of the same size and mode."""


def apply(name: str, image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """The image under the operation `name`.

    Args:
        name: a key of OPERATIONS.
        image: (H, W, C) uint8, C 1 (grey) or 3.
        strength: in [0, 1]; of no account to autocontrast and equalize.
        rng: draws the direction of what moves.

    Returns:
        (H, W, C) uint8.
    """
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    return np.asarray(OPERATIONS[name](picture, strength, rng)).reshape(image.shape)


def _sign(rng: np.random.Generator) -> int:
    """1 or -1."""
    return 1 if rng.random() < 0.5 else -1


def _affine(picture: Image.Image, coefficients: tuple) -> Image.Image:
    """Returns a picture: its pixel (x, y) is the given one's at (a x + b y + c, d x + e y + f)."""
    return picture.transform(picture.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
