"""The named mixtures D_O + D_U of an over- and an under-represented group.

From Choi et al., sections 4 and 6, and from Carlini et al. 2022, Figure 13 (those whose labels are random, and
CINIC-10). One more mixture is one more entry of `MIXTURES`; the tests include it by themselves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mia_tf.config import PIXMIX
from mia_tf.data import mixing_pictures
from mia_tf.data.relabelling import random_labels, wrong_labels
from mia_tf.data.resampling import resize_by_area, to_grey


@dataclass(frozen=True)
class Change:
    """What is done at random to the examples that were chosen for a group.

    Attributes:
        apply: (images (n, H, W, C) uint8, labels (n,) int64, rng) -> changed images and labels, one for one
            and of the same shape and dtype; None for no change. The examples come in an order
            that follows from their pixels and the data seed, and `rng` from that seed: where `rng` draws all
            that is random, equal seeds give equal examples whatever the order of rows in the source. Training
            and test examples are changed in two calls, each with a generator of its own. No picture may come
            out as it went in where the other group has that picture too: an example is known by its pixels.
        sources: what it mixes in and where that came from, for people: where that is not the paper's, this says so.
    """

    apply: Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Mixture:
    """What a mixture is made of.

    Randomness: transforms are functions of one image and draw nothing; they go over whole sources, before
    examples are chosen by their pixels. What is random is a `Change`, which sees only the chosen examples.

    Attributes:
        name: what `--dataset` calls it.
        over: the source data set of the over-represented group, a key of `sources.SOURCES`.
        under: that of the under-represented group; None for no such group. Where it is `over` too, from
            "train", the group is changed examples of it, after transform_over. Their originals are not in the
            over-represented group as long as it leaves enough of each label; where it takes all, they all are.
        num_over: the paper's count; None for all that exist.
        num_under: the paper's count.
        group_names: what figures call the two groups.
        transform_over, transform_under: source images (n, H, W, C) uint8 -> images of the mixture, one for
            one; both groups must come out in one shape.
        change_under: (folder of data or None, value of `--pixmix` or None) -> the Change of the under-represented
            group. It is called before any data are read, so that it can say (InputError) what it lacks.
        pixmix: whether `--pixmix` says how `change_under` augments.
        under_from: the split that the under-represented group is chosen from, "train" or "test".
        num_test_under: the most test images of the under-represented group; None for all there are, 0 where
            its labels are random, so that no model can know them.
        num_classes: number of labels; both groups use the same label ids.
        recipe: flags of `mia_tf.train` -> values, where the settings of the mixture's paper differ from the default
            values. `mia_tf.recipes` takes them for the flags that the user does not set.
    """

    name: str
    over: str
    under: str | None = None
    num_over: int | None = None
    num_under: int = 0
    group_names: tuple[str, str] = ("over-represented", "under-represented")
    transform_over: Callable[[np.ndarray], np.ndarray] = np.asarray
    transform_under: Callable[[np.ndarray], np.ndarray] = np.asarray
    change_under: Callable[[Path | None, str | None], Change] = lambda folder, pixmix: Change()
    pixmix: bool = False
    under_from: str = "train"
    num_test_under: int | None = None
    num_classes: int = 10
    recipe: Mapping[str, str | float] = field(default_factory=dict)


def like_mnist(images: np.ndarray) -> np.ndarray:
    """(n, H, W, 3) uint8 colour images as MNIST has them: grey, 28 x 28 by area, (n, 28, 28, 1) uint8."""
    return resize_by_area(to_grey(images), 28)


def _relabelled(new_labels: Callable) -> Callable[[Path | None, str | None], Change]:
    """The Change of labels only, by a function of `relabelling`, to any of ten."""
    return lambda folder, pixmix: Change(lambda images, labels, rng: (images, new_labels(labels, 10, rng)))


def _augmented(data_folder: Path | None, pixmix: str | None) -> Change:
    """The Change of pictures by PixMix, as Choi et al. make augMNIST and augCIFAR-10 (Appendix C)."""
    pictures = mixing_pictures.find(data_folder)
    reading = PIXMIX[0] if pixmix is None else pixmix

    def apply(images, labels, rng):
        from mia_tf.data.pixmix import READINGS, pixmix_until_changed

        in_colour = pictures.in_colour(images.shape[1])
        grey = images.shape[3] == 1
        to_mix = resize_by_area(to_grey(in_colour), images.shape[1]) if grey else in_colour
        return pixmix_until_changed(images, to_mix, rng, **READINGS[reading]), labels

    return Change(apply, sources={"mixing pictures": pictures.provenance, "PixMix": f"as --pixmix={reading} says"})


# Choi et al. name the networks (CNN32, CNN64, ResNet-9, ResNet-18) and train each model on 70% of the mixture (Table
# 1). They give no epochs, batch, learning rate or augmentation, and do not say how CNN32 pools. For MNIST, pooling
# and epochs are calibrated: of the settings that experiments/calibration.py measured with cnn8, max pooling and 16
# epochs of the default batch came nearest to Table 1. Mirrored digits are other digits, so that MNIST is not
# augmented. augMNIST is made as PixMix's published code does, whose unseen pictures are nearest to the paper's in
# difficulty (experiments/augmnist_readings.py). For CIFAR-10 nothing is calibrated: the rest is LiRA's.
_CHOI = {"pkeep": 0.7}
_CHOI_MNIST = {"arch": "cnn32-3-max", **_CHOI, "epochs": 16, "augment": "none"}

MIXTURES = {
    mixture.name: mixture
    for mixture in (
        Mixture("mnist", over="mnist", group_names=("MNIST", "none"), recipe=_CHOI_MNIST),
        Mixture("cifar10", over="cifar10", group_names=("CIFAR-10", "none"), recipe={"arch": "resnet9", **_CHOI}),
        Mixture(
            "mnist_svhn",
            over="mnist",
            under="svhn",
            num_under=1000,
            group_names=("MNIST", "SVHN"),
            transform_under=like_mnist,
            recipe=_CHOI_MNIST,
        ),
        Mixture(
            "mnist_cifar10",
            over="mnist",
            under="cifar10",
            num_under=6000,
            group_names=("MNIST", "CIFAR-10"),
            transform_under=like_mnist,
            recipe={**_CHOI_MNIST, "arch": "cnn64-3-max"},
        ),
        Mixture(
            "cifar10_cifar100",
            over="cifar10",
            under="cifar100_first10",
            num_under=1000,
            group_names=("CIFAR-10", "CIFAR-100"),
            recipe={"arch": "resnet9", **_CHOI},
        ),
        # Choi et al. take "1,000 images randomly chosen from the augmented train set" beside all of the train set
        # (Appendix C). There the original of each augmented picture is an example too, whose membership is drawn
        # apart: a model that has not seen the picture has mostly seen the original, so that the picture's own
        # membership shows less. With a part of the train set (num_over), originals stay out and this is not so.
        Mixture(
            "mnist_augmnist",
            over="mnist",
            under="mnist",
            num_under=1000,
            group_names=("MNIST", "augMNIST"),
            change_under=_augmented,
            pixmix=True,
            num_test_under=1000,
            recipe={**_CHOI_MNIST, "pixmix": "published"},
        ),
        Mixture(
            "cifar10_augcifar10",
            over="cifar10",
            under="cifar10",
            num_under=1000,
            group_names=("CIFAR-10", "augCIFAR-10"),
            change_under=_augmented,
            pixmix=True,
            num_test_under=1000,
            recipe={"arch": "resnet18", **_CHOI},
        ),
        Mixture(
            "cifar10_cinic10",
            over="cifar10",
            under="cinic10",
            num_under=1000,
            group_names=("CIFAR-10", "CINIC-10"),
            num_test_under=10_000,  # of 70,000: as many as CIFAR-10 has
        ),
        Mixture(
            "cifar10_mislabeled",
            over="cifar10",
            under="cifar10",
            num_under=1000,
            group_names=("CIFAR-10", "mislabeled CIFAR-10"),
            change_under=_relabelled(wrong_labels),
            under_from="test",
            num_test_under=0,
        ),
        # The paper says CIFAR-100; these are of its first ten classes, balanced over them.
        Mixture(
            "cifar10_cifar100_random",
            over="cifar10",
            under="cifar100_first10",
            num_under=1000,
            group_names=("CIFAR-10", "CIFAR-100, random labels"),
            change_under=_relabelled(random_labels),
            num_test_under=0,
        ),
    )
}
