"""The exact epsilon of the Gaussian mechanism, which tests hold bounds and accountants against."""

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm


def gaussian_epsilon(noise, delta):
    """Epsilon at sensitivity 1 and this standard deviation of the noise (Balle and Wang 2018, theorem 8)."""

    def excess(epsilon):
        mean = 1 / (2 * noise)
        upper = norm.logcdf(mean - epsilon * noise)
        return np.exp(upper) - np.exp(epsilon + norm.logcdf(-mean - epsilon * noise)) - delta

    return brentq(excess, 0, 1e4, xtol=1e-10)
