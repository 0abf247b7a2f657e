"""The only reader and writer of a LOGDIR, in the layout of LiRA's published code.

    LOGDIR/config.json, dataset.json, x_train.npy, y_train.npy, group.npy, example_id.npy, x_test.npy, ...
                         (a user's task has no pictures: neither x_train.npy nor test images)
    LOGDIR/experiment-{i}_{M}/{hparams.json, keep.npy, metrics.json, logits/{epoch:010d}.npy, ckpt/}
    LOGDIR/.work/        locks and folders being written; empty, and safe to delete, when nothing runs

A model is present when its folder is: it is written beside and renamed, so it is whole or absent.
Locks are those of `mia_tf.locks`: a process that dies releases them, and the next run removes what it left in .work.
Machines may share a LOGDIR if their file system passes flock on to all of them, as NFS does unless mounted with
local_lock.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mia_tf.files import expanded, load_array, load_json, write_array, write_arrays, write_json
from mia_tf.locks import allow_open_files
from mia_tf.model_folders import ModelFolders, files_of_logits
from mia_tf.records import GROUP_NAMES, GROUPS, OVER, Dataset, Examples, ModelRecord
from mia_tf.stored_model import LOGITS, StoredModel
from mia_tf.validation import InputError, check, check_ids, check_shape, fail, part_of
from mia_tf.work_folder import WorkFolder

_ARRAYS = {
    "images": "x_train.npy",
    "labels": "y_train.npy",
    "groups": "group.npy",
    "example_ids": "example_id.npy",
    "test_images": "x_test.npy",
    "test_labels": "y_test.npy",
    "test_groups": "group_test.npy",
}
_READ_ALWAYS = ("labels", "groups", "example_ids")
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


class Store:
    """A LOGDIR. `Store.open` reads one; `Store.create` makes or continues one."""

    def __init__(self, logdir: str | Path, argument: str = "logdir"):
        """Takes the folder, and the parameter or flag that gave it, which every InputError names."""
        self.logdir = expanded(logdir, argument)
        self._argument = argument
        self._work = WorkFolder(self.logdir / ".work")
        self._folders = ModelFolders(self.logdir, argument)

    # ---- opening

    @classmethod
    def open(cls, logdir, argument: str = "logdir") -> "Store":
        """Opens a LOGDIR of ours, or of LiRA's published code, for reading; errors name the `argument` that gave it."""
        store = cls(logdir, argument)
        if not store.logdir.is_dir():
            fail(argument, logdir, "must be a folder that `python -m mia_tf.train` wrote")
        if store._folders.kind == LOGITS and not store.has_labels:
            wanted = f"must hold {_ARRAYS['labels']} and experiment*/logits/EPOCH.npy, or experiment*/scores/EPOCH.npy"
            fail(argument, logdir, wanted)
        store._check_files(_READ_ALWAYS)  # an analysis needs no images
        return store

    @classmethod
    def create(cls, logdir, config: dict, load_dataset) -> "Store":
        """Makes a LOGDIR, or continues one made with the same configuration, or with fewer models of a Bernoulli plan.

        Args:
            logdir: the folder; made if it is missing.
            config: `ExperimentConfig.to_dict()`, and what identifies a user's own archive.
            load_dataset: called without arguments for the Dataset, or the Examples of a task; only if the LOGDIR is
                new.

        Raises:
            InputError: the folder cannot be written, or holds another configuration.
        """
        store = cls(logdir)
        path = store.logdir / "config.json"
        # Said before any work, data loading above all; and the lock would leave a .work in somebody's folder.
        if path.exists():
            store._check_same(config)
        else:
            store._check_new()
        dataset = None if path.exists() else load_dataset()
        try:
            with store._work.setup_lock():
                if path.exists():
                    if store._check_same(config):
                        write_json(path, config)
                else:
                    store._check_new()
                    store._work.marker.touch()
                    store._write_dataset(dataset or load_dataset())
                    # Written last: a LOGDIR with a config.json has everything that models need.
                    write_json(path, config)
                    # It is gone if another machine, which our flock does not reach, set up the same at once.
                    store._work.marker.unlink(missing_ok=True)
        except OSError as error:
            fail("logdir", logdir, f"must be a folder that can be written ({error.strerror})")
        return store

    @classmethod
    def check(cls, logdir, config: dict) -> bool:
        """Whether a LOGDIR is there, to be continued; changes nothing.

        Args:
            logdir: the folder.
            config: as `create` takes it.

        Raises:
            InputError: `create` would refuse: the folder cannot be made, is another's, holds another
                configuration or is damaged.
        """
        store = cls(logdir)
        if store.ours:
            store._check_same(config)
            store.check_whole()
        cls.check_folder(logdir)
        return store.ours

    @classmethod
    def check_folder(cls, logdir) -> None:
        """Raises InputError if a folder can be neither made nor written, or is somebody else's; changes nothing."""
        store = cls(logdir)
        there = next(path for path in (store.logdir, *store.logdir.absolute().parents) if path.exists())
        if not (there.is_dir() and os.access(there, os.W_OK)):
            fail("logdir", logdir, "must be a folder that can be written")
        store._check_new()

    def _check_new(self) -> None:
        """Raises InputError if a set-up would write over what is not ours to replace.

        A marker stands while a set-up runs, by which one that was cut short is told from somebody's own files.
        """
        files = [name for name in _ARRAYS.values() if (self.logdir / name).exists()]
        # Read after the files: another process that sets up the LOGDIR removes its marker once config.json is there.
        files = [] if self._work.marker.exists() else files
        # A set-up has none of these yet, cut short or not.
        files += [folder.name for folder in self._folders.by_index().values()]
        if files and not self.ours:
            fail("logdir", self.logdir, f"must be new or have a config.json; it has none, but {files[0]}")

    def _check_same(self, config: dict) -> bool:
        """Returns whether the configuration has more models than the LOGDIR's, and a plan that allows it.

        Raises:
            InputError: the configurations differ in anything else; the message names it.
        """
        recorded = self.config()
        differ = [key for key in sorted(set(recorded) | set(config)) if recorded.get(key) != config.get(key)]
        if not differ:
            return False
        if differ == ["num_experiments"] and config["num_experiments"] > recorded.get("num_experiments", np.inf):
            if config.get("subsets") == "bernoulli":
                return True
            fail(
                "num_experiments",
                config["num_experiments"],
                f"must stay {recorded['num_experiments']} in {self.logdir}: in a balanced plan each example is in the "
                "same number of all models, so models cannot be added later. Take a new --logdir; a plan of "
                "--subsets=bernoulli can grow",
            )
        values = ", ".join(f"{key} ({recorded.get(key)!r} there, {config.get(key)!r} now)" for key in differ)
        fail("logdir", self.logdir, f"must be new or hold the same configuration; it differs in {values}")

    def _check_files(self, attributes: Iterable[str] | None = None) -> None:
        """Raises InputError if a LOGDIR of ours, which has a config.json, lacks one of its data set's files."""
        if not self.ours:
            return
        self.config()  # one that cannot be read is said before any work
        if attributes is None:
            attributes = _ARRAYS if self.made_with_images else _READ_ALWAYS
        for name in ("dataset.json", *(_ARRAYS[attribute] for attribute in attributes)):
            if not (self.logdir / name).exists():
                line = f"Missing file: {self.logdir / name}, which training wrote: put it back"
                raise InputError(line, self._argument, self.logdir / name)

    # ---- the data

    def _write_dataset(self, dataset: Dataset | Examples) -> None:
        pictures = isinstance(dataset, Dataset)
        for attribute in _ARRAYS if pictures else _READ_ALWAYS:
            write_array(self.logdir / _ARRAYS[attribute], getattr(dataset, attribute))
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
        self._check_files()
        arrays = {}
        for attribute, name in _ARRAYS.items():
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
        return (self.logdir / _ARRAYS["labels"]).exists()

    def examples(self) -> Examples:
        """The data set without its images; a LOGDIR of LiRA's has one group and its rows as ids."""
        labels, about = self._ids("labels"), self.about()
        populations, classes = tuple(about.get("populations", GROUPS)), about.get("classes")
        groups, ids = np.full(len(labels), OVER, np.uint8), np.array([str(i) for i in range(len(labels))])
        if (self.logdir / _ARRAYS["groups"]).exists():
            groups = self._ids("groups", limit=len(populations)).astype(np.uint8)
            check_shape(part_of(self._argument, _ARRAYS["groups"]), groups, labels.shape)
        if (path := self.logdir / _ARRAYS["example_ids"]).exists():
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
        array = load_array(self.logdir / _ARRAYS["images"], "r", self._argument)
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
        path = self.logdir / _ARRAYS[attribute]
        ids = load_array(path, argument=self._argument)
        check_shape(part_of(self._argument, path.name), ids, (None,))
        check_ids(part_of(self._argument, path.name), ids, limit)
        return ids.astype(np.int64)

    def config(self) -> dict:
        """config.json, or {} for a LOGDIR of LiRA's published code."""
        path = self.logdir / "config.json"
        return load_json(path, _CONFIG, argument=self._argument) if path.exists() else {}

    # ---- the models

    @property
    def ours(self) -> bool:
        """Whether `mia_tf.train` wrote the LOGDIR, not LiRA's published code."""
        return (self.logdir / "config.json").exists()

    def completed(self) -> set[int]:
        """Indices of the models that are present."""
        return {index for index, path in self._folders.by_index().items() if files_of_logits(path)}

    def check_whole(self) -> None:
        """Raises InputError if a file of the data or of a model is missing, as our writing never leaves it."""
        self._check_files()
        for path in self._folders.by_index().values():
            if not (files_of_logits(path) and (path / "keep.npy").exists()):
                line = f"{path} is not whole (no keep.npy or no logits): move it away to train it again"
                raise InputError(line, self._argument, path)

    def models(self, epoch: int | None = None) -> list[StoredModel]:
        """Every complete model, in order; without the folders of `left_out`.

        Args:
            epoch: the epoch whose logits are taken; None for the last one of each model.

        Raises:
            InputError: a complete model has no logits of this epoch; the message names the models and the epochs.
        """
        return self._folders.models(epoch)

    def epochs(self) -> list[int]:
        """The epochs, rising, whose logits each complete model has."""
        return self._folders.epochs()

    def left_out(self) -> list[str]:
        """One sentence per reason why folders are not in `models`, such as those of LiRA's unfinished runs."""
        return self._folders.left_out()

    @property
    def has_images(self) -> bool:
        """Whether the pictures of the examples are there."""
        return (self.logdir / _ARRAYS["images"]).exists()

    def write(self, record: ModelRecord) -> bool:
        """Writes a model whole; false, and nothing changed, if it is already present.

        Raises:
            OSError: the disk is full or the folder cannot be written; nothing is left behind.
        """
        target = self.logdir / f"experiment-{record.index}_{record.hparams['num_experiments']}"
        folder = self._work.new_folder(record.index)
        try:
            (folder / "logits").mkdir(parents=True)
            write_json(folder / "hparams.json", dict(record.hparams))
            write_json(folder / "metrics.json", dict(record.metrics))
            write_array(folder / "keep.npy", record.keep)
            write_array(folder / "logits" / f"{record.epoch:010d}.npy", record.logits)
            for epoch, weights in record.checkpoints.items():
                (folder / "ckpt").mkdir(exist_ok=True)
                write_arrays(folder / "ckpt" / f"{epoch:010d}.npz", weights)
            os.rename(folder, target)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            if target.exists():
                return False
            raise
        return True

    def write_logits(self, model: StoredModel, epoch: int, logits: np.ndarray) -> None:
        """Writes or replaces a present model's logits, (N, 1, Q, C) float32, of one epoch."""
        write_array(model.logits().get(epoch, model.path / "logits" / f"{epoch:010d}.npy"), logits)

    @contextlib.contextmanager
    def claim(self, index: int) -> Iterator[bool]:
        """Holds model `index` for this process; yields False if it is present or held by another."""
        with self._work.model_lock(index) as held:
            if not held or any(files_of_logits(folder) for folder in self.logdir.glob(f"experiment-{index}_*")):
                yield False
                return
            self._work.remove_left_behind(index)
            yield True

    @contextlib.contextmanager
    def claim_models(self, indices: Sequence[int]) -> Iterator[list[int]]:
        """Claims those of the models that are neither present nor held by another process; yields their indices."""
        allow_open_files(len(indices))
        with contextlib.ExitStack() as claims:
            yield [index for index in indices if claims.enter_context(self.claim(index))]

    def sweep(self, indices: Iterable[int]) -> None:
        """Removes what processes that died left in .work of these models; what a living process holds stays."""
        self._work.sweep(indices, is_set_up=self.ours)
