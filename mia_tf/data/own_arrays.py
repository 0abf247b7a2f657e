"""A user's own arrays: `--dataset=npz:PATH`."""

import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.config import DataConfig
from mia_tf.data.archives import Archive, as_labels
from mia_tf.data.assembly import Pool, assemble
from mia_tf.data.pictures import Pictures, read_pictures
from mia_tf.files import expanded
from mia_tf.labels import normalize_ids, normalize_labels, occurring_classes
from mia_tf.records import OVER, UNDER, Dataset
from mia_tf.validation import check, check_shape, fail, listed, part_of

_NAMES = ("x_train", "y_train", "x_test", "y_test", "group_train", "group", "group_test", "ids", "classes")
_MEDMNIST = {"x_train": "train_images", "y_train": "train_labels", "x_test": "test_images", "y_test": "test_labels"}
"""Our names of arrays -> MedMNIST's, whose arrays for validation are not used."""
_VALIDATION = ("val_images", "val_labels")


def load(path: str, config: DataConfig) -> Dataset:
    """Loads a user's npz archive.

    Pictures are read in blocks: at most two copies of them in uint8 are in memory. The examples are in the order of the
    archive: if all of them are taken, row i of every table is x_train[i]. With `pool_test` the test pictures follow.

    Args:
        path: an npz archive with these arrays and no others:
            x_train: N pictures, as `mia_tf.data.pictures.read_pictures` takes them.
            y_train: N labels, as `mia_tf.labels.normalize_labels` takes them. The classes are the labels that occur.
            x_test, y_test: optional, the same for T test pictures, whose labels must occur in y_train.
            group_train or group, group_test: optional, (N,) and (T,), 1 for the under-represented group, else 0.
            ids: optional, N different strings or integers, the names of the examples.
            classes: optional, the name of each label from 0, or the order of the labels if they are strings.
            MedMNIST's names of the first four are taken too; its val_images and val_labels are not used.
        config: num_over and num_under are taken of each group, balanced over its labels.

    Raises:
        InputError: an array is missing, unknown or of another form; labels are not classes; test pictures have a
            label or a group that training lacks; or a group is smaller than was asked for.
    """
    archive = _OwnArchive(_existing(path))
    examples, test, about = _read(archive, config.pool_test)
    pools = _pools(archive, examples, test, config)
    del examples, test  # the pools may hold copies
    return assemble(pools, config, name=archive.path.stem, **about)


