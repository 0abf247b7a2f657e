"""What is settled before anything trains: whether the data fit, and whether the disk suffices."""

import shutil
from pathlib import Path

import numpy as np

from mia_tf import backend, subsets
from mia_tf.config import ExperimentConfig, check_images_fit
from mia_tf.quiet import native_messages_held_back
from mia_tf.records import Dataset
from mia_tf.task import Task
from mia_tf.validation import check, fail


def load_and_check(config: ExperimentConfig) -> Dataset:
    """The data set, once it is certain that the configuration can train on it.

    Raises:
        InputError: the data cannot be had, or do not fit the rest of the configuration.
    """
    from mia_tf import data
    from mia_tf.training import features

    def extract_features(mixture: Dataset, network: str, seed: int) -> np.ndarray:
        check_fits(config, mixture)  # before minutes of work
        return features.extract(mixture, network, seed)

    dataset = data.load(config.data, extract_features)
    check_fits(config, dataset)
    return dataset


def check_fits(config: ExperimentConfig, dataset: Dataset) -> None:
    """Raises InputError where the configuration cannot train on a data set."""
    training, shape = config.training, dataset.images.shape[1:]
    on_jax = backend.name() == "jax"
    check(on_jax or training.precision == "float32", "needs KERAS_BACKEND=jax", precision=training.precision)
    check_images_fit(training, shape)
    patience = training.patience
    check(patience is None or len(dataset.test_images) > 0, "needs test images in the data set", patience=patience)
    batch = training.batch
    if not subsets.certainly_have(config, len(dataset.images), batch):
        smallest = int(subsets.membership(config, len(dataset.images)).sum(axis=1).min())
        allowed = f"must not exceed the smallest model's training set of {smallest} examples"
        check(batch <= smallest, allowed, batch=batch)
    if training.privacy:
        from mia_tf.training import accounting

        accounting.guarantee(config, len(dataset.images))  # a target may be out of reach
        if on_jax:  # whose gradients of each example need no rules of ours
            return
        with native_messages_held_back():
            from mia_tf import models
            from mia_tf.training.norm_rules import check_supported

            check_supported(models.build(training.arch, shape, dataset.num_classes, seed=0, norm=training.norm))


def announce(dataset: Dataset, config: ExperimentConfig, logdir: Path, wanted: int, missing: int) -> None:
    """Prints what will be trained, on which data, and what it promises."""
    print(f"{dataset.name}: {len(dataset.images):,} examples, {config.training.arch}, {logdir}")
    for said in (dataset.sources.get("without"), dataset.sources.get("selection"), dataset.stand_in):
        if said:
            print(said)
    _count(wanted, missing)
    if config.training.privacy and missing:
        from mia_tf.training import accounting

        print(accounting.statement(accounting.guarantee(config, len(dataset.images))), flush=True)
    if backend.name() == "jax" and missing:
        measured = "how convolutions are fastest and, without --ensemble_size, how many models fit"
        print(f"On JAX each worker first measures {measured}: it may take minutes.", flush=True)


def announce_task(task: Task, logdir: Path, wanted: int, missing: int) -> None:
    """Prints what will be trained of a user's task."""
    print(f"{task.name}: {len(task.labels):,} examples, {logdir}")
    _count(wanted, missing)


def _count(wanted: int, missing: int) -> None:
    print(f"{wanted - missing} of {wanted} models present, {missing} to train.", flush=True)


def logits_bytes(dataset: Dataset, config: ExperimentConfig) -> int:
    """Size of one model's logits on the disk, in bytes."""
    return len(dataset.images) * config.training.queries * dataset.num_classes * 4


def answers_bytes(task: Task) -> int:
    """Size of one model's answers to one query on the disk, in bytes; only the user's function knows of more."""
    return len(task.labels) * task.num_classes * 4


def check_disk(folder: Path, model_bytes: int, num_models: int) -> None:
    """Raises InputError if the logits of the models still to come would not fit on the disk of a folder.

    Args:
        folder: the LOGDIR; if it is not there yet, the disk is that of the nearest folder that is.
        model_bytes: of each model.
        num_models: how many are still to come.
    """
    needed = num_models * model_bytes
    folder = folder.absolute()
    free = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.is_dir())).free
    if needed > free:
        have = f"{folder} with {free / 1e6:,.1f} MB free"
        fail(f"must have {needed / 1e6:,.1f} MB free for the logits of {num_models} models", logdir=have)
