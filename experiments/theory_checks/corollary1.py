"""Corollary 1 of Choi et al.: the shadow models predicted against those measured to be enough."""

from itertools import pairwise

import numpy as np

from experiments.theory_checks import models_needed as shadow
from experiments.theory_checks import theory as t
from experiments.theory_checks.record import STRATA, Record, half_memorization, halves, plain_fits

LEARNING = ("memorization", "rule", "n", "models_per_side", "advantage", "ci_low", "ci_high", "predicted")
NUMBERS = (
    "distance", "mean", "one_over_mean", "observations_low", "observations_high",
    "shadow_models_measured", "advantage_at_most_models", "n",
)  # fmt: skip
ADVANTAGE = 0.5
"""What the shadow models are to reach: a quarter of the answers wrong."""
SMALLEST_DISTANCE = 0.02
"""Below it H^2 from half of the models is noise."""


def corollary1(record: Record, rng: np.random.Generator):
    """Shadow models measured to be enough on one half of the models, against the prediction from the other half.

    Returns:
        Rows of learning.csv (LEARNING) and of predicted_numbers.csv (NUMBERS); what the figures draw: rule ->
        (stratum -> mean, low, high; stratum -> prediction), distance -> (1 / distance, models needed), and
        the numbers of models per side that were tried.
    """
    half = halves(record.keep, rng)
    counts = [(side & h).sum(axis=1).min() for side in (record.keep, ~record.keep) for h in (half, ~half)]
    models = tuple(range(1, int(min(counts))))
    measured, predicted = ({rule: [] for rule in shadow.RULES} for _ in range(2))
    mems, hellinger = [], []
    for look, measure in ((half, ~half), (~half, half)):
        fits = plain_fits(record, look)
        mems.append(half_memorization(record, look)[0])
        weights = t.bootstrap_weights(100, record.keep.shape[1], rng)
        hellinger.append(
            t.corrected(fits.hellinger, t.fit_normals(record.phi, record.keep, weights, look).hellinger)[0]
        )
        phi = np.where(measure, record.phi, np.nan)
        for rule in measured:
            measured[rule].append(shadow.measured_advantage(phi, record.keep, models, rule, 40, rng))
            errors = [shadow.expected_error(fits, k, rule) for k in models]
            predicted[rule].append(1 - 2 * np.array(errors).T)
    mems, hellinger = np.concatenate(mems), np.concatenate(hellinger)
    measured, predicted = ({rule: np.concatenate(v) for rule, v in d.items()} for d in (measured, predicted))
    rows, curves = [], {rule: ({}, {}) for rule in measured}
    for stratum, (low, high) in STRATA.items():
        in_stratum = (mems > low) & (mems <= high)
        for rule in measured:
            mean = measured[rule][in_stratum].mean(axis=0)
            # Each example is there twice, once for each half: the interval is over examples as if once.
            reach = 1.96 * measured[rule][in_stratum].std(axis=0) / np.sqrt(max(in_stratum.sum() / 2, 1))
            forecast = predicted[rule][in_stratum].mean(axis=0)
            curves[rule][0][stratum], curves[rule][1][stratum] = (mean, mean - reach, mean + reach), forecast
            columns = zip(models, mean, mean - reach, mean + reach, forecast, strict=True)
            rows += [
                (stratum, rule, int(in_stratum.sum()), *values)
                for values in columns
                if values[0] > 1 or rule == "fixed"
            ]
    numbers, inverse = [], {}
    for name, distance in (("$H^2$", hellinger), ("memorization", mems)):
        bins = _needed_by_bin(distance, measured["fixed"], models)
        inverse[name] = bins[0], bins[2]
        # For correctness as the only observation, where members are always right.
        h2 = bins[1] if name == "$H^2$" else 1 - np.sqrt(1 - np.minimum(bins[1], 1))
        bounds = shadow.observations_needed(h2, ADVANTAGE)
        reached = [k if np.isfinite(k) else f">{models[-1]}" for k in bins[2]]
        columns = (bins[1], bins[0], *bounds, reached, bins[4], bins[3])
        numbers += [(name.strip("$"), *values) for values in zip(*columns, strict=True)]
    return rows, numbers, curves, inverse, models


def _needed_by_bin(distance: np.ndarray, advantage: np.ndarray, models: tuple[int, ...], bins: int = 12):
    """Of bins: 1/mean distance, mean distance, smallest K with the mean advantage, size, advantage at the last K."""
    edges = np.geomspace(SMALLEST_DISTANCE, 1, bins + 1)
    rows = []
    for low, high in pairwise(edges):
        in_bin = (distance > low) & (distance <= high)
        if in_bin.sum() < 10:
            continue
        mean = advantage[in_bin].mean(axis=0)
        enough = mean >= ADVANTAGE
        needed = models[enough.argmax()] if enough.any() else np.inf
        rows.append((1 / distance[in_bin].mean(), distance[in_bin].mean(), needed, int(in_bin.sum()), mean[-1]))
    return tuple(np.array(column) for column in zip(*rows, strict=True))
