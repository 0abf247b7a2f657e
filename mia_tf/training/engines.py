"""The engine that a configuration and Keras' backend ask for."""

import os

from mia_tf import backend
from mia_tf.config import ExperimentConfig
from mia_tf.quiet import native_messages_held_back
from mia_tf.records import Dataset


def start_engine(
    dataset: Dataset,
    config: ExperimentConfig,
    threads: int,
    ensemble_size: int | None = None,
    num_models: int | None = None,
):
    """Starts an engine in this process; threads and devices are settled once for the process.

    Args:
        dataset: the examples.
        config: the experiment.
        threads: of the CPU.
        ensemble_size: models to train at once, on JAX; None for as many as the memory takes.
        num_models: that this process is to train in all; None if that is not known.

    Returns:
        An object with `ensemble_size`, the models it trains at once, and the methods of
        `mia_tf.training.single.SingleEngine`.
    """
    promise = None
    if config.training.privacy:
        from mia_tf.training.accounting import guarantee  # here, because training without privacy need not wait for it

        promise = guarantee(config, len(dataset.images))
    with native_messages_held_back():
        if backend.name() == "jax":
            os.environ["NPROC"] = str(threads)  # what XLA takes for the number of cores

            from mia_tf.training.ensemble_engine import EnsembleEngine

            return EnsembleEngine(dataset, config.training, promise, ensemble_size, num_models=num_models)

        os.environ["OMP_NUM_THREADS"] = str(threads)
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)

        if promise is None:
            from mia_tf.training.single import SingleEngine

            return SingleEngine(dataset, config.training)
        from mia_tf.training.private import PrivateEngine

        return PrivateEngine(dataset, config.training, promise)