def fingerprint(path: str) -> dict[str, str]:
    """What config.json has of a user's archive: its name and a hash of its bytes, wherever it lies.

    Raises:
        InputError: there is no such file.
    """
    archive = _existing(path)
    with open(archive, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return {"dataset": f"npz:{archive.name}", "dataset_digest": digest.hexdigest()}


def _existing(path: str) -> Path:
    """The path of a user's archive, which must exist."""
    file = expanded(path, "dataset") if path else None
    if file is None or not file.is_file():
        fail("dataset", f"npz:{path}", "must be npz:PATH with the path of a file")
    return file


class _OwnArchive(Archive):
    """A user's archive, whose arrays may have MedMNIST's names."""

    def __init__(self, path: Path):
        super().__init__(path)
        self.medmnist = not self.keys.isdisjoint(_MEDMNIST.values())
        names = _NAMES
        if self.medmnist:
            names = (*_MEDMNIST.values(), *(name for name in _NAMES if name not in _MEDMNIST), *_VALIDATION)
        unknown = sorted(self.keys.difference(names))
        check(
            part_of("dataset", str(path)),
            ", ".join(unknown),
            not unknown,
            "must hold no arrays but " + ", ".join(names),
        )
        both = {"group", "group_train"} <= self.keys
        check(part_of("dataset", str(path)), "both", not both, "must not hold both group and group_train")

    def key(self, name: str) -> str:
        """What this archive calls one of our arrays."""
        if name == "group_train" and "group" in self:
            return "group"
        return _MEDMNIST.get(name, name) if self.medmnist else name

    def title(self, name: str) -> str:
        """What messages call one of our arrays."""
        return super().title(self.key(name))

    def has(self, name: str) -> bool:
        """Whether one of our arrays is there."""
        return self.key(name) in self

    def pictures(self, name: str, like: Pictures | None = None) -> Pictures:
        """The pictures of one of our arrays."""
        return read_pictures(self.stored(self.key(name)), self.title(name), like=like)

    def groups(self, name: str, length: int) -> np.ndarray:
        """(length,) groups, all OVER if the archive does not say."""
        if not self.has(name):
            return np.full(length, OVER)
        return as_labels(self.array(self.key(name)), self.title(name), length, limit=2)


@dataclass(frozen=True)
class _Examples:
    """Pictures as in Dataset, their labels and groups, and the user's ids of them, if there are any."""

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    ids: np.ndarray | None = None

    def rows_of(self, group: int) -> np.ndarray:
        """(n,) int64, the places of those of one group."""
        return np.flatnonzero(self.groups == group)

    def of(self, group: int) -> "_Examples":
        """Those of one group; a slice of all, which copies nothing, if there is no other."""
        rows = self.groups == group
        rows = slice(None) if rows.all() else rows
        ids = None if self.ids is None else self.ids[rows]
        return _Examples(self.images[rows], self.labels[rows], self.groups[rows], ids)

    def none(self) -> "_Examples":
        """No examples. Not a view, which would keep all of them in memory."""
        return _Examples(self.images[:0].copy(), self.labels[:0], self.groups[:0])


def _read(archive: _OwnArchive, pooled: bool) -> tuple[_Examples, _Examples, dict]:
    """The examples and the test examples, and what a Dataset has of the classes and the sources.

    Args:
        archive: the user's.
        pooled: whether the test pictures are examples too.
    """
    images, test_images, notes = _pictures(archive)
    counts = len(images), len(test_images)
    labels, test_labels, classes, note = _labels(archive, *counts, pooled)
    groups, test_groups = archive.groups("group_train", counts[0]), archive.groups("group_test", counts[1])
    about = {
        "num_classes": len(classes) if classes else int(np.concatenate([labels, test_labels]).max()) + 1,
        "classes": classes,
        "sources": {"npz": str(archive.path), **notes, **({"classes": note} if note else {})},
    }
    ids = _ids(archive, *counts, pooled)
    if pooled:
        joined = ((images, test_images), (labels, test_labels), (groups, test_groups))
        images, labels, groups = map(np.concatenate, joined)
        examples = _Examples(images, labels, groups, ids)
        return examples, examples.none(), about
    return _Examples(images, labels, groups, ids), _Examples(test_images, test_labels, test_groups), about


def _pools(archive: _OwnArchive, examples: _Examples, test: _Examples, config: DataConfig) -> dict[int, Pool]:
    """What each group is chosen from."""
    groupless = UNDER in test.groups and UNDER not in examples.groups
    check(archive.title("group_test"), "group 1", not groupless, "must hold no group that training lacks")
    counts = {OVER: config.num_over, UNDER: config.num_under}
    if UNDER not in examples.groups:
        allowed = f"must be 0 or not given: {archive.path} has no group 1"
        check("num_under", config.num_under, not config.num_under, allowed)
        counts[UNDER] = 0
    check(archive.title("group_train"), "only group 1", OVER in examples.groups, "must have examples of group 0")
    pools = {}
    for group in (group for group, count in counts.items() if count != 0):
        chosen, tests = examples.of(group), test.of(group)
        about = {"ids": chosen.ids, "rows": examples.rows_of(group)}
        pools[group] = Pool(chosen.images, chosen.labels, tests.images, tests.labels, counts[group], **about)
    return pools


def _pictures(archive: _OwnArchive) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """The training and the test pictures, and what was done to them."""
    train = archive.pictures("x_train")
    changes = {"x_train": train.changes}
    test_images = np.empty((0, *train.images.shape[1:]), np.uint8)
    if any(map(archive.has, ("x_test", "y_test", "group_test"))):
        test = archive.pictures("x_test", like=train)
        changes["x_test"], test_images = test.changes, test.images
    notes = {}
    if changed := [f"{archive.key(name)}: {change}" for name, change in changes.items() if change]:
        notes["pixels"] = "; ".join(changed) + "."
    if unused := [key for key in _VALIDATION if key in archive]:
        notes["validation"] = f"{' and '.join(unused)}: not used."
    return train.images, test_images, notes


def _labels(archive: _OwnArchive, count: int, test_count: int, pooled: bool):
    """The training and the test labels in [0, num_classes), the names of the classes or None, and what to say of them.

    Args:
        archive: the user's.
        count, test_count: numbers of training and test pictures.
        pooled: whether the test pictures are examples, so that their labels are classes too.
    """
    given = archive.array("classes") if archive.has("classes") else None
    labels, names, num_labels = _one_split(archive, "y_train", count, given)
    test_labels = labels[:0]
    if test_count:
        test_labels, test_names, num_test_labels = _one_split(archive, "y_test", test_count, given)
        kinds = ["numbers" if n is None else "strings" for n in (names, test_names)]
        check(archive.title("y_test"), kinds[1], kinds[0] == kinds[1], f"must be {kinds[0]}, as y_train")
        num_labels = max(num_labels, num_test_labels)
        if names is not None and test_names is not None:
            places, both = normalize_labels([*names, *test_names], classes=given)
            labels, test_labels = places[: len(names)][labels], places[len(names) :][test_labels]
            names, num_labels = both, len(both or ())
    examples = np.concatenate([labels, test_labels]) if pooled else labels
    values, classes = occurring_classes(examples, names, argument=archive.title("y_train"))
    unknown = [names[value] if names else value for value in np.setdiff1d(test_labels, values).tolist()]
    allowed = f"must hold no labels that {archive.key('y_train')} lacks"
    check(archive.title("y_test"), listed(unknown), not unknown, allowed)
    note = _note_on_classes(values, classes, names, num_labels)
    return np.searchsorted(values, labels), np.searchsorted(values, test_labels), classes, note


def _note_on_classes(values: np.ndarray, classes: tuple | None, names: tuple | None, num_labels: int) -> str:
    """What the classes are called and which labels have no examples; "" if they are 0 to num_labels - 1.

    Args:
        values: the labels that occur.
        classes: their names, or None.
        names: the names of all labels, or None.
        num_labels: how many labels there may be.
    """
    named = f", named {listed(classes)}" if classes else ""
    missing = num_labels - len(values)
    if not missing:
        return f"{len(values)} classes{named}." if named else ""
    present = set(values.tolist())
    absent = itertools.islice((value for value in range(num_labels) if value not in present), 10)
    first = ", ".join(names[value] if names else str(value) for value in absent)
    rest = f" and {missing - 10:,} more" if missing > 10 else ""
    return f"{len(values)} classes{named}. No example has the label {first}{rest}."


def _one_split(archive: _OwnArchive, name: str, length: int, classes) -> tuple[np.ndarray, tuple | None, int]:
    """(length,) int64 labels as the archive numbers them, the class names, and how many classes there may be."""
    array, title = archive.array(archive.key(name)), archive.title(name)
    labels, names = normalize_labels(array, argument=title, classes=classes)
    check_shape(title, labels, (length,))
    if names is not None:
        return labels, names, len(names)
    return labels, None, array.shape[1] if array.ndim == 2 and array.shape[1] > 1 else int(labels.max()) + 1


def _ids(archive: _OwnArchive, count: int, test_count: int, pooled: bool) -> np.ndarray | None:
    """(count,) str, the user's ids of the examples, if there are any."""
    if not archive.has("ids"):
        return None
    title = archive.title("ids")
    ids = normalize_ids(archive.array("ids"), argument=title)
    check_shape(title, ids, (count,))
    allowed = "must not be given with --pool_test, because the test pictures have none: put them into x_train"
    check(title, f"{count:,} ids", not (pooled and test_count), allowed)
    return ids
