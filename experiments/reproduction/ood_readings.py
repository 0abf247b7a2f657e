"""Whose out-of-distribution score is meant: the models' that did not train on an example, that did, or one model's.

The papers do not say. Their detectors (Hendrycks and Gimpel; Liu et al.) score one trained model, so `one` is the
likeliest reading. Every other figure and table here has `out`.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from experiments.reproduction.measured import Measured
from mia_tf.analysis.statistics import mean_interval, spearman
from mia_tf.figures.strength import spearman_interval
from mia_tf.shadow import ood
from mia_tf.shadow.shadow_models import ShadowModels

READINGS = {"out": ood.OVER_OUT, "in": ood.OVER_IN, "one": "of one model, averaged over all models taken in turn"}
"""Reading -> what it says of a score."""
QUANTITIES = ("memorization", "privacy_score")
"""What the scores are correlated with."""
_DETECTORS = {"ood_msp": ood.max_softmax, "ood_energy": ood.energy}


OodScores = Mapping[tuple[str, str], np.ndarray]
"""(detector, reading) -> (R, N) float: one row, or for "one" a row per model. NaN if no model is on that side."""


def read(folder: Path) -> OodScores:
    """Reads the scores of a LOGDIR, by the first query of every model."""
    shadows = ShadowModels.open(folder)
    keep = shadows.members.T
    single = {name: np.empty((len(shadows), len(keep)), np.float32) for name in _DETECTORS}
    for model in range(len(shadows)):
        logits = shadows.read_logits(model)[:, 0]
        for name, score in _DETECTORS.items():
            single[name][model] = score(logits)
    scores = {}
    for name, table in single.items():
        scores[name, "out"] = ood.mean_over(table.T.astype(np.float64), ~keep)[None]
        scores[name, "in"] = ood.mean_over(table.T.astype(np.float64), keep)[None]
        scores[name, "one"] = table
    return scores


def correlation_rows(run: Measured, scores: OodScores) -> Iterator[dict]:
    """Spearman's correlations of every reading with memorization and with the privacy score, one row per group.

    The correlation of "one" is the mean over the models of each model's own correlation, not the correlation of a
    mean score.
    """
    groups = {"all": "all", **run.groups}
    for (detector, reading), table in scores.items():
        for quantity in QUANTITIES:
            values = run.audit.column(quantity)
            for name, group in groups.items():
                mask = run.audit.mask(group)
                correlations = [spearman(row[mask].astype(np.float64), values[mask]) for row in table]
                n = min(row[2] for row in correlations)
                numbers = averaged(np.array([row[0] for row in correlations]), spearman_interval, n)
                yield {
                    "mixture": run.run.mixture,
                    "selection": run.run.selection,
                    "detector": detector,
                    "reading": reading,
                    "quantity": quantity,
                    "group": name,
                    **dict(zip(("spearman", "ci_low", "ci_high"), numbers, strict=True)),
                    "n": n,
                    "num_models": run.audit.num_models,
                    "note": run.note,
                }


def averaged(
    values: np.ndarray, interval: Callable[..., tuple[float, float]], *sizes: int
) -> tuple[float, float, float]:
    """Mean of a number that each of R rows of scores has, with its 95% interval.

    Args:
        values: (R,) float.
        interval: called with such a number and the sizes, returns its interval over examples. The interval holds for
            the mean too, which is no less certain than a single number.
        *sizes: numbers of examples.

    Returns:
        The mean, and the wider of its intervals over examples and over the rows.
    """
    value, *over_rows = mean_interval(values)
    ends = max((over_rows, interval(value, *sizes)), key=lambda pair: np.nan_to_num(pair[1] - pair[0], nan=-1.0))
    return value, *ends
