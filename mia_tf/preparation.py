"""What is settled before anything trains: whether the data fit, the default batch, and whether the disk suffices."""

import dataclasses
import functools
import math
import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from mia_tf import backend, subsets
from mia_tf.config import MIN_MODELS, ExperimentConfig, PlanConfig, TaskConfig, TrainingConfig, check_images_fit
from mia_tf.quiet import native_messages_held_back
from mia_tf.records import Dataset
from mia_tf.store import Store
from mia_tf.task import Task
from mia_tf.validation import check, fail

_DEVIATIONS = 6
"""Standard deviations below its mean that no model's number of examples lies in a Bernoulli plan."""
_NOTABLE = 0.02
"""Difference of two shares that is worth a line."""
_STEPS = 4
"""Steps per epoch that a smaller default batch leaves at least."""
_NOTES = ("pixels", "classes", "validation", "empty classes", "copies", "without", "selection")
"""Keys of `Dataset.sources` that the log shows."""


def load_and_check(config: ExperimentConfig, default_batch: bool = False) -> Dataset:
    """The data set, once it is certain that the configuration can train on it.

    Args:
        config: the experiment.
        default_batch: take the batch that `with_default_batch` returns.

    Raises:
        InputError: the data are not available, or do not fit the rest of the configuration.
    """
    from mia_tf import data
    from mia_tf.training import features

    def check_dataset(dataset: Dataset) -> None:
        check_fits(with_default_batch(config, len(dataset.images)) if default_batch else config, dataset)

    def extract_features(mixture: Dataset, network: str, seed: int) -> np.ndarray:
        check_dataset(mixture)  # before minutes of work
        return features.extract(mixture, network, seed)

    dataset = data.load(config.data, extract_features)
    check_dataset(dataset)
    return dataset


def settle(config: ExperimentConfig, logdir: Path, batch_given: bool) -> tuple[ExperimentConfig, Callable[[], Dataset]]:
    """Replaces a default batch that the data are too few for, and says so.

    Args:
        config: the experiment.
        logdir: its folder; if it is begun, its number of examples decides, and no data are loaded.
        batch_given: whether the user chose the batch, which then stays as it is.

    Returns:
        The configuration to train with, and a function that returns its data set. Drop the function when the data
        are no longer needed: it may hold them.

    Raises:
        InputError: as `load_and_check`, the LOGDIR is damaged, or its models are too small for the batch.
    """
    begun = (logdir / "config.json").exists()
    if batch_given:
        # In a plan that grows, a new model may have fewer examples. Another batch is another configuration.
        if begun and (store := Store.open(logdir)).config().get("batch") == config.training.batch:
            _check_batch(config, len(store.examples().labels))
        return config, lambda: load_and_check(config)
    dataset = None if begun else load_and_check(config, default_batch=True)
    count = len((Store.open(logdir).examples() if dataset is None else dataset).labels)
    settled = with_default_batch(config, count)
    default, batch = config.training.batch, settled.training.batch
    if batch != default:
        change = f"--batch={batch}, not the default of {default}"
        print(f"{change}: a model may have no more than {_fewest_to_come(config, count)} examples.", flush=True)
    return settled, lambda: dataset or load_and_check(settled)


