"""The words of Choi et al. (section 4.1) for a rank correlation."""

import numpy as np

MODERATE, STRONG = 0.4, 0.6
SIGNIFICANT = 0.001


def strength(rho: float, p_value: float) -> str:
    """Strength of Spearman's correlation, whatever its sign: "weak", "moderate" or "strong".

    The paper calls |rho| below 0.4 weak, 0.4 to 0.59 moderate and above 0.6 strong, at p < 0.001; what it leaves
    between 0.59 and 0.6 is moderate here. "not significant" where p is larger, "unresolved" where rho is NaN.
    """
    if np.isnan(rho):
        return "unresolved"
    if not p_value < SIGNIFICANT:
        return "not significant"
    return "strong" if abs(rho) >= STRONG else "moderate" if abs(rho) >= MODERATE else "weak"
