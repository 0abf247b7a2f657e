"""One worker process: claims models of a LOGDIR, trains them and stores them.

It talks to its parent over one pipe. From the parent come lists of int, the models to train next, at most
`engine.ensemble_size` of them, and None, the end. To the parent go tuples (event, index, detail):

    ("ready", None, ensemble_size)  asks for models
    ("refused", None, reason)       the engine cannot be started with these settings; one line, and the last
    ("epoch", None, None)           an epoch of its models is over
    ("done", index, metrics)        the model is stored
    ("elsewhere", index, None)      another process holds the model, or it is present
    ("failed", index, reason)       the model could not be trained; one line
    ("unwritable", index, reason)   the model was trained but not stored: the disk is full, or gone
"""

import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from mia_tf import subsets
from mia_tf.config import ExperimentConfig, TaskConfig
from mia_tf.quiet import print_all_text
from mia_tf.records import ModelFailure, ModelRecord
from mia_tf.store import Store
from mia_tf.training.engines import start_engine
from mia_tf.validation import InputError


def run(pipe: Connection, logdir: Path, config: ExperimentConfig | TaskConfig, start: Callable) -> None:
    """Trains models with the engine that `start(dataset)` returns, until the parent sends None or is gone."""
    _prepare_for_children(pipe)
    print_all_text()
    store = Store(logdir)
    # Once the parent has died, the pipe breaks; whatever is stored is whole. Left open, the pipe would tell the parent
    # that this process works as long as a thread of the task's keeps it alive.
    with pipe, contextlib.suppress(EOFError, ConnectionError):
        dataset = store.pool()
        plan = subsets.membership(config, len(dataset.labels))
        try:
            engine = start(dataset)
        except InputError as error:
            pipe.send(("refused", None, str(error)))
            return
        pipe.send(("ready", None, engine.ensemble_size))
        while (indices := pipe.recv()) is not None:
            _train_claimed(pipe, store, engine, config, plan, indices)
            pipe.send(("ready", None, engine.ensemble_size))


def _prepare_for_children(pipe: Connection) -> None:
    """Leaves Ctrl-C to the parent, but not for processes that a task starts; these do not keep the pipe open either."""
    os.set_inheritable(pipe.fileno(), False)
    os.register_at_fork(after_in_child=pipe.close)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as shells set it for jobs in the background
        # A handler that does nothing: programs that this process starts would inherit SIG_IGN.
        signal.signal(signal.SIGINT, lambda *_: None)
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def _train_claimed(pipe, store, engine, config, plan, indices) -> None:
    with store.claim_models(indices) as claimed:
        for index in sorted(set(indices) - set(claimed)):
            pipe.send(("elsewhere", index, None))
        for outcome in train_with_engine(
            engine, config, plan[claimed], claimed, lambda: pipe.send(("epoch", None, None))
        ):
            pipe.send(keep(store, outcome))


def train_with_engine(
    engine,
    config: ExperimentConfig | TaskConfig,
    members: np.ndarray,
    indices: Sequence[int],
    on_epoch: Callable[[], None],
) -> Iterator[ModelRecord | ModelFailure]:
    """Trains models of an experiment in one call of an engine.

    Args:
        engine: what trains them.
        config: the experiment.
        members: (K, N) bool, the training set of each.
        indices: K, which of the experiment's models they are.
        on_epoch: called after every epoch of them all.

    Yields:
        What the engine does, with the experiment's indices and all that hparams.json holds.
    """
    if not indices:
        return
    seeds = [subsets.model_seed(config.seed, index) for index in indices]
    for outcome in engine.train(members, seeds, on_epoch):
        index = indices[outcome.index]
        if isinstance(outcome, ModelFailure):
            yield dataclasses.replace(outcome, index=index)
        else:
            # LiRA's names; the model's own seed takes the place of the experiment's.
            hparams = {**config.to_dict(), **outcome.hparams, "expid": index}
            yield dataclasses.replace(outcome, index=index, hparams=hparams)


def keep(store: Store, outcome: ModelRecord | ModelFailure) -> tuple[str, int, object]:
    """Stores a model that could be trained; returns the event that reports the outcome."""
    if isinstance(outcome, ModelFailure):
        return "failed", outcome.index, outcome.reason
    try:
        store.write(outcome)
    except OSError as error:
        reason = f"it could not be written to {store.logdir}: {error.strerror or error}"
        return "unwritable", outcome.index, reason
    return "done", outcome.index, dict(outcome.metrics)


def measure_speed(
    pipe: Connection,
    logdir: Path,
    config: ExperimentConfig,
    threads: int,
    ensemble_size: int | None,
    num_models: int | None,
    seconds: float,
) -> None:
    """Trains for a while when the parent says so, and sends the images per second and its peak memory in bytes."""
    import resource  # which Windows lacks

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    dataset = Store(logdir).dataset()
    engine = start_engine(dataset, config, threads, ensemble_size, num_models)

    def compiled():
        pipe.send("ready")
        pipe.recv()

    speed = engine.images_per_second(seconds, compiled)
    pipe.send((speed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
