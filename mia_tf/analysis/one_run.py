"""A lower bound on epsilon from ONE trained model (Steinke, Nasr and Jagielski, 2023, "Privacy auditing with one run").

Each of m examples was included by a fair coin of its own. The auditor guesses r of the coins from the model's
scores. Under (epsilon, delta)-DP, hardly more guesses are right than if each were right with probability q (theorem
5.2):

    P[at least v right] <= beta + 2 m delta alpha
    q = e^epsilon / (1 + e^epsilon)
    beta = P[Bin(r, q) >= v]
    alpha = max over i in 1..v of P[v - i <= Bin(r, q) < v] / i

Unlike `epsilon.epsilon_bounds`, this does not assume that the examples are independent given the model.
"""

import numpy as np
from scipy.special import bdtr, betainc, betaincinv, logit

from mia_tf.analysis.epsilon import EpsilonBound
from mia_tf.analysis.statistics import CONFIDENCE
from mia_tf.validation import as_array, as_mask, check, check_integer, check_number, check_shape, without_second_axis

_SHARES = np.array([0, *np.geomspace(0.002, 0.5, 18)])
"""Shares of the examples that are guessed to be members, or not to be; the best pair is chosen on a held-out half."""
_IMPOSSIBLE = 1e-6
"""Probability below which as many examples cannot have been included by fair coins."""
_TOLERANCE = 1e-9
"""Of epsilon."""


def epsilon_one_run(
    scores: np.ndarray, included: np.ndarray, delta: float, confidence: float = CONFIDENCE, seed: int = 0
) -> EpsilonBound:
    """Bounds the epsilon of one training run from below.

    The thresholds of the guesses are chosen on one half of the examples, drawn at random, and tested on the other.

    Args:
        scores: (m,) or (m, 1) numbers, higher = included; NaN: the example is left out.
        included: (m,) or (m, 1) bool, or 0 and 1, the results of independent fair coins that decided which examples
            were trained on.
        delta: in [0, 1).
        confidence: the true epsilon is below the bound with probability 1 - confidence at most.
        seed: splits the examples.

    Returns:
        The bound; `threshold` is that of the guesses "included", tpr and fpr are the rates of these guesses among the
        tested examples.

    Raises:
        InputError: the arrays have different shapes, or an argument is out of range, or no fair coins would include as
            many.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> included = rng.random(1000) < 0.5
        >>> bool(epsilon_one_run(rng.normal(size=1000) + 4 * included, included, 1e-5).epsilon_lower > 2)
        True
    """
    scores = without_second_axis(as_array("scores", scores))
    check("scores", f"dtype {scores.dtype}", scores.dtype.kind in "fiu", "must be numbers")
    scores = scores.astype(np.float64)
    check_shape("scores", scores, (None,))
    included = as_mask("included", included, scores.shape)
    check_number("delta", delta)
    check_number("confidence", confidence)
    check_integer("seed", seed, 0)
    check("delta", delta, 0 <= delta < 1, "must be in [0, 1)")
    count = int(np.count_nonzero(included))
    possible = 2 * bdtr(min(count, len(included) - count), len(included), 0.5) >= _IMPOSSIBLE
    check("included", f"{count} of {len(included)}", possible, "must come from fair coins, one per example")
    check("confidence", confidence, 0 < confidence < 1, "must be in (0, 1)")
    known = np.flatnonzero(~np.isnan(scores))
    order = np.random.default_rng(seed).permutation(known)
    chosen, tested = order[: len(order) // 2], order[len(order) // 2 :]
    if not len(chosen):
        return EpsilonBound.missing(0, 0, "too few examples have scores")
    low, high = _thresholds(scores[chosen], included[chosen], confidence)
    guessed_in, guessed_out = scores[tested] >= high, scores[tested] <= low
    member = included[tested]
    right = int((guessed_in & member).sum() + (guessed_out & ~member).sum())
    guesses = int(guessed_in.sum() + guessed_out.sum())
    counts = int(member.sum()), int((~member).sum())
    tpr, fpr = (float(guessed_in[side].mean()) if side.any() else np.nan for side in (member, ~member))
    bound = _largest_epsilon(right, guesses, len(tested), delta, confidence)
    note = f"one run, fair coins: {right} of {guesses} guesses right"
    return EpsilonBound(bound, float(high), tpr, fpr, *counts, note)


def p_value(right: int, guesses: int, examples: int, epsilon: float, delta: float) -> float:
    """Returns the largest probability that `right` or more guesses are right under (epsilon, delta)-DP.

    Args:
        right: v, how many guesses are right.
        guesses: r, how many were made.
        examples: m, how many examples had a coin.
        epsilon, delta: of the training.
    """
    if not right:
        return 1.0
    q = 1 / (1 + np.exp(-epsilon))
    least = np.arange(right, 0, -1)
    at_least = np.append(betainc(least, guesses - least + 1, q), 1.0)  # P[Bin(r, q) >= v], >= v - 1, ..., >= 0
    beta = at_least[0]
    alpha = ((at_least[1:] - beta) / np.arange(1, right + 1)).max()
    return float(min(1, beta + 2 * examples * delta * alpha))


def _largest_epsilon(right: int, guesses: int, examples: int, delta: float, confidence: float) -> float:
    """The largest epsilon that is refused at the confidence; 0 if none is."""

    def excess(epsilon: float) -> float:
        return p_value(right, guesses, examples, epsilon, delta) - (1 - confidence)

    if excess(0.0) > 0:
        return 0.0
    without_delta = float(logit(betaincinv(right, guesses - right + 1, 1 - confidence)))
    # A delta only lowers the bound; one that is too small to show leaves no root between.
    if excess(without_delta) <= 0:
        return without_delta
    from scipy.optimize import brentq  # slow to import

    return brentq(excess, 0.0, without_delta, xtol=_TOLERANCE)


def _thresholds(scores: np.ndarray, included: np.ndarray, confidence: float) -> tuple[float, float]:
    """At or below which score an example is guessed out and at or above which in, for the largest bound.

    By the bound at delta = 0, the logit of Clopper-Pearson's one-sided bound on the share of right guesses.
    """
    ascending = np.sort(scores)
    counts = np.unique((_SHARES * len(scores)).astype(np.int64))
    highs = np.where(counts > 0, ascending[np.minimum(len(scores) - counts, len(scores) - 1)], np.inf)
    lows = np.where(counts > 0, ascending[np.maximum(counts - 1, 0)], -np.inf)
    guessed_in, guessed_out = scores >= highs[:, None], scores <= lows[:, None]
    guesses = np.add.outer(guessed_out.sum(axis=1), guessed_in.sum(axis=1))
    right = np.add.outer((guessed_out & ~included).sum(axis=1), (guessed_in & included).sum(axis=1))
    least = betaincinv(np.maximum(right, 1), guesses - right + 1, 1 - confidence)
    usable = (right > 0) & (lows[:, None] < highs)
    out, into = np.unravel_index(np.where(usable, least, -1).argmax(), least.shape)
    return float(lows[out]), float(highs[into])
