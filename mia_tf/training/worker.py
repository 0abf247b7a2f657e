"""One worker process: claims models of a LOGDIR, trains them and stores them.

It talks to its parent over one pipe. From the parent come `int`, the model to train next, and
None, the end. To the parent go tuples (event, index, detail):

    ("ready", None, None)        asks for a model
    ("epoch", index, None)       an epoch is over
    ("done", index, metrics)     the model is stored
    ("elsewhere", index, None)   another process holds the model, or it is present
    ("failed", index, reason)    the model could not be trained; one line
    ("unwritable", index, reason)  the model was trained but not stored: the disk is full, or gone
"""

import dataclasses
import os
import resource
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from mia_tf import subsets
from mia_tf.config import ExperimentConfig
from mia_tf.quiet import native_messages_held_back
from mia_tf.records import Dataset, ModelFailure
from mia_tf.store import Store


def run(pipe: Connection, logdir: Path, config: ExperimentConfig, threads: int) -> None:
    """Trains models until the parent sends None or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    store = Store(logdir)
    try:
        dataset = store.dataset()
        plan = subsets.membership(config, len(dataset.images))
        engine = start_engine(dataset, config, threads)
        pipe.send(("ready", None, None))
        while (index := pipe.recv()) is not None:
            pipe.send(_train_model(pipe, store, engine, config, plan, index))
            pipe.send(("ready", None, None))
    except (EOFError, BrokenPipeError):
        return  # the parent died; whatever is stored is whole


def start_engine(dataset: Dataset, config: ExperimentConfig, threads: int):
    """The engine that the configuration asks for, in this process, on `threads` threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    with native_messages_held_back():
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)

        if config.training.privacy is None:
            from mia_tf.training.single import SingleEngine

            return SingleEngine(dataset, config.training)
        from mia_tf.training.accounting import guarantee
        from mia_tf.training.private import PrivateEngine

        return PrivateEngine(dataset, config.training, guarantee(config, len(dataset.images)))


def _train_model(pipe, store, engine, config, plan, index):
    with store.claim(index) as mine:
        if not mine:
            return "elsewhere", index, None
        seed = subsets.model_seed(config.seed, index)
        (record,) = engine.train(plan[index : index + 1], [seed], lambda: pipe.send(("epoch", index, None)))
        if isinstance(record, ModelFailure):
            return "failed", index, record.reason
        # LiRA's names; the model's own seed takes the place of the experiment's.
        hparams = {**config.to_dict(), **record.hparams, "expid": index}
        try:
            store.write(dataclasses.replace(record, index=index, hparams=hparams))
        except OSError as error:
            return "unwritable", index, f"it could not be written to {store.logdir}: {error.strerror or error}"
        return "done", index, dict(record.metrics)


def measure(pipe: Connection, logdir: Path, config: ExperimentConfig, threads: int, seconds: float) -> None:
    """Trains for a while when the parent says so, and sends the images per second and its peak memory in bytes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    dataset = Store(logdir).dataset()
    engine = start_engine(dataset, config, threads)
    engine.images_per_second(seconds=0.0)  # compiles
    pipe.send("ready")
    pipe.recv()
    speed = engine.images_per_second(seconds)
    pipe.send((speed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
