"""How many models a device's memory takes at once."""

import os
from collections.abc import Callable

import jax

_SHARE = 0.8
"""Of the free memory; the rest is for answers, and for what XLA's own account of its needs leaves out."""
LARGEST_GROUP = 64
"""More models at once fill no device better, and all of a group are lost with it."""


def group_size_that_fits(lower: Callable[[int], "jax.stages.Lowered"]) -> int:
    """The largest power of two whose models fit the default device, at most LARGEST_GROUP.

    On a CPU it is 1: models that take turns leave more of them finished at any time, and were as fast.

    Args:
        lower: K -> the epoch of K models, lowered but not compiled.
    """
    (device, *_) = jax.local_devices()
    if device.platform == "cpu":
        return 1
    stats = device.memory_stats() or {}
    free = stats.get("bytes_limit", _memory_of_the_machine()) - stats.get("bytes_in_use", 0)
    one, two = (_bytes(lower(count)) for count in (1, 2))
    per_model, fixed = max(two - one, 1), max(2 * one - two, 0)
    fitting = int((_SHARE * free - fixed) // per_model)
    return min(LARGEST_GROUP, 1 << max(fitting, 1).bit_length() - 1)


def _bytes(lowered) -> int:
    """What an epoch needs at most beyond what lies on the device already: arguments that it keeps, and temporaries."""
    found = lowered.compile().memory_analysis()
    return found.argument_size_in_bytes + found.temp_size_in_bytes


def _memory_of_the_machine() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
