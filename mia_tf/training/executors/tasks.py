"""Trains the models of a user's task in worker processes on this machine."""

import functools
import os
from collections.abc import Callable, Sequence

from joblib.externals.loky.backend.context import get_context

from mia_tf import backend, subsets
from mia_tf.config import TaskConfig
from mia_tf.run_options import RunOptions
from mia_tf.store import Store
from mia_tf.task import Task
from mia_tf.training.executors import local, sharing
from mia_tf.training.task_engine import start_task_engine

_NUMBERS_OF_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
"""Environment variables by which libraries learn how many threads they may use."""

_SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""Environment variables by which TensorFlow and JAX leave other workers room on a GPU."""


class TaskExecutor:
    """Worker processes on this machine that call a user's function (`mia_tf.training.executors`).

    They are loky's, which do not run the user's script again, as those of multiprocessing do. They may also have
    processes of their own (PyTorch's loaders of data), and take functions that are defined in a notebook.

    Args:
        options: how many workers, and threads of each.
        source: returns the task, in a worker process.
    """

    def __init__(self, options: RunOptions, source: Callable[[], Task]):
        self._options, self._source = options, source

    def train_models(self, store: Store, config: TaskConfig, indices: Sequence[int]) -> dict[int, str]:
        """Trains models; see `mia_tf.training.executors`."""
        workers, threads = sharing.share_cores_of_task(self._options)
        limits = {name: os.environ.get(name, str(threads)) for name in _NUMBERS_OF_THREADS}
        limits |= {name: os.environ.get(name, value) for name, value in _SHARED_GPU.items()}
        limits |= backend.memory_limit(0.9 / workers) if workers > 1 else {}
        new_process = functools.partial(get_context("loky").Process, env=limits)
        num_members = subsets.nominal_size(config, len(store.examples().labels))
        start = functools.partial(
            start_task_engine,
            source=self._source,
            identity=dict(config.task),
            num_members=num_members,
            ensemble_size=self._options.ensemble_size,
            num_models=-(-len(indices) // workers),
        )
        return local.train_models(store, config, indices, start, workers, new_process)
