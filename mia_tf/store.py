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

from mia_tf.files import write_array, write_arrays, write_json
from mia_tf.locks import allow_open_files
from mia_tf.model_folders import ModelFolders, files_of_logits
from mia_tf.records import ModelRecord
from mia_tf.stored_data import ARRAYS, READ_ALWAYS, StoredData
from mia_tf.stored_model import LOGITS, StoredModel
from mia_tf.validation import InputError, check, fail
from mia_tf.work_folder import WorkFolder


class Store(StoredData):
    """A LOGDIR. `Store.open` reads one; `Store.create` makes or continues one."""

    def __init__(self, logdir: str | Path, argument: str = "logdir"):
        """Takes the folder, and the parameter or flag that gave it, which every InputError names."""
        super().__init__(logdir, argument)
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
            wanted = f"must hold {ARRAYS['labels']} and experiment*/logits/EPOCH.npy, or experiment*/scores/EPOCH.npy"
            fail(argument, logdir, wanted)
        store.check_files(READ_ALWAYS)  # an analysis needs no images
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
                    store.write_dataset(dataset or load_dataset())
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
        files = [name for name in ARRAYS.values() if (self.logdir / name).exists()]
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
                "same number of all models, so models cannot be added later. Take a new LOGDIR; only a plan of "
                "mia_tf.train --subsets=bernoulli can grow",
            )
        values = ", ".join(f"{key} ({recorded.get(key)!r} there, {config.get(key)!r} now)" for key in differ)
        remedy = "" if self.completed() else ". It holds no models: delete it to begin anew"
        fail("logdir", self.logdir, f"must be new or hold the same configuration; it differs in {values}{remedy}")

    # ---- the models

    def completed(self) -> set[int]:
        """Indices of the models that are present."""
        return {index for index, path in self._folders.by_index().items() if files_of_logits(path)}

    def check_whole(self) -> None:
        """Raises InputError if a file of the data or of a model is missing, as our writing never leaves it."""
        self.check_files()
        for path in self._folders.by_index().values():
            if not (files_of_logits(path) and (path / "keep.npy").exists()):
                line = f"{path} is not whole (no keep.npy or no logits): move it away to train it again"
                raise InputError(line, self._argument, path)

    def check_nominal_size(self, num_members: int) -> None:
        """Raises InputError if present models promise privacy for another nominal training set.

        Args:
            num_members: `subsets.nominal_size` of the models to come. Earlier versions took pkeep for the plan's share.
        """
        for model in self.models()[:1]:
            recorded = model.hparams().get("num_members", num_members)
            allowed = f"must be new: its private models have nominally {recorded} examples, not {num_members}"
            check(self._argument, self.logdir, recorded == num_members, allowed)

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
