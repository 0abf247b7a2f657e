"""The records that cross a boundary between parts of the system, each checking its own shapes."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from mia_tf.validation import check, check_ids, check_shape, fail, part_of

OVER, UNDER = 0, 1
"""Group ids: the over-represented and the under-represented group of a mixture (Choi et al., section 4)."""
GROUP_NAMES = ("over-represented", "under-represented")
"""What groups without names of their own are called."""
ALL = "all"
"""The population of all examples; no group can have this name."""
GROUPS = ("over", "under")
"""What tables call the groups OVER and UNDER."""


def shown_populations(names: Iterable[str]) -> list[str]:
    """The populations that summaries and figures show: as in the papers, all and "under" of a mixture's groups.

    Example:
        >>> shown_populations(["all", "over", "under"]), shown_populations(["all", "new", "over", "under"])
        (['all', 'under'], ['all', 'new', 'over', 'under'])
    """
    names = list(names)
    mixture = set(names) <= {ALL, *GROUPS}
    return [name for name in names if not (mixture and name == GROUPS[OVER])]


@dataclass(frozen=True)
class Dataset:
    """Labelled images of up to two groups, and the test images of the same groups.

    Attributes:
        name: the mixture's name, such as "mnist_svhn".
        images: (N, H, W, C) uint8, the pool that shadow models train on subsets of.
        labels: (N,) int64 in [0, num_classes).
        groups: (N,) uint8, OVER or UNDER.
        example_ids: (N,) fixed-width str, a hash of each image's pixels or the user's own id: the identity of an
            example whatever its row.
        test_images: (T, H, W, C) uint8; T may be 0.
        test_labels: (T,) int64.
        test_groups: (T,) uint8.
        num_classes: number of classes.
        group_names: what the over- and the under-represented group are called in figures.
        stand_in: a sentence when some of the data stand in for the real ones, else "".
        sources: where each part came from and what was done to it, for people.
        classes: the name of each class; None if they are called 0 to num_classes - 1.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    example_ids: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    test_groups: np.ndarray
    num_classes: int
    group_names: tuple[str, str] = GROUP_NAMES
    stand_in: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    populations = GROUPS  # not a field: a mixture's groups have no other names in tables

    def __post_init__(self):
        check_shape("images", self.images, (None, None, None, None), np.uint8)
        check_shape("test_images", self.test_images, (None, *self.images.shape[1:]), np.uint8)
        for prefix, count in (("", len(self.images)), ("test_", len(self.test_images))):
            check_shape(prefix + "labels", getattr(self, prefix + "labels"), (count,), np.int64)
            check_shape(prefix + "groups", getattr(self, prefix + "groups"), (count,), np.uint8)
            for name, limit in (("labels", self.num_classes), ("groups", 2)):
                check_ids(prefix + name, getattr(self, prefix + name), limit)
        check_shape("example_ids", self.example_ids, (len(self.images),))
        check("images", f"{len(self.images)} images", len(self.images) >= 2, "must hold at least 2 images")
        check("num_classes", self.num_classes, self.num_classes >= 2, "must be at least 2")
        named = self.classes is None or len(set(self.classes)) == len(self.classes) == self.num_classes
        check("classes", self.classes, named, f"must be {self.num_classes} different names, or None")


@dataclass(frozen=True)
class Examples:
    """The pool of examples without pictures: what an analysis needs of a data set, and all that a user's task has.

    Attributes:
        name: of the data set.
        labels: (N,) int64.
        groups: (N,) uint8, each a position in `populations`.
        example_ids: (N,) str.
        num_classes: number of classes.
        populations: what tables call the groups.
        group_names: what figures call the groups.
        classes: the names of the classes; None if they are numbers.
        stand_in, sources: as in Dataset.
    """

    name: str
    labels: np.ndarray
    groups: np.ndarray
    example_ids: np.ndarray
    num_classes: int
    populations: tuple[str, ...] = GROUPS
    group_names: tuple[str, ...] = GROUP_NAMES
    classes: tuple[str, ...] | None = None
    stand_in: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def unlabelled(cls, name: str, count: int) -> "Examples":
        """Examples of which nothing is known: each has label 0, and its row as its id."""
        return cls(name, np.zeros(count, np.int64), np.full(count, OVER, np.uint8), np.arange(count).astype(str), 1)

    def first(self, count: int) -> "Examples":
        """The first `count` examples."""
        chosen = {name: getattr(self, name)[:count] for name in ("labels", "groups", "example_ids")}
        return dataclasses.replace(self, **chosen)


@dataclass(frozen=True)
class ModelRecord:
    """What one trained shadow model says of every example.

    Attributes:
        index: which of the experiment's models, in [0, num_experiments).
        keep: (N,) bool, true if the example was in the training set.
        logits: (N, 1, Q, C) float32, outputs for Q views of every example (LiRA's layout).
        epoch: epochs trained.
        hparams: every setting of this model, JSON-serialisable.
        metrics: accuracies and timings, JSON-serialisable.
        checkpoints: epoch -> the model's weights in Keras' order; empty unless asked for.
    """

    index: int
    keep: np.ndarray
    logits: np.ndarray
    epoch: int
    hparams: Mapping
    metrics: Mapping
    checkpoints: Mapping[int, list[np.ndarray]] = field(default_factory=dict)

    def __post_init__(self):
        check_shape("keep", self.keep, (None,), bool)
        check_shape("logits", self.logits, (len(self.keep), 1, None, None), np.float32)
        if not np.isfinite(self.logits).all():
            fail(part_of("logits", f"those of model {self.index}"), "NaN or infinity", "must be finite")


@dataclass(frozen=True)
class ModelFailure:
    """A model that could not be trained; the others go on.

    Attributes:
        index: which of the models.
        reason: one line: what happened, at which step, with which learning rate.
    """

    index: int
    reason: str
