"""Trains shadow models for a user's task: what `mia_tf.train_shadow_models` and `mia_tf.train --task` share."""

import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

from mia_tf import subsets
from mia_tf.config import MAX_MODELS, MIN_MODELS, TaskConfig
from mia_tf.files import expanded
from mia_tf.run_options import RunOptions
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.store import Store
from mia_tf.task import Task
from mia_tf.task_packing import packed
from mia_tf.training.executors.tasks import TaskExecutor
from mia_tf.validation import InputError, check, check_integer, renamed


def train_shadow_models(
    task: Task,
    num_models: int = 64,
    pkeep: float = 0.5,
    seed: int = 0,
    logdir: str | Path | None = None,
    workers: int | None = None,
) -> ShadowModels:
    """Trains models on random subsets of a task's examples, and returns their record.

    Each model is trained in a worker process, whose function gets the rows of the model's subset and a seed of its own.
    Each example is in the training set of int(pkeep * num_models) models. The same arguments give the same subsets and
    seeds, however many workers there are. If training is interrupted, the same call trains the models that are missing.

    Args:
        task: what to train.
        num_models: number of models M, at least 2.
        pkeep: the share of the models that each example is in, in (0, 1).
        seed: draws the subsets and each model's own seed, from 0.
        logdir: folder of the results, as `python -m mia_tf.train` writes it; None to keep the answers in memory only,
            in which case nothing is left of an interrupted call.
        workers: processes that train at the same time; None for one, which may use all cores. More are faster if they
            fit in the memory, and on the GPU if the function uses one.

    Returns:
        The record of all models of the LOGDIR. A model that could not be trained is not in it; a warning names it.

    Raises:
        InputError: an argument is not allowed, the function cannot be sent to another process, or the LOGDIR holds
            another task or configuration.
        RuntimeError: no model could be trained.

    Example:
        >>> import mia_tf
        >>> shadows = mia_tf.train_shadow_models(task, num_models=64, logdir="runs/mine")  # doctest: +SKIP
        >>> print(mia_tf.audit(shadows))  # doctest: +SKIP
    """
    check("task", type(task).__name__, isinstance(task, Task), "must be a mia_tf.Task")
    check_integer("num_models", num_models, 2, MAX_MODELS)
    if num_models < MIN_MODELS:
        warnings.warn(f"mia_tf.audit needs {MIN_MODELS} models, unless these are its targets", stacklevel=2)
    config = TaskConfig(num_experiments=num_models, pkeep=pkeep, seed=seed, task=task.identity())
    source = packed(task)
    if logdir is not None:
        try:
            return _trained(task, config, RunOptions(expanded(logdir), workers=workers), source)
        except InputError as error:
            if error.argument != "num_experiments":
                raise
            raise renamed(error, "num_models", num_models) from None
    with tempfile.TemporaryDirectory(prefix="mia_tf-", ignore_cleanup_errors=True) as folder:
        return _trained(task, config, RunOptions(Path(folder), workers=workers), source).in_memory()


def open_store(task: Task, config: TaskConfig, options: RunOptions) -> Store:
    """Makes the LOGDIR of a task, or opens it to go on; only if all its models can be trained as configured.

    Raises:
        InputError: the LOGDIR holds another task or configuration, a model would have no examples, or the task cannot
            be trained on subsets of this size.
    """
    check_fits(task, config)
    store = Store.create(options.logdir, config.to_dict(), task.examples)
    store.check_whole()
    store.check_nominal_size(subsets.nominal_size(config, len(task.labels)))
    return store


def check_fits(task: Task, config: TaskConfig) -> None:
    """Raises InputError if a model would have fewer than two examples, or fewer than the task's settings need."""
    if not subsets.certainly_have(config, len(task.labels), 2):
        subsets.membership(config, len(task.labels))
    task.hparams(subsets.nominal_size(config, len(task.labels)))  # a guarantee may be out of reach


def _trained(task: Task, config: TaskConfig, options: RunOptions, source: Callable[[], Task]) -> ShadowModels:
    """The record of a LOGDIR once its missing models are trained."""
    store = open_store(task, config, options)
    missing = sorted(set(range(config.num_experiments)) - store.completed())
    statement = task.statement(subsets.nominal_size(config, len(task.labels)))
    if missing and statement:
        print(statement, file=sys.stderr)
    failures = TaskExecutor(options, source).train_models(store, config, missing) if missing else {}
    store.sweep(range(config.num_experiments))
    if not store.completed():
        gone = (0, f"its folder is no longer in {store.logdir}")  # somebody removed what was trained
        index, reason = min(failures.items(), default=gone)
        raise RuntimeError(f"none of {config.num_experiments} models could be trained; model {index}: {reason}")
    for index, reason in sorted(failures.items()):
        warnings.warn(f"model {index} failed: {reason}", stacklevel=3)
    record = ShadowModels.open(options.logdir)
    record.x = task.x
    return record
