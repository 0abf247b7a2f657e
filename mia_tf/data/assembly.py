"""Chooses examples from a pool for each group, and puts the groups together in one seeded order."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mia_tf.config import DataConfig
from mia_tf.records import OVER, UNDER, Dataset
from mia_tf.validation import check

_COUNT_ARGUMENTS = {OVER: "num_over", UNDER: "num_under"}


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
    """

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    count: int | None
    test_count: int | None = None
    from_end: bool = False
    change: Callable | None = None


def example_ids(images: np.ndarray) -> np.ndarray:
    """(N,) str: 16 hexadecimal digits for each image, a hash of its shape and its uint8 pixels."""
    shape = repr(images.shape[1:]).encode()
    digests = [hashlib.blake2b(shape + image.tobytes(), digest_size=8).hexdigest() for image in images]
    return np.array(digests, dtype="U16")


def choose_balanced(
    labels: np.ndarray, count: int, rng: np.random.Generator, *, argument: str, from_end: bool = False
) -> np.ndarray:
    """Chooses `count` rows so that the numbers of any two labels differ by one at most.

    Args:
        labels: (n,) integers; the labels to balance over are those that occur.
        count: how many rows; n itself takes every row, balanced or not.
        rng: chooses the rows, and the labels that have one more where `count` does not divide.
        argument: the name that a message gives to `count`.
        from_end: take the last rows of each label's random order, not the first.

    Returns:
        (count,) int64 rows, grouped by label.

    Raises:
        InputError: there are not so many; the message has the largest count.
    """
    if count == len(labels):
        return np.arange(count)
    present, available = np.unique(labels, return_counts=True)
    fewest = min(available, default=0)
    largest = int(len(present) * fewest + np.sum(available > fewest))
    everything = f", or {len(labels)} for all" if largest < len(labels) else ""
    check(count <= largest, f"must be at most {largest}, balanced over the labels{everything}", **{argument: count})
    each, rest = divmod(count, len(present))
    order = rng.permutation(len(present))
    with_one_more = order[available[order] > each][:rest]
    wanted = np.full(len(present), each)
    wanted[with_one_more] += 1
    orders = [rng.permutation(np.flatnonzero(labels == k))[:: -1 if from_end else 1] for k in present]
    return np.concatenate([order[:n] for order, n in zip(orders, wanted, strict=True)])


def assemble(pools: Mapping[int, Pool], config: DataConfig, **about) -> Dataset:
    """Puts the groups together.

    Pools are sorted by example id before anything is drawn, so the rows of the result depend on the
    pixels and the seed only. Each group, the final order, the test images and the changes have a generator
    of their own: asking for another number of one group leaves the other as it was. A test image with
    the pixels of a training example is left out, of whichever groups they are, before a change or after it.

    Args:
        pools: group id -> Pool; images of all pools have one shape.
        config: its seed and dataset_size are used here; its dataset only in messages.
        **about: the rest of Dataset's attributes.

    Raises:
        InputError: a pool or the whole is smaller than was asked for.
    """
    # Children of a seed are numbered: the first three are what they were before there were more.
    *group_rngs, order_rng, test_rng, change_rng, test_change_rng = np.random.default_rng(config.seed).spawn(6)
    chosen = {}
    for group, pool in pools.items():
        images, labels, ids = _sorted_by_id(pool.images, pool.labels)
        count = len(labels) if pool.count is None else pool.count
        # From the end of the order that the other group has from the start: drawn by a copy of its generator.
        rng = np.random.default_rng(config.seed).spawn(1)[OVER] if pool.from_end else group_rngs[group]
        rows = choose_balanced(labels, count, rng, argument=_COUNT_ARGUMENTS[group], from_end=pool.from_end)
        chosen[group] = images[rows], labels[rows], ids[rows]
    seen = [ids for _, _, ids in chosen.values()]
    train, test = [], []
    for group, pool in pools.items():
        images, labels, ids = chosen[group]
        if pool.change is not None:
            images, labels = pool.change(images, labels, change_rng)
            ids = example_ids(images)
            seen.append(ids)
        train.append((images, labels, np.full(len(labels), group, np.uint8), ids))
    seen = np.concatenate(seen)
    for group, pool in pools.items():
        images, labels, ids = _sorted_by_id(pool.test_images, pool.test_labels)
        rows = np.flatnonzero(~np.isin(ids, seen))
        if pool.test_count is not None:
            rows = test_rng.permutation(rows)[: pool.test_count]
        images, labels = images[rows], labels[rows]
        if pool.change is not None and len(rows):
            images, labels = pool.change(images, labels, test_change_rng)
            new = ~np.isin(example_ids(images), seen)
            images, labels = images[new], labels[new]
        test.append((images, labels, np.full(len(labels), group, np.uint8)))
    images, labels, groups, ids = map(np.concatenate, zip(*train, strict=True))
    test_images, test_labels, test_groups = map(np.concatenate, zip(*test, strict=True))
    if config.dataset_size is not None:
        check(
            config.dataset_size <= len(images),
            f"must be at most {len(images)}, the size of {config.dataset}",
            dataset_size=config.dataset_size,
        )
    # Shuffled, so that the first rows are a fair share of both groups.
    rows = order_rng.permutation(len(images))[: config.dataset_size]
    return Dataset(
        images=images[rows],
        labels=labels[rows],
        groups=groups[rows],
        example_ids=ids[rows],
        test_images=test_images,
        test_labels=test_labels,
        test_groups=test_groups,
        **about,
    )


def _sorted_by_id(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, labels and ids in the order of the ids; equal pictures in the order of their labels."""
    ids = example_ids(images)
    order = np.lexsort((labels, ids))
    return images[order], labels[order], ids[order]
