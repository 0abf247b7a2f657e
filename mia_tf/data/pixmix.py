"""PixMix (Hendrycks et al., "PixMix: Dreamlike Pictures Comprehensively Improve Safety Measures", CVPR 2022).

An image is mixed again and again, each time with an augmented copy of itself or with a picture of much
structure, such as a fractal. Choi et al. (appendix C) make augMNIST and augCIFAR-10 with it.
"""

import hashlib

import numpy as np

from mia_tf.data.operations import OPERATIONS, apply
from mia_tf.validation import check, check_integer, check_shape

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
) -> np.ndarray:
    """Augments each image by PixMix, in a fifth of a millisecond each (28 x 28 or 32 x 32, one core).

    It starts as it is or, as often, as an augmented copy. Then `least` to k times, all equally likely, it is mixed
    with another augmented copy of the image or, as often, with the one of `pictures` that was drawn for it: by
    `add` or `multiply`, with new `weights`, clipped to the grey levels that there are. An augmented copy is the
    image under one of the `operations`, all equally likely, of a strength between 0.01 and severity / 10. The
    defaults are those of Choi et al., appendix C.

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

    Returns:
        (n, H, W, C) uint8. More than a tenth come out as they went in by default: they start so, and are never mixed.

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
    key = int(rng.integers(2**63))
    mixed = np.empty_like(images)
    for row, image in enumerate(images):
        digest = hashlib.blake2b(image.tobytes(), digest_size=8).digest()
        own_rng = np.random.default_rng([key, int.from_bytes(digest, "big")])
        mixed[row] = _mix(image, pictures, own_rng, (least, k), beta, severity)
    return mixed


def pixmix_until_changed(images: np.ndarray, pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """PixMix, again for the images that came out as they went in, a hundred times at most.

    Args and result are those of `pixmix`. A data set that has the originals too would have such an image twice.
    """
    mixed = images
    for _ in range(100):
        same = (mixed == images).all(axis=(1, 2, 3))
        if not same.any():
            break
        mixed = mixed.copy()
        mixed[same] = pixmix(images[same], pictures, rng)
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


def _mix(image, pictures, rng, rounds, beta, severity) -> np.ndarray:
    """PixMix of one image, (H, W, C) uint8, in rounds[0] to rounds[1] rounds."""
    picture = pictures[rng.integers(len(pictures))]
    start = _augment(image, severity, rng) if rng.random() < 0.5 else image
    mixed = start / 255
    for _ in range(rng.integers(rounds[0], rounds[1] + 1)):
        other = _augment(image, severity, rng) if rng.random() < 0.5 else picture
        mixing = add if rng.random() < 0.5 else multiply
        mixed = np.clip(mixing(mixed, other / 255, *weights(beta, rng)), 0, 1)
    return np.round(mixed * 255).astype(np.uint8)


def _augment(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """A copy under one operation, (H, W, C) uint8; a grey picture has no colour to change."""
    names = [name for name in OPERATIONS if image.shape[2] == 3 or name != "color"]
    return apply(names[rng.integers(len(names))], image, rng.uniform(0.1, severity) / _MAX_SEVERITY, rng)
