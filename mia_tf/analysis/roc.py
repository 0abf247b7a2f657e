"""Receiver operating characteristics of pooled scores, exact and in 8 bytes per pair.

2,000 targets x 61,000 examples are 122 million (score, membership) pairs. Each is packed into one unsigned integer, and
the integers have the order of the scores. So one in-place sort is all that memory and time are spent on. Few pairs are
sorted faster, in 24 bytes more per pair.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mia_tf.analysis.score_order import ascending, descending_keys, scores_of

_CHUNK = 1 << 16
"""Pairs whose corners are computed at a time: small enough for the caches, and for memory."""
_FEW_PAIRS = 1 << 21
"""With no more pairs than this, speed is worth memory."""
_MEMBER = np.uint64(1 << 31)
_SCORE_SHIFT = np.uint64(32)


@dataclass(frozen=True)
class Roc:
    """What is reported of one ROC. Higher scores are called members first; equal scores together.

    Attributes:
        auroc: P(member's score > non-member's) + half P(equal).
        advantage: largest TPR - FPR.
        fpr, tpr, threshold: (L,) float64, for each requested level: the last point of the exact curve with an FPR of at
            most that level. Scores at or above the threshold are called "member" there; it is infinite if none is.
    """

    auroc: float
    advantage: float
    fpr: np.ndarray
    tpr: np.ndarray
    threshold: np.ndarray


class Pool:
    """Pairs of a score and a membership, up to `capacity` of them."""

    def __init__(self, capacity: int):
        self._keys = np.empty(capacity, np.uint64)
        self.num_members = 0
        self.num_nonmembers = 0

    def add(self, scores: np.ndarray, member: np.ndarray, sizes: np.ndarray | None = None) -> None:
        """Adds pairs.

        Args:
            scores: (k,) float, without NaN, kept in float32; higher = member.
            member: (k,) bool.
            sizes: (k,) integers in [1, 2**31): a pair weighs 1 / size; None for equal weights.
        """
        keys = descending_keys(scores).astype(np.uint64)
        keys <<= _SCORE_SHIFT
        keys |= np.asarray(1 if sizes is None else sizes).astype(np.uint64)
        keys[member] |= _MEMBER
        used = self.num_members + self.num_nonmembers
        self._keys[used : used + len(keys)] = keys
        members = int(np.count_nonzero(member))
        self.num_members += members
        self.num_nonmembers += len(keys) - members

    def roc(self, levels: np.ndarray) -> Roc:
        """The ROC of all pairs, at false positive rates `levels` (L,), ascending in [0, 1].

        The TPR at a fixed FPR is the largest whose FPR does not exceed it, not an interpolation.
        Needs at least one member and one non-member.
        """
        keys = self._keys[: self.num_members + self.num_nonmembers]
        corners = None
        if len(keys) <= _FEW_PAIRS:
            keys = keys[ascending((keys >> _SCORE_SHIFT).astype(np.uint32))]
            corners = list(_corners(keys))  # there are two passes
        else:
            keys.sort()
        all_fp = all_tp = 0.0
        for _, chunk_fp, chunk_tp in corners or _corners(keys):
            all_fp, all_tp = chunk_fp[-1], chunk_tp[-1]
        limits = levels * all_fp * (1 + 1e-12)  # a level that is a whole number of pairs must not lose one
        fp, tp = np.zeros(len(levels)), np.zeros(len(levels))
        threshold = np.full(len(levels), np.inf)
        area = advantage = last_fp = last_tp = 0.0
        for scores, chunk_fp, chunk_tp in corners or _corners(keys):
            reached = np.searchsorted(chunk_fp, limits, side="right")
            within = reached > 0
            at = reached[within] - 1
            fp[within], tp[within], threshold[within] = chunk_fp[at], chunk_tp[at], scores[at]
            widths = np.diff(chunk_fp, prepend=last_fp)
            heights = np.concatenate([[last_tp], chunk_tp[:-1]]) + chunk_tp
            area += float(widths @ heights) / 2
            advantage = max(advantage, float((chunk_tp / all_tp - chunk_fp / all_fp).max()))
            last_fp, last_tp = chunk_fp[-1], chunk_tp[-1]
        return Roc(area / (all_fp * all_tp), advantage, fp / all_fp, tp / all_tp, threshold)


def _corners(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Chunks of (score, false positives, true positives) after each distinct score, weighted, of sorted keys."""
    start, fp, tp = 0, 0.0, 0.0
    while start < len(keys):
        stop = min(start + _CHUNK, len(keys))
        if stop < len(keys):  # never between equal scores
            stop = int(np.searchsorted(keys, ((keys[stop - 1] >> _SCORE_SHIFT) + np.uint64(1)) << _SCORE_SHIFT))
        chunk = keys[start:stop]
        bits = (chunk >> _SCORE_SHIFT).astype(np.uint32)
        ends = np.append(np.flatnonzero(bits[1:] != bits[:-1]), len(bits) - 1)
        weights = 1.0 / (chunk & (_MEMBER - np.uint64(1)))
        is_member = (chunk & _MEMBER) != 0
        chunk_tp = tp + np.cumsum(np.where(is_member, weights, 0.0))[ends]
        chunk_fp = fp + np.cumsum(np.where(is_member, 0.0, weights))[ends]
        yield scores_of(bits[ends]), chunk_fp, chunk_tp
        start, fp, tp = stop, chunk_fp[-1], chunk_tp[-1]
