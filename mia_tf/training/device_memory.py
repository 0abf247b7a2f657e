"""The number of models that a device's memory takes at once."""

import math
from collections.abc import Callable, Iterable, Iterator

import jax

from mia_tf.validation import fail

_SHARE = 0.9
"""Of the free memory; the rest is for what XLA's own account of its needs leaves out."""
LARGEST_ENSEMBLE = 64
"""An ensemble that is lost costs all its models, and they finish together: a larger one is not worth that risk."""


def ensemble_size_that_fits(
    lower: Callable[[int], Iterable["jax.stages.Lowered"]], data_bytes: int, num_models: int, on_cpu: int = 1
) -> int:
    """The largest of the sizes that models are shared out in, at most LARGEST_ENSEMBLE, that fits the default device.

    On a CPU it is 1 by default: several networks with convolutions at once are no faster
    (experiments/results/benchmarks/README.md), and models that take turns leave more of them finished at any time.

    Args:
        lower: K -> what is done with K models, lowered but not compiled: training, and asking.
        data_bytes: size of the data set, which lies on the device already and is an argument of each.
        num_models: that are to be trained in all.
        on_cpu: the size on a CPU.

    Raises:
        InputError: the device does not tell how much memory it has.
    """
    (device, *_) = jax.local_devices()
    if device.platform == "cpu":
        return on_cpu
    stats = device.memory_stats() or {}
    if "bytes_limit" not in stats:
        fail("ensemble_size", "auto", f"must be a number, as {device.platform} does not tell how much memory it has")
    free = stats["bytes_limit"] - stats.get("bytes_in_use", 0) + data_bytes
    # What is compiled is the candidate itself: other sizes are other programs, with other needs.
    return next(size for size in sizes(num_models) if size == 1 or max(map(_bytes, lower(size))) <= _SHARE * free)


def sizes(num_models: int) -> Iterator[int]:
    """The sizes of equal shares of `num_models` models: in as few rounds as LARGEST_ENSEMBLE allows, twice as many, ...

    They are what `mia_tf.training.executors.ledger` hands out to a worker that takes as many, down to 1.
    """
    rounds = -(-num_models // LARGEST_ENSEMBLE)
    while (size := -(-num_models // rounds)) > 1:
        yield size
        rounds *= 2
    yield 1


def _bytes(lowered) -> float:
    """What a compiled function needs at most: arguments, what comes out beside them, and temporaries; infinite if
    already its compilation runs out of memory."""
    try:
        memory = lowered.compile().memory_analysis()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return math.inf
    out = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return memory.argument_size_in_bytes + out + memory.temp_size_in_bytes
