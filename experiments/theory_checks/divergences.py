"""How far apart two distributions lie: squared Hellinger distance H^2 and total variation TV, both in [0, 1].

H^2 = 1 - integral of sqrt(p0 p1), as Equation 4 of Choi et al. has it, and TV = half the integral of |p0 - p1|.
For any two distributions H^2 <= TV <= sqrt(H^2 (2 - H^2)). Both are symmetric, and 0 for equal distributions only.
"""

import numpy as np
from scipy.special import ndtr


def hellinger_normal(mean0: np.ndarray, sd0: np.ndarray, mean1: np.ndarray, sd1: np.ndarray) -> np.ndarray:
    """H^2 of N(mean0, sd0^2) and N(mean1, sd1^2): arguments broadcast, sd > 0; float64."""
    log_ratio = np.log(sd0) - np.log(sd1)
    # sqrt(sd0^2 + sd1^2) without overflow; expm1 keeps the digits of small distances.
    distance = (mean0 - mean1) / np.hypot(sd0, sd1)
    log_overlap = -0.5 * np.logaddexp(log_ratio, -log_ratio) + 0.5 * np.log(2) - 0.25 * np.square(distance)
    return -np.expm1(np.minimum(log_overlap, 0))


def hellinger_discrete(shares0: np.ndarray, shares1: np.ndarray) -> np.ndarray:
    """H^2 of two distributions over the K values of the last axis: (..., K) shares that sum to 1."""
    return 0.5 * np.square(np.sqrt(shares0) - np.sqrt(shares1)).sum(axis=-1)


def likelier_region(
    mean0: np.ndarray, sd0: np.ndarray, mean1: np.ndarray, sd1: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the density of N(mean0, sd0^2) exceeds that of N(mean1, sd1^2).

    The log ratio of the densities is a quadratic, so the region lies between its roots or outside of them.

    Returns:
        low and high, the roots, either of them infinite if sd0 = sd1; and inside, bool: whether the region
        is (low, high) or what lies outside. Equal distributions get an empty region, low = high.
    """
    mean0, sd0, mean1, sd1 = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (mean0, sd0, mean1, sd1)))
    distance, ratio = (mean1 - mean0) / sd0, sd1 / sd0  # in units of the first
    # (1 - ratio^2) z^2 - 2 distance z + distance^2 + 2 ratio^2 log(ratio) = 0, solved without cancellation.
    excess = ratio * ratio - 1
    width = ratio * np.sqrt(np.square(distance) + 2 * excess * np.log(ratio))
    larger = distance + np.copysign(width, distance)
    with np.errstate(divide="ignore", invalid="ignore"):
        # -excess is -0.0 for equal sd: the root goes to where it does as sd1 falls to sd0 from above.
        roots = larger / -excess, (np.square(distance) + 2 * np.square(ratio) * np.log(ratio)) / larger
    same = larger == 0
    low, high = (np.where(same, mean0, mean0 + sd0 * edge(*roots)) for edge in (np.minimum, np.maximum))
    return low, high, excess >= 0


def probability(region: tuple[np.ndarray, np.ndarray, np.ndarray], mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """What N(mean, sd^2) gives to a region as `likelier_region` has it."""
    low, high, inside = region
    within = ndtr((high - mean) / sd) - ndtr((low - mean) / sd)
    return np.where(inside, within, 1 - within)


def total_variation_normal(mean0: np.ndarray, sd0: np.ndarray, mean1: np.ndarray, sd1: np.ndarray) -> np.ndarray:
    """TV of N(mean0, sd0^2) and N(mean1, sd1^2): arguments broadcast, sd > 0; float64."""
    region = likelier_region(mean0, sd0, mean1, sd1)
    return np.clip(probability(region, mean0, sd0) - probability(region, mean1, sd1), 0, 1)
