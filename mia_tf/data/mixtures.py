"""The named mixtures D_O + D_U of an over- and an under-represented group (Choi et al., section 4).

One more mixture is one more entry of `MIXTURES`; the tests take it up by themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mia_tf.data.resampling import resize_by_area, to_grey


@dataclass(frozen=True)
class Mixture:
    """What a mixture is made of.

    Attributes:
        name: what `--dataset` calls it.
        over: the source data set of the over-represented group, a key of `sources.SOURCES`.
        under: that of the under-represented group; None for no such group.
        num_over: the paper's count; None for all there are.
        num_under: the paper's count.
        group_names: what figures call the two groups.
        transform_over, transform_under: source images (n, H, W, C) uint8 -> images of the mixture, one for
            one; both groups must come out in one shape.
        num_classes: number of labels; both groups use the same label ids.
    """

    name: str
    over: str
    under: str | None = None
    num_over: int | None = None
    num_under: int = 0
    group_names: tuple[str, str] = ("over-represented", "under-represented")
    transform_over: Callable[[np.ndarray], np.ndarray] = np.asarray
    transform_under: Callable[[np.ndarray], np.ndarray] = np.asarray
    num_classes: int = 10


def like_mnist(images: np.ndarray) -> np.ndarray:
    """(n, H, W, 3) uint8 colour images as MNIST has them: grey, 28 x 28 by area, (n, 28, 28, 1) uint8."""
    return resize_by_area(to_grey(images), 28)


MIXTURES = {
    mixture.name: mixture
    for mixture in (
        Mixture("mnist", over="mnist", group_names=("MNIST", "none")),
        Mixture(
            "mnist_svhn",
            over="mnist",
            under="svhn",
            num_under=1000,
            group_names=("MNIST", "SVHN"),
            transform_under=like_mnist,
        ),
    )
}
