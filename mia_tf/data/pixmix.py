"""PixMix (Hendrycks et al., "PixMix: Dreamlike Pictures Comprehensively Improve Safety Measures", CVPR 2022).

An image is mixed several times, each time with an augmented copy of itself or with a picture of much structure, such as
a fractal. Choi et al. (appendix C) make augMNIST and augCIFAR-10 with it.
"""

import functools
import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from mia_tf.config import PIXMIX
from mia_tf.data.operations import NINE, OPERATIONS, apply
from mia_tf.validation import check, check_choice, check_integer, check_shape

READINGS: Mapping[str, Mapping[str, Any]] = dict(
    zip(PIXMIX, ({}, {"operations": tuple(NINE), "pad": 4, "mirror": True}), strict=True)
)
"""Value of `--pixmix` -> settings of `pixmix`."""
_MAX_SEVERITY = 10.0
_BLACK = 1e-37  # stands for 0 where 0 would divide


def pixmix(
    images: np.ndarray,
    pictures: np.ndarray,
    rng: np.random.Generator,
    *,
    k: int = 4,
    least: int = 0,
    beta: float = 2.0,
    severity: float = 4.0,
    operations: Collection[str] = tuple(OPERATIONS),
    pad: int = 0,
    mirror: bool = False,
) -> np.ndarray:
    """Augments each image by PixMix, in a fifth of a millisecond each (28 x 28 or 32 x 32, one core).

    It starts as it is or, as often, as an augmented copy. Then it is mixed `least` to k times, all numbers equally
    likely. It is mixed with another augmented copy or, as often, with the one of `pictures` that was drawn for it: by
    `add` or `multiply`, with new `weights`, clipped to the grey levels that exist. An augmented copy is the image under
    one of the `operations`, all equally likely, of a strength between 0.01 and severity / 10. The defaults are those of
    Choi et al., appendix C. PixMix's published code has nine operations, and mirrors and crops each image before it
    mixes (`READINGS`).

    What an image becomes depends on its pixels, on `pictures` and on `rng`, not on the other images or on
    their order; equal images become equal.

    Args:
        images: (n, H, W, C) uint8, C 1 (grey) or 3.
        pictures: (m, H, W, C) uint8 mixing pictures.
        rng: draws everything.
        k: the most rounds of mixing.
        least: the fewest; none in PixMix, while the "4 iterations" of Choi et al. may be no fewer.
        beta: of the weights; the larger, the less is mixed in.
        severity: of the operations, in [0.1, 10].
        operations: names of `operations.OPERATIONS`. Grey images leave out "color", which would not change them.
        pad: if above 0, each image is first padded with this many black pixels and cropped at random to its size.
        mirror: whether each image is first mirrored, left to right, with probability 1/2.

    Returns:
        (n, H, W, C) uint8. By default more than a tenth come out as they went in: they start so, and are never mixed.

    Raises:
        InputError: shapes, dtypes or settings that are not as above.
    """
    channels = images.shape[3] if images.ndim == 4 else None
    check("images", f"shape {images.shape}", channels in (1, 3), "must have shape (n, H, W, 1) or (n, H, W, 3)")
    check_shape("images", images, images.shape, np.uint8)
    check_shape("pictures", pictures, (None, *images.shape[1:]), np.uint8)
    check("pictures", f"shape {pictures.shape}", len(pictures) > 0, "must not be empty")
    check_integer("k", k, 0)
    check_integer("least", least, 0)
    check("least", least, least <= k, f"must be at most k={k}")
    check("beta", beta, beta > 0, "must be above 0")
    check("severity", severity, 0.1 <= severity <= _MAX_SEVERITY, f"must be in [0.1, {_MAX_SEVERITY:g}]")
    for name in operations:
        check_choice("operations", name, OPERATIONS)
    names = [name for name in operations if channels == 3 or name != "color"]
    check("operations", tuple(operations), len(names) > 0, "must not be empty for these images")
    check_integer("pad", pad, 0)
    augment = functools.partial(_augment, names, severity)
    key = int(rng.integers(2**63))
    mixed = np.empty_like(images)
    for row, image in enumerate(images):
        digest = hashlib.blake2b(image.tobytes(), digest_size=8).digest()
        own_rng = np.random.default_rng([key, int.from_bytes(digest, "big")])
        mixed[row] = _mix(_moved(image, pad, mirror, own_rng), pictures, own_rng, (least, k), beta, augment)
    return mixed


