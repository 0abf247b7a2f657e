"""The distance between the models that trained on an example and the others (Choi et al., section 3)."""

import numpy as np


def privacy_score(phi: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """|mu_in - mu_out| / (sigma_in + sigma_out), higher for an example easier to attack.

    Args:
        phi: (n, M) float64 (`signals.phi`) of one query.
        keep: (n, M) bool, true if the example was in the model's training set.

    Returns:
        (n,) float64 >= 0, from means and standard deviations (ddof 0); NaN if a side has fewer than two
        models or neither side varies.
    """
    means, spreads = [], []
    for side in (keep, ~keep):
        count = side.sum(axis=1)
        count = np.where(count >= 2, count, np.nan)
        mean = np.where(side, phi, 0).sum(axis=1) / count
        deviations = np.where(side, phi - mean[:, None], 0)
        means.append(mean)
        spreads.append(np.sqrt(np.square(deviations).sum(axis=1) / count))
    spread = sum(spreads)
    return np.divide(np.abs(means[0] - means[1]), spread, out=np.full(len(keep), np.nan), where=spread > 0)
