"""Where models are trained: in processes of this machine, or on the machines of a Ray cluster.

An executor has one method, `train_models(store, config, indices) -> {index: reason}`: it trains the models that are
not present yet, waits for those that another process has in hand, and gives one line for each that could not be
trained.
"""

import contextlib
from collections.abc import Iterator

from mia_tf.run_options import RunOptions
from mia_tf.training.executors.local import LocalExecutor


@contextlib.contextmanager
def opened(options: RunOptions) -> Iterator:
    """The executor that the options ask for.

    Raises:
        InputError: it cannot be had, or no machine of it could ever run what is asked for.
    """
    if options.executor == "local":
        yield LocalExecutor(options)
        return
    from mia_tf.training.executors.ray_executor import connected

    with connected(options) as executor:
        yield executor
