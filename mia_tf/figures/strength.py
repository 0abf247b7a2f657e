"""The words of Choi et al. (section 4.1) for a rank correlation."""

import numpy as np

MODERATE, STRONG = 0.4, 0.6
SIGNIFICANT = 0.001
_NORMAL = 1.959964


def strength(rho: float, p_value: float, n: int) -> str:
    """Strength of Spearman's correlation, whatever its sign: "weak", "moderate" or "strong".

    The paper calls |rho| below 0.4 weak, 0.4 to 0.59 moderate and above 0.6 strong, at p < 0.001; what it leaves
    between 0.59 and 0.6 is moderate here. If the 95% interval spans several of these, both ends are named, such as
    "moderate to strong".

    Args:
        rho: Spearman's correlation.
        p_value: of no correlation.
        n: number of pairs. With three or fewer there is no interval, and rho alone decides.

    Returns:
        One or two words; "not significant" if p is larger, "unresolved" if rho is NaN.

    Example:
        >>> strength(0.67, 1e-9, 5000), strength(0.67, 1e-9, 250)
        ('strong', 'moderate to strong')
    """
    if np.isnan(rho):
        return "unresolved"
    if not p_value < SIGNIFICANT:
        return "not significant"
    ends = spearman_interval(abs(rho), n)
    words = [word(max(end, 0)) for end in (ends if np.isfinite(ends).all() else (abs(rho),))]
    return " to ".join(dict.fromkeys(words))


def word(rho: float) -> str:
    """Returns "weak", "moderate" or "strong" for a correlation's absolute value."""
    return "strong" if rho >= STRONG else "moderate" if rho >= MODERATE else "weak"


def spearman_interval(rho: float, n: int) -> tuple[float, float]:
    """Returns the 95% interval of Spearman's correlation of n pairs; NaN for three pairs or fewer.

    It is Bonett and Wright's (2000): Fisher's z with variance (1 + rho^2 / 2) / (n - 3).
    """
    if n <= 3 or not np.isfinite(rho):
        return np.nan, np.nan
    if abs(rho) >= 1:
        return rho, rho
    half = _NORMAL * np.sqrt((1 + rho**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(rho) + half * np.array([-1, 1])).tolist()
    return low, high