def with_default_batch(config: ExperimentConfig, num_examples: int) -> ExperimentConfig:
    """Returns the configuration with its batch, or with a smaller one if a model has fewer examples than that.

    The smaller batch is the largest power of two that leaves four steps per epoch, so that a model still learns.
    """
    if subsets.certainly_have(config, num_examples, config.training.batch):
        return config
    smallest = _fewest_to_come(config, num_examples)
    if config.training.batch <= smallest:
        return config
    batch = 1 << max(0, (smallest // _STEPS).bit_length() - 1)
    return dataclasses.replace(config, training=dataclasses.replace(config.training, batch=batch))


def _fewest_to_come(config: ExperimentConfig, num_examples: int) -> int:
    """The fewest examples that a model has, now or when a Bernoulli plan has grown."""
    if config.subsets == "balanced":
        return _smallest_training_set(config, num_examples)
    eligible = min(num_examples, config.only_subset or num_examples)
    spread = math.sqrt(eligible * config.pkeep * (1 - config.pkeep))
    return max(2, math.floor(eligible * config.pkeep - _DEVIATIONS * spread))


def _smallest_training_set(config: ExperimentConfig, num_examples: int) -> int:
    """The number of examples of the model that has the fewest."""
    return _smallest_of_plan(dataclasses.replace(config, training=TrainingConfig()), num_examples)


@functools.cache
def _smallest_of_plan(config: ExperimentConfig, num_examples: int) -> int:
    # Drawing the plan of thousands of models takes seconds, and more than one check needs it.
    return int(subsets.membership(config, num_examples).sum(axis=1).min())


def check_fits(config: ExperimentConfig, dataset: Dataset) -> None:
    """Raises InputError if the configuration cannot train on a data set."""
    training, shape = config.training, dataset.images.shape[1:]
    on_jax = backend.name() == "jax"
    possible = training.precision == "float32" or training.privacy is None or on_jax
    check("precision", training.precision, possible, "needs KERAS_BACKEND=jax with dp")
    check_images_fit(training, shape)
    patience = training.patience
    check("patience", patience, patience is None or len(dataset.test_images) > 0, "needs test images in the data set")
    _check_batch(config, len(dataset.images))
    if training.privacy:
        from mia_tf.training import accounting

        accounting.guarantee(config, len(dataset.images))  # a target may be out of reach
        if not on_jax:  # whose gradients of each example need no rules of ours
            _elsewhere(_check_rules, training, dataset)


def _elsewhere(work: Callable, training: TrainingConfig, dataset: Dataset):
    """What `work` returns in a process of its own: one that builds a model keeps a GPU's memory."""
    settings = training.arch, dataset.images.shape[1:], dataset.num_classes, training.norm
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(work, *settings).result()


def _check_rules(arch: str, image_shape: tuple[int, ...], num_classes: int, norm: str) -> None:
    with native_messages_held_back():
        from mia_tf import models
        from mia_tf.training.norm_rules import check_supported

        check_supported(models.build(arch, image_shape, num_classes, seed=0, norm=norm))


def _check_batch(config: ExperimentConfig, num_examples: int) -> None:
    """Raises InputError if a model has fewer examples than the batch."""
    batch = config.training.batch
    if not subsets.certainly_have(config, num_examples, batch):
        smallest = _smallest_training_set(config, num_examples)
        allowed = f"must not exceed the smallest model's training set of {smallest} examples"
        check("batch", batch, batch <= smallest, allowed)


def announce(dataset: Dataset, config: ExperimentConfig, logdir: Path, wanted: int, missing: int) -> None:
    """Prints what will be trained, on which data, and what it promises."""
    print(f"{dataset.name}: {len(dataset.images):,} examples, {config.training.arch}, {logdir}")
    for note in (*map(dataset.sources.get, _NOTES), dataset.stand_in):
        if note:
            print(note)
    if missing and config.num_experiments < MIN_MODELS:
        needed = f"mia_tf.analyze needs {MIN_MODELS} models, unless they are the targets of a --shadow_logdir"
        if config.num_experiments == 1:
            needed = "attacks that need shadow models need those of a --shadow_logdir"
        print(f"warning: --num_experiments={config.num_experiments}, but {needed}.")
    _say_share(config, missing)
    _count(wanted, missing)
    if config.training.privacy and missing:
        from mia_tf.training import accounting

        print(accounting.statement(accounting.guarantee(config, len(dataset.images))), flush=True)
    if backend.name() == "jax" and missing:
        measured = "how convolutions are fastest and, without --ensemble_size, how many models fit"
        print(f"On JAX each worker first measures {measured}: it may take minutes.", flush=True)


def announce_task(task: Task, config: TaskConfig, logdir: Path, wanted: int, missing: int) -> None:
    """Prints what will be trained of a user's task, and what it promises."""
    print(f"{task.name}: {len(task.labels):,} examples, {logdir}")
    _say_share(config, missing)
    _count(wanted, missing)
    statement = task.statement(subsets.nominal_size(config, len(task.labels)))
    if statement and missing:
        print(statement, flush=True)


def _say_share(config: PlanConfig, missing: int) -> None:
    """Prints the share of the examples that models train on, if the number of models moves it from pkeep."""
    share, count = subsets.model_share(config), config.num_experiments
    if missing and abs(share - config.pkeep) > _NOTABLE:
        which = f"of {count} models {round(share * count)} train on an example, not {config.pkeep:.0%}"
        print(f"warning: each model trains on {share:.0%} of the examples: {which}.")


def _count(wanted: int, missing: int) -> None:
    print(f"{wanted - missing} of {wanted} models present, {missing} to train.", flush=True)


def logits_bytes(dataset: Dataset, config: ExperimentConfig) -> int:
    """Size of one model's logits on the disk, in bytes."""
    return len(dataset.images) * config.training.queries * dataset.num_classes * 4


def model_bytes(dataset: Dataset, config: ExperimentConfig) -> int:
    """Size of one model on the disk, in bytes: its logits, and its weights of each epoch at which they are kept."""
    training = config.training
    epochs = set(range(training.save_steps, training.epochs + 1, training.save_steps)) if training.save_steps else set()
    if training.keep_ckpt:
        epochs.add(training.epochs)
    weights = 4 * _elsewhere(_count_weights, training, dataset) if epochs else 0  # float32
    return logits_bytes(dataset, config) + len(epochs) * weights


def _count_weights(arch: str, image_shape: tuple[int, ...], num_classes: int, norm: str) -> int:
    with native_messages_held_back():
        from mia_tf import models

        return models.build(arch, image_shape, num_classes, seed=0, norm=norm).count_params()


def answers_bytes(task: Task) -> int:
    """Size of one model's answers on the disk, in bytes, as far as the task tells how many queries they are of."""
    return len(task.labels) * task.queries * task.num_classes * 4


def check_disk(folder: Path, model_bytes: int, num_models: int) -> None:
    """Raises InputError if the models still to come would not fit on the disk of a folder.

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
        fail("logdir", have, f"must have {needed / 1e6:,.1f} MB free for {num_models} models")
