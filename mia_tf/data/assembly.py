"""Chooses examples from a pool for each group, and puts the groups together in one seeded order."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mia_tf.config import DataConfig
from mia_tf.records import OVER, UNDER, Dataset
from mia_tf.validation import check

_COUNT_ARGUMENTS = {OVER: "num_over", UNDER: "num_under"}
COPIES = "copies"
"""The key of `Dataset.sources` for pictures that occur more than once."""
_BLOCK_BYTES = 1 << 22
"""Bytes of pictures that are copied at a time."""
_BLOCK_IDS = 4096


@dataclass(frozen=True)
class Pool:
    """The examples that one group is chosen from.

    Attributes:
        images: (n, H, W, C) uint8.
        labels: (n,) int64.
        test_images: (t, H, W, C) uint8.
        test_labels: (t,) int64.
        count: how many of `images` to choose, balanced over their labels; None for all.
        test_count: the most test images to keep; None for all.
        from_end: choose the last of each label's random order instead of the first. Two pools of the same
            examples, one from each end, share none as long as there are enough of each label.
        change: (images, labels, rng) -> what becomes of the chosen ones (`mixtures.Change.apply`); None for nothing.
        ids: (n,) str, ids of `images` that a user gave; None for a hash of the pixels.
        rows: (n,) int64, the places of `images` in a user's archive, in whose order the data set then is; None for a
            random order.
    """

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    count: int | None
    test_count: int | None = None
    from_end: bool = False
    change: Callable | None = None
    ids: np.ndarray | None = None
    rows: np.ndarray | None = None


def digests(images: np.ndarray) -> np.ndarray:
    """(N,) uint64: a hash of each image's shape and uint8 pixels. Equal images have equal ones."""
    shape = repr(images.shape[1:]).encode()
    hashes = (hashlib.blake2b(shape + image.tobytes(), digest_size=8).digest() for image in images)
    return np.fromiter((int.from_bytes(digest) for digest in hashes), np.uint64, len(images))


def example_ids(images: np.ndarray) -> np.ndarray:
    """(N,) str: 16 hexadecimal digits for each image, its `digests`."""
    return _as_ids(digests(images))


def _as_ids(hashes: np.ndarray) -> np.ndarray:
    """(N,) str of (N,) uint64, in the same order when sorted."""
    ids = np.empty(len(hashes), "U16")
    for start in range(0, len(hashes), _BLOCK_IDS):
        block = slice(start, start + _BLOCK_IDS)
        ids[block] = [f"{digest:016x}" for digest in hashes[block].tolist()]
    return ids


def choose_balanced(
    labels: np.ndarray, count: int, rng: np.random.Generator, *, argument: str, from_end: bool = False
) -> np.ndarray:
    """Chooses `count` rows so that the numbers of any two labels differ by one at most.

    Args:
        labels: (n,) integers; the choice is balanced over the labels that occur.
        count: how many rows; n itself takes every row, balanced or not.
        rng: chooses the rows, and the labels that have one more where `count` does not divide.
        argument: the name that a message gives to `count`.
        from_end: take the last rows of each label's random order, not the first.

    Returns:
        (count,) int64 rows, grouped by label.

    Raises:
        InputError: `count` is too large; the message has the largest possible count.
    """
    if count == len(labels):
        return np.arange(count)
    present, available = np.unique(labels, return_counts=True)
    fewest = min(available, default=0)
    largest = int(len(present) * fewest + np.sum(available > fewest))
    everything = f", or {len(labels)} for all" if largest < len(labels) else ""
    check(argument, count, count <= largest, f"must be at most {largest}, balanced over the labels{everything}")
    per_label, rest = divmod(count, len(present))
    order = rng.permutation(len(present))
    with_one_more = order[available[order] > per_label][:rest]
    wanted = np.full(len(present), per_label)
    wanted[with_one_more] += 1
    orders = [rng.permutation(np.flatnonzero(labels == k))[:: -1 if from_end else 1] for k in present]
    return np.concatenate([order[:n] for order, n in zip(orders, wanted, strict=True)])


