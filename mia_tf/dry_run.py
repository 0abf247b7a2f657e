"""A rehearsal of the train command: everything is checked and its cost measured, and nothing is trained or kept."""

import tempfile

from mia_tf import backend, subsets
from mia_tf.config import ExperimentConfig, TaskConfig
from mia_tf.preparation import announce, announce_task, answers_bytes, check_disk, logits_bytes, model_bytes, settle
from mia_tf.progress import duration
from mia_tf.run_options import RunOptions
from mia_tf.store import Store
from mia_tf.task import Task
from mia_tf.task_training import check_fits
from mia_tf.training.executors import sharing


def rehearse(config: ExperimentConfig, options: RunOptions, identity: dict, batch_given: bool) -> None:
    """Checks what training would check, and prints what it would train, promise and cost on this machine.

    Args:
        config: the experiment.
        options: where and how fast; its LOGDIR is neither made nor changed.
        identity: what the LOGDIR's config.json holds, or would.
        batch_given: as `preparation.settle` takes it.

    Raises:
        InputError: the training would be refused.
    """
    config, load_dataset = settle(config, options.logdir, batch_given)
    identity = {**identity, "batch": config.training.batch}
    begun = Store.check(options.logdir, identity)
    dataset = Store(options.logdir).dataset() if begun else load_dataset()
    wanted = set(options.models(config.num_experiments))
    missing = len(wanted - Store(options.logdir).completed()) if begun else len(wanted)
    announce(dataset, config, options.logdir, len(wanted), missing)
    if missing:
        _say_cost(config, options, identity, dataset, missing)
    print("Nothing was trained: this was a dry run.")


def rehearse_task(task: Task, config: TaskConfig, options: RunOptions) -> None:
    """Checks what training a user's task would check, and prints what it would train. The cost only a model can tell.

    Raises:
        InputError: the training would be refused.
    """
    check_fits(task, config)
    begun = Store.check(options.logdir, config.to_dict())
    wanted = set(options.models(config.num_experiments))
    missing = len(wanted - Store(options.logdir).completed()) if begun else len(wanted)
    announce_task(task, config, options.logdir, len(wanted), missing)
    check_disk(options.logdir, answers_bytes(task), missing)
    print("Nothing was trained: this was a dry run, which does not call the task's function.")


def _say_cost(config, options, identity, dataset, missing) -> None:
    check_disk(options.logdir, model_bytes(dataset, config), missing)
    batch, size = config.training.batch, logits_bytes(dataset, config) / 1e6
    steps = config.training.epochs * subsets.nominal_size(config, len(dataset.images)) // batch
    print(f"A model: {steps:,} steps of {batch:,}, {steps * batch:,} images; {size:,.1f} MB of logits.", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        trial = Store.create(folder, identity, lambda: dataset)
        workers, threads = sharing.share_cores(trial, config, options, missing)
        backend.limit_memory(0.9 / workers)  # as when training
        speed, memory = sharing.cost(trial, config, workers, threads, options.ensemble_size, missing)
    needed = missing * steps * batch / speed
    print(
        f"{missing} models: {missing * size:,.1f} MB of logits and about {duration(needed)} of training here, at "
        f"{speed:,.0f} images/s as measured ({workers} x {threads} threads); memory of a worker {memory / 1e6:,.0f} MB."
    )