def pixmix_until_changed(
    images: np.ndarray, pictures: np.ndarray, rng: np.random.Generator, **settings: Any
) -> np.ndarray:
    """PixMix, again for the images that came out as they went in, a hundred times at most.

    Args and result are those of `pixmix`. A data set that has the originals too would have such an image twice.
    """
    mixed = images
    for _ in range(100):
        same = (mixed == images).all(axis=(1, 2, 3))
        if not same.any():
            break
        mixed = mixed.copy()
        mixed[same] = pixmix(images[same], pictures, rng, **settings)
    return mixed


def weights(beta: float, rng: np.random.Generator) -> tuple[float, float]:
    """Draws the weight a of what there is and the weight b of what is mixed in.

    As often as not both are positive: a from Beta(beta, 1), mostly near 1, and b from Beta(1, beta), mostly near
    0. Otherwise something is taken away: a - 1 and -b are drawn from Beta(1, beta).
    """
    if rng.random() < 0.5:
        return rng.beta(beta, 1), rng.beta(1, beta)
    return 1 + rng.beta(1, beta), -rng.beta(1, beta)


def add(image: np.ndarray, other: np.ndarray, a: float, b: float) -> np.ndarray:
    """a x + b y of pictures on a scale from -1 to 1, where middle grey changes nothing; given and returned in [0, 1].

    The result is not clipped.
    """
    return (a * (2 * image - 1) + b * (2 * other - 1) + 1) / 2


def multiply(image: np.ndarray, other: np.ndarray, a: float, b: float) -> np.ndarray:
    """x^a y^b of pictures on a scale from 0 to 2, where middle grey changes nothing; given and returned in [0, 1].

    The result is not clipped. a must be positive: black x stays black. Black y counts as 1e-37, so that a
    negative b gives a large number and not infinity.
    """
    return (2 * image) ** a * np.maximum(2 * other, _BLACK) ** b / 2


def _moved(image: np.ndarray, pad: int, mirror: bool, rng: np.random.Generator) -> np.ndarray:
    """The image mirrored or not, and then cropped at random from its padded self, (H, W, C) uint8."""
    if mirror and rng.random() < 0.5:
        image = image[:, ::-1]
    if pad:
        height, width = image.shape[:2]
        y, x = rng.integers(0, 2 * pad + 1, 2)
        image = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))[y : y + height, x : x + width]
    return image


def _mix(
    image: np.ndarray,
    pictures: np.ndarray,
    rng: np.random.Generator,
    rounds: tuple[int, int],
    beta: float,
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray],
) -> np.ndarray:
    """PixMix of one image, (H, W, C) uint8, in rounds[0] to rounds[1] rounds."""
    picture = pictures[rng.integers(len(pictures))]
    start = augment(image, rng) if rng.random() < 0.5 else image
    mixed = start / 255
    for _ in range(rng.integers(rounds[0], rounds[1] + 1)):
        other = augment(image, rng) if rng.random() < 0.5 else picture
        mixing = add if rng.random() < 0.5 else multiply
        mixed = np.clip(mixing(mixed, other / 255, *weights(beta, rng)), 0, 1)
    return np.round(mixed * 255).astype(np.uint8)


def _augment(names: list[str], severity: float, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy under one of the operations named, (H, W, C) uint8."""
    return apply(names[rng.integers(len(names))], image, rng.uniform(0.1, severity) / _MAX_SEVERITY, rng)
