"""Scores in descending order, by integers: faster than comparing floats, and stable."""

import numpy as np


def descending_keys(scores: np.ndarray) -> np.ndarray:
    """(k,) uint32 that rise as scores (k,), float without NaN, fall; equal for scores that are equal in float32.

    Example:
        >>> descending_keys(np.array([2.0, -1.0, 0.0, -0.0])).argsort(kind="stable")
        array([0, 2, 3, 1])
    """
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.uint32)  # + 0 makes -0.0 and 0.0 one score
    # Floats order like integers once the negative ones are flipped.
    return np.where(bits >> 31, bits, ~(bits | np.uint32(1 << 31)))


def scores_of(keys: np.ndarray) -> np.ndarray:
    """(k,) float32 scores of `descending_keys`."""
    return np.where(keys >> 31, keys, ~keys & np.uint32((1 << 31) - 1)).astype(np.uint32).view(np.float32)


def ascending(keys: np.ndarray) -> np.ndarray:
    """(k,) int64 positions that sort keys (k,) uint32; equal ones keep their order.

    NumPy sorts 16 bits by counting, in a tenth of the time of a comparing sort: once by the lower half, and then by the
    upper. It takes 24 bytes a key.
    """
    order = keys.astype(np.uint16).argsort(kind="stable")
    return order[(keys >> np.uint32(16)).astype(np.uint16)[order].argsort(kind="stable")]


def num_below(keys: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(k,) int64, how many of few ascending edges (B,) lie below each of many keys (k,), both uint32.

    As `np.searchsorted(edges, keys)`, which takes three times as long because no processor can guess its branches.
    """
    order = ascending(keys)
    ends = np.searchsorted(keys[order], edges, side="right")
    counts = np.diff(ends, prepend=0, append=len(keys))
    below = np.empty(len(keys), np.int64)
    below[order] = np.repeat(np.arange(len(edges) + 1), counts)
    return below
