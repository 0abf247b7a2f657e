"""Where models are trained: in processes of this machine, or on the machines of a Ray cluster.

An executor has one method, `train_models(store, config, indices) -> {index: reason}`. It trains the models that are not
present yet, and waits for models that another process is training. It returns one line per model that could not be
trained.
"""

import contextlib
from collections.abc import Callable, Iterator

from mia_tf.run_options import RunOptions
from mia_tf.task import Task
from mia_tf.task_packing import packed_with_its_file
from mia_tf.training.executors.local import LocalExecutor
from mia_tf.training.executors.tasks import TaskExecutor


@contextlib.contextmanager
def opened(options: RunOptions, task: Task | None = None, source: Callable[[], Task] | None = None) -> Iterator:
    """The executor that the options ask for.

    Args:
        options: where and how fast.
        task: a user's task, for its models; None for the networks of `mia_tf.models`.
        source: returns the task in another process on this machine.

    Raises:
        InputError: it is not available, or none of its machines could ever run a worker of the requested size.
    """
    if options.executor == "local":
        yield LocalExecutor(options) if source is None else TaskExecutor(options, source)
        return
    from mia_tf.training.executors.ray_executor import connected

    with connected(options, task and packed_with_its_file(task)) as executor:
        yield executor