def assemble(pools: Mapping[int, Pool], config: DataConfig, **about) -> Dataset:
    """Puts the groups together.

    Pools are sorted by example id before anything is drawn, so which examples are chosen depends on the
    pixels and the seed only. So does their order, unless the pools say their rows. Each group, the final order, the
    test images and the changes have a generator of their own: asking for another number of one group leaves the other
    as it was. A test image with the pixels of a training example is left out, of whichever groups they are, before a
    change or after it; `sources` say how many. Beside the pools there is only one copy of the pictures in memory, the
    result.

    Args:
        pools: group id -> Pool; images of all pools have one shape.
        config: its seed and dataset_size are used here; its dataset only in messages.
        **about: the rest of Dataset's attributes.

    Raises:
        InputError: a pool or the whole is smaller than was asked for.
    """
    # Children of a seed are numbered: the first three are what they were before there were more.
    *group_rngs, order_rng, test_rng, change_rng, test_change_rng = np.random.default_rng(config.data_seed).spawn(6)
    parts, hashes, seen = {}, {}, []
    for group, pool in pools.items():
        hashes[group] = digests(pool.images)
        order = _order(pool, hashes[group])
        labels = pool.labels[order]
        count = len(labels) if pool.count is None else pool.count
        # From the end of the order that the other group has from the start: drawn by a copy of its generator.
        rng = np.random.default_rng(config.data_seed).spawn(1)[OVER] if pool.from_end else group_rngs[group]
        chosen = choose_balanced(labels, count, rng, argument=_COUNT_ARGUMENTS[group], from_end=pool.from_end)
        parts[group] = _Part(pool.images, pool.labels, order[chosen])
        seen.append(hashes[group][order[chosen]])
    ids = {}
    for group, pool in pools.items():
        part = parts[group]
        ids[group] = hashes[group][part.rows] if pool.ids is None else pool.ids[part.rows]
        if pool.change is not None:
            parts[group] = part.changed(pool.change, change_rng)
            ids[group] = digests(parts[group].images)
            seen.append(ids[group])
    seen = np.concatenate(seen)
    test, copies = {}, 0
    for group, pool in pools.items():
        hashed = digests(pool.test_images)
        order = np.lexsort((pool.test_labels, hashed))
        rows = order[~np.isin(hashed[order], seen)]
        copies += len(order) - len(rows)
        if pool.test_count is not None:
            rows = test_rng.permutation(rows)[: pool.test_count]
        test[group] = _Part(pool.test_images, pool.test_labels, rows)
        if pool.change is not None and len(rows):
            changed = test[group].changed(pool.change, test_change_rng)
            new = np.flatnonzero(~np.isin(digests(changed.images), seen))
            copies += len(rows) - len(new)
            test[group] = _Part(changed.images, changed.labels, new)
    count = sum(len(part.rows) for part in parts.values())
    if config.dataset_size is not None:
        allowed = f"must be at most {count}, the size of {config.dataset}"
        check("dataset_size", config.dataset_size, config.dataset_size <= count, allowed)
    # Shuffled, so that the first rows are a fair share of both groups.
    rows = order_rng.permutation(count)[: config.dataset_size]
    places = [pool.rows[parts[group].rows] for group, pool in pools.items() if pool.rows is not None]
    if places:  # a user looks up a row of the tables in the archive
        rows = rows[np.argsort(np.concatenate(places)[rows])]
    ids = np.concatenate(list(ids.values()))
    images, labels, groups = _gathered(parts, rows)
    test_images, test_labels, test_groups = _gathered(test, np.arange(sum(len(part.rows) for part in test.values())))
    if copies:
        left_out = f"{copies:,} test images have the pixels of an example and are left out of the test images."
        about["sources"] = {**about.get("sources", {}), COPIES: left_out}
    return Dataset(
        images=images,
        labels=labels,
        groups=groups,
        example_ids=_as_ids(ids[rows]) if ids.dtype == np.uint64 else ids[rows],
        test_images=test_images,
        test_labels=test_labels,
        test_groups=test_groups,
        **about,
    )


@dataclass(frozen=True)
class _Part:
    """Rows of one group's pictures, in their order, not copied yet."""

    images: np.ndarray
    labels: np.ndarray
    rows: np.ndarray

    def changed(self, change: Callable, rng: np.random.Generator) -> "_Part":
        """All of what becomes of the pictures by a change."""
        images, labels = change(self.images[self.rows], self.labels[self.rows], rng)
        return _Part(images, labels, np.arange(len(labels)))


def _order(pool: Pool, hashes: np.ndarray) -> np.ndarray:
    """(n,) rows of a pool by the hash of their pixels; equal pictures by their labels, then by a user's ids."""
    return np.lexsort((pool.labels, hashes) if pool.ids is None else (pool.ids, pool.labels, hashes))


def _gathered(parts: Mapping[int, _Part], positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The images, labels and groups at some positions of the groups put one after another."""
    shape = next(iter(parts.values())).images.shape[1:]
    images = np.empty((len(positions), *shape), np.uint8)
    labels, groups = np.empty(len(positions), np.int64), np.empty(len(positions), np.uint8)
    step = max(1, _BLOCK_BYTES // max(1, math.prod(shape)))
    first = 0
    for group, part in parts.items():
        here = np.flatnonzero((positions >= first) & (positions < first + len(part.rows)))
        rows = part.rows[positions[here] - first]
        labels[here], groups[here] = part.labels[rows], group
        for start in range(0, len(here), step):
            block = slice(start, start + step)
            images[here[block]] = part.images[rows[block]]
        first += len(part.rows)
    return images, labels, groups
