"""Reads and writes the data of a LOGDIR: its examples, pictures and configuration (files: see `mia_tf.store`)."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mia_tf.files import expanded, load_array, load_json, write_array, write_json
from mia_tf.records import GROUP_NAMES, GROUPS, OVER, Dataset, Examples
from mia_tf.validation import InputError, check, check_ids, check_shape, part_of

ARRAYS = {
    "images": "x_train.npy",
    "labels": "y_train.npy",
    "groups": "group.npy",
    "example_ids": "example_id.npy",
    "test_images": "x_test.npy",
    "test_labels": "y_test.npy",
    "test_groups": "group_test.npy",
}
"""Attribute of a Dataset -> its file."""
READ_ALWAYS = ("labels", "groups", "example_ids")
"""The arrays that an analysis needs."""
_CONFIG = {
    **dict.fromkeys(("outputs", "arch", "subsets"), "text"),
    **{"num_experiments": "integer", "pkeep": "number", "only_subset": "integer?"},
}
"""What is read of config.json besides comparing it, and its kinds."""
_ABOUT = {
    **dict.fromkeys(("name", "stand_in"), "text"),
    **dict.fromkeys(("group_names", "populations"), "texts"),
    **{"num_classes": "integer", "classes": "texts?", "sources": "texts by name", "has_images": "flag"},
}
"""What is read of dataset.json, and its kinds."""


class StoredData:
    """The data of a LOGDIR, which `mia_tf.train` or LiRA's published code wrote."""

    def __init__(self, logdir: str | Path, argument: str = "logdir"):
        """Takes the folder, and the parameter or flag that gave it, which every InputError names."""
        self.logdir = expanded(logdir, argument)
        self._argument = argument

    @property
    def ours(self) -> bool:
        """Whether `mia_tf.train` wrote the LOGDIR, not LiRA's published code."""
        return (self.logdir / "config.json").exists()

    def config(self) -> dict:
        """config.json, or {} for a LOGDIR of LiRA's published code."""
        path = self.logdir / "config.json"
        return load_json(path, _CONFIG, argument=self._argument) if path.exists() else {}

    def write_dataset(self, dataset: Dataset | Examples) -> None:
        """Writes the arrays and dataset.json; of a task's examples there are no pictures."""
        pictures = isinstance(dataset, Dataset)
        for attribute in ARRAYS if pictures else READ_ALWAYS:
            write_array(self.logdir / ARRAYS[attribute], getattr(dataset, attribute))
        description = {
            "name": dataset.name,
            "num_classes": dataset.num_classes,
            "classes": None if dataset.classes is None else list(dataset.classes),
            "group_names": list(dataset.group_names),
            "stand_in": dataset.stand_in,
            "sources": dict(dataset.sources),
            "num_examples": len(dataset.labels),
        }
        if pictures:
            description["num_test_examples"] = len(dataset.test_images)
        else:
            description |= {"has_images": False, "populations": list(dataset.populations)}
        write_json(self.logdir / "dataset.json", description)

    def about(self) -> dict:
        """dataset.json; a LOGDIR of LiRA's published code has none and gets a name only."""
        path = self.logdir / "dataset.json"
        defaults = {
            "name": self.logdir.name,
            "group_names": list(GROUP_NAMES),
            "stand_in": "",
            "classes": None,
        }
        # In a LOGDIR of ours it must not be missing: it names stand-ins.
        read = self.ours or path.exists()
        about = {**defaults, **(load_json(path, _ABOUT, argument=self._argument) if read else {})}
        populations = about.get("populations", GROUPS)
        one_each = len(about["group_names"]) == len(populations) == len(set(populations)) > 0
        where = part_of(self._argument, path.name)
        check(where, populations, one_each, "must have one of group_names for each of different populations")
        return about

    def dataset(self) -> Dataset:
        """The data set; images are memory-mapped. A LOGDIR of LiRA's has one group and no test images."""
        self.check_files()
        arrays = {}
        for attribute, name in ARRAYS.items():
            path = self.logdir / name
            if path.exists() or name in ("x_train.npy", "y_train.npy"):
                arrays[attribute] = load_array(path, "r" if name.startswith("x_") else None, self._argument)
        images = arrays["images"]
        if images.dtype != np.uint8:  # LiRA's files hold x / 127.5 - 1
            low, high = np.min(images), np.max(images)
            fits = images.dtype.kind == "f" and -1.01 < low < 0 and high < 1.01
            name, received = part_of(self._argument, "x_train.npy"), f"pixels from {low} to {high}"
            check(name, received, fits, "must be uint8, or floats x / 127.5 - 1")
            images = arrays["images"] = np.round((np.asarray(images, np.float64) + 1) * 127.5).astype(np.uint8)
        arrays["labels"] = self._ids("labels")
        about = self.about()
        names = ("name", "num_classes", "group_names", "stand_in", "sources", "classes")
        about = {name: about[name] for name in names if name in about}
        about["group_names"] = tuple(about["group_names"])
        about["classes"] = None if about["classes"] is None else tuple(about["classes"])
        count = len(images)
        defaults = {
            "num_classes": int(arrays["labels"].max()) + 1,
            "groups": np.full(count, OVER, np.uint8),
            "example_ids": np.array([str(i) for i in range(count)]),
            "test_images": np.zeros((0, *images.shape[1:]), np.uint8),
            "test_labels": np.zeros(0, np.int64),
            "test_groups": np.zeros(0, np.uint8),
        }
        return Dataset(**{**defaults, **about, **arrays})

    @property
    def has_labels(self) -> bool:
        """Whether there is y_train.npy, which LiRA's plot.py does not need."""
        return (self.logdir / ARRAYS["labels"]).exists()

    def examples(self) -> Examples:
        """The data set without its images; a LOGDIR of LiRA's has one group and its rows as ids."""
        labels, about = self._ids("labels"), self.about()
        populations, classes = tuple(about.get("populations", GROUPS)), about.get("classes")
        groups, ids = np.full(len(labels), OVER, np.uint8), np.array([str(i) for i in range(len(labels))])
        if (self.logdir / ARRAYS["groups"]).exists():
            groups = self._ids("groups", limit=len(populations)).astype(np.uint8)
            check_shape(part_of(self._argument, ARRAYS["groups"]), groups, labels.shape)
        if (path := self.logdir / ARRAYS["example_ids"]).exists():
            ids = load_array(path, argument=self._argument)
            check_shape(part_of(self._argument, path.name), ids, labels.shape)
            name = part_of(self._argument, path.name)
            check(name, f"dtype {ids.dtype}", ids.dtype.kind in "Uiu", "must be strings or integers")
        return Examples(
            name=about["name"],
            labels=labels,
            groups=groups,
            example_ids=ids,
            num_classes=about.get("num_classes", int(labels.max(initial=0)) + 1),
            populations=populations,
            group_names=tuple(about["group_names"]),
            classes=tuple(classes) if classes else None,
            stand_in=about["stand_in"],
            sources=about.get("sources", {}),
        )

    def x(self, num_examples: int) -> np.ndarray | None:
        """The first N examples themselves, (N, ...) memory-mapped; None if x_train.npy is not of numbers of all."""
        if not self.has_images:
            return None
        array = load_array(self.logdir / ARRAYS["images"], "r", self._argument)
        usable = array.ndim >= 2 and array.dtype.kind in "biuf" and len(array) >= num_examples
        return array[:num_examples] if usable else None

    def pool(self) -> Dataset | Examples:
        """What models train on: the data set, or only the examples if the LOGDIR is of a user's task."""
        return self.dataset() if self.made_with_images else self.examples()

    @property
    def made_with_images(self) -> bool:
        """Whether the LOGDIR was made with pictures of the examples, which a user's task has none of."""
        return self.about().get("has_images", True)

    def _ids(self, attribute: str, limit: int | None = None) -> np.ndarray:
        """(N,) int64 labels or groups, each below the limit."""
        path = self.logdir / ARRAYS[attribute]
        ids = load_array(path, argument=self._argument)
        check_shape(part_of(self._argument, path.name), ids, (None,))
        check_ids(part_of(self._argument, path.name), ids, limit)
        return ids.astype(np.int64)

    @property
    def has_images(self) -> bool:
        """Whether the pictures of the examples are there."""
        return (self.logdir / ARRAYS["images"]).exists()

    def check_files(self, attributes: Iterable[str] | None = None) -> None:
        """Raises InputError if a LOGDIR of ours, which has a config.json, lacks one of its data set's files."""
        if not self.ours:
            return
        self.config()  # one that cannot be read is said before any work
        if attributes is None:
            attributes = ARRAYS if self.made_with_images else READ_ALWAYS
        for name in ("dataset.json", *(ARRAYS[attribute] for attribute in attributes)):
            if not (self.logdir / name).exists():
                line = f"Missing file: {self.logdir / name}, which training wrote: put it back"
                raise InputError(line, self._argument, self.logdir / name)
