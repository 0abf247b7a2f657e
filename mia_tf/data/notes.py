"""What is worth saying of a data set before anything trains on it."""

from dataclasses import replace

import numpy as np

from mia_tf.data.assembly import COPIES, digests
from mia_tf.records import Dataset
from mia_tf.validation import check, listed


def with_notes(dataset: Dataset) -> Dataset:
    """Returns the data set with what its `sources` must say of pictures that occur twice and of empty classes.

    Raises:
        InputError: all examples have one label, so that there is nothing to learn.
    """
    counts = np.bincount(dataset.labels, minlength=dataset.num_classes)
    present = np.flatnonzero(counts)
    check(
        "dataset", f"{len(dataset.labels)} examples of one class", len(present) >= 2, "must hold at least two classes"
    )
    notes = {COPIES: [_copies(dataset), dataset.sources.get(COPIES, "")]}
    if len(present) < dataset.num_classes:
        empty = [dataset.classes[c] if dataset.classes else c for c in np.flatnonzero(counts == 0)]
        notes["empty classes"] = [f"None of the chosen examples is of class {listed(empty)}."]
    sentences = {key: " ".join(filter(None, parts)) for key, parts in notes.items()}
    return replace(dataset, sources={**dataset.sources, **{key: text for key, text in sentences.items() if text}})


def _copies(dataset: Dataset) -> str:
    """A sentence on examples with the same pixels, "" if there are none."""
    _, picture, counts = np.unique(digests(dataset.images), return_inverse=True, return_counts=True)
    copies = counts[picture] > 1
    if not copies.any():
        return ""
    lowest, highest = np.full(len(counts), dataset.num_classes), np.full(len(counts), -1)
    np.minimum.at(lowest, picture, dataset.labels)
    np.maximum.at(highest, picture, dataset.labels)
    contradictory = (copies & (lowest < highest)[picture]).sum()
    labelled = f", {contradictory:,} of them under different labels" if contradictory else ""
    return (
        f"{copies.sum():,} of {len(copies):,} examples have the pixels of another example{labelled}: a model without "
        "one of them may have trained on its copy, so their memorization is understated."
    )
