"""Where models are trained.

An executor has one method, `train_models(store, config, indices) -> {index: reason}`: it trains the models that are
not present yet, waits for those that another process has in hand, and gives one line for each that could not be
trained.
"""

from mia_tf.training.executors.local import LocalExecutor

__all__ = ["LocalExecutor"]
