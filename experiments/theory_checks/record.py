"""What the checks of the theory share: the models' answers, random halves of the models, and rows of summary.csv."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from experiments.theory_checks import theory as t
from mia_tf.records import ALL
from mia_tf.shadow import ood, signals
from mia_tf.shadow.shadow_models import ShadowModels

REPLICATES = 400
STRATA = {
    "0": (-1, 0),
    "0 to 0.25": (0, 0.25),
    "0.25 to 0.5": (0.25, 0.5),
    "0.5 to 0.75": (0.5, 0.75),
    "0.75 to 1": (0.75, 1),
}
"""Ranges of memorization, open below and closed above; the first has those not above 0."""
SUMMARY = ("check", "group", "quantity", "value", "ci_low", "ci_high", "n")


@dataclass(frozen=True)
class Record:
    """What the models say of the plain images.

    Attributes:
        phi, msp: (N, M) float64.
        correct, keep: (N, M) bool.
        groups: (N,) int64, the place of each example's group in `titles`.
        titles: name of a group -> what figures call it.
        masks: name of a population, "all" or a group, -> (N,) bool.
        scale: the sentence for footnotes.
    """

    phi: np.ndarray
    correct: np.ndarray
    msp: np.ndarray
    keep: np.ndarray
    groups: np.ndarray
    titles: Mapping[str, str]
    masks: Mapping[str, np.ndarray]
    scale: str


def read(logdir: Path) -> Record:
    """Reads the first query of every model."""
    shadows = ShadowModels.open(logdir)
    columns = {"phi": [], "correct": [], "msp": []}
    for model in range(len(shadows)):
        logits = shadows.read_logits(model)[:, 0]
        columns["phi"].append(signals.phi(logits, shadows.labels))
        columns["correct"].append(signals.correct(logits, shadows.labels))
        columns["msp"].append(ood.max_softmax(logits))
    about, masks = shadows.about, shadows.populations
    names = [name for name in masks if name != ALL] or [ALL]
    scale = f"{about.name}: {len(shadows)} {about.arch} models, {len(shadows.labels):,} examples."
    return Record(
        **{name: np.column_stack(values) for name, values in columns.items()},
        keep=shadows.members.T,
        groups=np.argmax([masks[name] for name in names], axis=0),
        titles={name: about.group_titles.get(name, "examples") for name in names},
        masks=masks,
        scale=f"{scale}\n{about.stand_in}".strip(),
    )


def plain_fits(record: Record, used: np.ndarray | None = None) -> t.NormalFits:
    """Normals fitted to all or to the used models, of (N,) arrays."""
    fits = t.fit_normals(record.phi, record.keep, np.ones((1, record.keep.shape[1])), used)
    return t.NormalFits(*(getattr(fits, f.name)[:, 0] for f in fields(fits)))


def halves(keep: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, M) bool, a random half of each example's IN and of its OUT models."""
    chosen = np.zeros(keep.shape, bool)
    for side in (keep, ~keep):
        keys = np.where(side, rng.random(keep.shape), np.inf)
        rank = np.argsort(np.argsort(keys, axis=1), axis=1)
        chosen |= side & (rank < side.sum(axis=1, keepdims=True) // 2)
    return chosen


def half_memorization(record: Record, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Memorization and its standard error from some of each example's models."""
    counts, rates, errors = [], [], []
    for side in (record.keep & half, ~record.keep & half):
        count, right = side.sum(axis=1), (record.correct & side).sum(axis=1)
        smoothed = (right + 1) / (count + 2)
        rates.append(right / count)
        errors.append(smoothed * (1 - smoothed) / (count + 2))
        counts.append(count)
    return rates[0] - rates[1], np.sqrt(errors[0] + errors[1])


def mean_rows(
    check: str, quantity: str, record: Record, estimate: np.ndarray, replicates: np.ndarray
) -> Iterator[tuple]:
    """A group's mean over its examples, with a 95% interval by the bootstrap over models."""
    for group, mask in record.masks.items():
        low, high = np.quantile(replicates[mask].mean(axis=0), [0.025, 0.975])
        yield check, group, quantity, estimate[mask].mean(), low, high, int(mask.sum())


def share_rows(check: str, quantity: str, record: Record, chosen: np.ndarray) -> Iterator[tuple]:
    """A group's share of examples with its Clopper-Pearson interval: examples as drawn, models as they are."""
    for group, mask in record.masks.items():
        count = int(chosen[mask].sum())
        interval = binomtest(count, int(mask.sum())).proportion_ci(method="exact")
        yield check, group, quantity, count / mask.sum(), interval.low, interval.high, int(mask.sum())
