"""How many models a device's memory takes at once."""

import os
from collections.abc import Callable, Iterable

import jax

_SHARE = 0.9
"""Of the free memory; the rest is for what XLA's own account of its needs leaves out."""
LARGEST_GROUP = 64
"""All models of a group are lost with it, and none is finished before the others: more would have to be worth that."""


def group_size_that_fits(lower: Callable[[int], Iterable["jax.stages.Lowered"]], data_bytes: int) -> int:
    """The largest power of two, at most LARGEST_GROUP, of models that fit the default device.

    On a CPU it is 1: several at once are no faster (experiments/results/benchmarks/README.md), and models that take
    turns leave more of them finished at any time.

    Args:
        lower: K -> what is done with K models, lowered but not compiled: training, and asking.
        data_bytes: size of the data set, which lies on the device already and is an argument of each.
    """
    (device, *_) = jax.local_devices()
    if device.platform == "cpu":
        return 1
    stats = device.memory_stats() or {}
    free = stats.get("bytes_limit", _memory_of_the_machine()) - stats.get("bytes_in_use", 0) + data_bytes
    size = LARGEST_GROUP
    # What is compiled is the candidate itself: other sizes are other programs, with other needs.
    while size > 1 and max(map(_bytes, lower(size))) > _SHARE * free:
        size //= 2
    return size


def _bytes(lowered) -> int:
    """What a compiled function needs at most: arguments, what comes out beside them, and temporaries."""
    found = lowered.compile().memory_analysis()
    out = found.output_size_in_bytes - found.alias_size_in_bytes
    return found.argument_size_in_bytes + out + found.temp_size_in_bytes


def _memory_of_the_machine() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
