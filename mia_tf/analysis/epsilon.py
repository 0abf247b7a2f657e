"""A lower confidence bound on epsilon, from what an attack achieves: no (epsilon, delta)-DP training allows less.

If training is (epsilon, delta)-DP for adding or removing one example, any attack at any threshold has
(Kairouz et al., 2015):

    TPR <= e^epsilon FPR + delta
    1 - FPR <= e^epsilon (1 - TPR) + delta

Clopper-Pearson bounds the TPR from below and the FPR from above. Together they give a lower bound on epsilon
(Jagielski et al., 2020; Nasr et al., 2023).

- The threshold is chosen on the scores of one half of the targets, drawn at random, and tested on the other.
- ONE pair per example is tested: a fair coin decides between a member and a non-member, and the target is drawn from
  the tested half. So every example weighs the same on both sides, whatever the plan of subsets. Its scores against many
  targets agree much, and so they do not count as many trials. Given the coin, member and non-member differ in the
  example's membership in ONE training set. All else has the same distribution, also the fits on equally many shadow
  models. The inequalities therefore hold for the rates over all examples.
- Clopper-Pearson takes the pairs for independent trials. Pairs of different targets share no training run. But several
  examples are tested on one target. It is an ASSUMPTION that these are independent given their memberships. In
  simulations the bounds stay valid if targets differ as much as examples do. If they differed three times as much, and
  eight were tested, 9% of the bounds exceeded the epsilon of one answer. With more targets it matters less. Steinke et
  al. (2023) need no such assumption: they guess independent coin flips of one run. The memberships in a balanced plan
  of subsets are no such coin flips.
- Each bound holds with its confidence by itself; the largest of several attacks' bounds does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mia_tf.analysis.evaluation import score_blocks
from mia_tf.analysis.statistics import binomial_bounds

_DRAWS = 16
"""Pairs an example that the threshold is chosen on."""
_CANDIDATES = 500
NOTE = "pairs taken for independent trials, one per example"


@dataclass(frozen=True)
class EpsilonBound:
    """A bound of one attack on one population.

    Attributes:
        epsilon_lower: epsilon is at least this, with 95% confidence; 0 says nothing, NaN without pairs.
        threshold: "member" is said of scores at or above it.
        tpr, fpr: of the tested pairs.
        num_members, num_nonmembers: how many pairs were tested.
        note: what a reader must know.
    """

    epsilon_lower: float
    threshold: float
    tpr: float
    fpr: float
    num_members: int
    num_nonmembers: int
    note: str = NOTE

    @classmethod
    def missing(cls, num_members: int, num_nonmembers: int, note: str) -> "EpsilonBound":
        """Returns no bound, and the reason."""
        return cls(np.nan, np.nan, np.nan, np.nan, num_members, num_nonmembers, note)


def epsilon_bounds(
    scores: np.ndarray, keep: np.ndarray, populations: Mapping[str, np.ndarray], delta: float, seed: int
) -> dict[str, EpsilonBound]:
    """Population -> EpsilonBound of one attack.

    Args:
        scores: (N, T) float, the attack's; examples with NaN are left out.
        keep: (N, T) bool.
        populations: name -> (N,) bool.
        delta: in [0, 1).
        seed: splits the targets and draws the pairs.
    """
    rng = np.random.default_rng(seed)
    halves = np.array_split(rng.permutation(keep.shape[1]), 2)
    parts = [[], []]
    for start, part in score_blocks(scores):
        member = keep[start : start + len(part)]
        for drawn, targets, draws in zip(parts, halves, (_DRAWS, 1), strict=True):
            drawn.append(draw_pairs(part[:, targets], member[:, targets], draws, rng))
    held_out, tested = ([np.concatenate(each) for each in zip(*drawn, strict=True)] for drawn in parts)
    bounds = {}
    for name, chosen in populations.items():
        pairs = [_sides(scores[chosen].ravel(), member[chosen].ravel()) for scores, member in (held_out, tested)]
        bounds[name] = lower_bound(pairs[0], pairs[1], delta)
    return bounds


def draw_pairs(
    scores: np.ndarray, member: np.ndarray, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws pairs of each example: first the side by a fair coin, then the target among those of that side.

    Args:
        scores: (n, T) float, NaN if it is missing.
        member: (n, T) bool.
        draws: pairs per example.
        rng: draws them.

    Returns:
        (n, draws) scores, NaN for an example that has not both sides; (n, draws) bool memberships.
    """
    if not scores.shape[1]:
        return np.full((len(scores), draws), np.nan), np.zeros((len(scores), draws), bool)
    coins = rng.random((len(scores), draws)) < 0.5
    places = rng.random((len(scores), draws))
    drawn, counts = np.empty((2, *coins.shape)), np.empty((2, len(scores), 1), np.int64)
    for side, usable in enumerate((~np.isnan(scores) & ~member, ~np.isnan(scores) & member)):
        counts[side] = usable.sum(axis=1, keepdims=True)
        targets = (~usable).argsort(axis=1, kind="stable")  # the usable ones first
        chosen = np.take_along_axis(targets, (places * counts[side]).astype(np.int64), axis=1)
        drawn[side] = np.take_along_axis(scores, chosen, axis=1)
    return np.where((counts > 0).all(axis=0), np.where(coins, drawn[1], drawn[0]), np.nan), coins


def lower_bound(
    held_out: tuple[np.ndarray, np.ndarray], tested: tuple[np.ndarray, np.ndarray], delta: float
) -> EpsilonBound:
    """The bound from pairs to choose the threshold on and pairs to test it on, each (members', non-members') scores."""
    members, nonmembers = map(len, tested)
    if not (members and nonmembers and all(map(len, held_out))):
        return EpsilonBound.missing(members, nonmembers, "members or non-members are missing")
    candidates = _candidates(np.concatenate(held_out))
    # What the tested pairs would give if they had the rates of the held-out ones.
    true, false = (_share(scores, candidates) for scores in held_out)
    threshold = candidates[_epsilon(true * members, false * nonmembers, members, nonmembers, delta).argmax()]
    tpr, fpr = (float(_share(scores, threshold)) for scores in tested)
    epsilon = float(_epsilon(tpr * members, fpr * nonmembers, members, nonmembers, delta))
    return EpsilonBound(max(epsilon, 0.0), float(threshold), tpr, fpr, members, nonmembers)


def _epsilon(
    true: npt.ArrayLike, false: npt.ArrayLike, num_members: int, num_nonmembers: int, delta: float
) -> np.ndarray:
    """Lower bound on epsilon from true and false positives; -infinity or below 0 if they show nothing."""
    least_tpr, _ = binomial_bounds(true, num_members)
    _, most_fpr = binomial_bounds(false, num_nonmembers)
    # Each of the two bounds fails with (1 - CONFIDENCE) / 2 at most, and both inequalities use the same two.
    ratios = (least_tpr - delta) / most_fpr, (1 - most_fpr - delta) / (1 - least_tpr)
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(np.maximum(*ratios), 0))


def _candidates(scores: np.ndarray) -> np.ndarray:
    """Thresholds to choose from, close together at both ends."""
    distinct = np.unique(scores)
    steps = np.unique(np.geomspace(1, len(distinct), _CANDIDATES // 2).astype(np.int64)) - 1
    return distinct[np.union1d(steps, len(distinct) - 1 - steps)]


def _share(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of scores at or above each threshold."""
    return 1 - np.searchsorted(np.sort(scores), thresholds, side="left") / len(scores)


def _sides(scores: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of members and of non-members, without NaN."""
    usable = ~np.isnan(scores)
    return scores[usable & member], scores[usable & ~member]
