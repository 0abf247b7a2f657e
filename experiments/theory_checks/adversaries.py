"""Advantages of adversaries that see one answer of a model: Theorem 1, Theorem 2, Lemma 3."""

import numpy as np
from scipy.special import expit
from scipy.stats import binomtest

from experiments.theory_checks import theory as t
from experiments.theory_checks.record import REPLICATES, Record, half_memorization, halves, mean_rows, share_rows
from mia_tf.shadow import signals
from mia_tf.shadow.leave_one_out import IN, OUT, LeaveOneOut
from mia_tf.shadow.memorization import memorization

LOSS_CAP = 5.0
"""Nats."""


def theorem2(record: Record, rng: np.random.Generator) -> list[tuple]:
    """The advantage of predicting by correctness on one half of the models, against memorization on the other."""
    rows = []
    advantage, _ = t.correctness_advantage(record.correct, record.keep)
    mem, _ = memorization(record.correct, record.keep)
    identical = np.abs(advantage - mem) < 1e-12
    rows += share_rows("theorem 2", "same models: advantage = memorization", record, identical)
    half = halves(record.keep, rng)
    (first, first_error), (second, second_error) = (half_memorization(record, h) for h in (half, ~half))
    difference = first - second
    z = difference / np.hypot(first_error, second_error)
    for group, mask in record.masks.items():
        reach = 1.96 * difference[mask].std(ddof=1) / np.sqrt(mask.sum())
        mean = difference[mask].mean()
        rows.append(
            (
                "theorem 2",
                group,
                "advantage - memorization of other models",
                mean,
                mean - reach,
                mean + reach,
                int(mask.sum()),
            )
        )
    rows += share_rows("theorem 2", "|z| > 1.96", record, np.abs(z) > 1.96)
    rows += share_rows("theorem 2", "advantage < memorization by z < -1.96", record, z < -1.96)
    varied = record.correct.min(axis=1) == 0
    for group, mask in record.masks.items():
        used = mask & varied
        count = int((np.abs(z[used]) > 1.96).sum())
        interval = binomtest(count, int(used.sum())).proportion_ci(method="exact")
        rows.append(
            (
                "theorem 2",
                group,
                "|z| > 1.96 where a model errs",
                count / used.sum(),
                interval.low,
                interval.high,
                int(used.sum()),
            )
        )
    return rows


def adversaries(record: Record, rng: np.random.Generator) -> list[tuple]:
    """Advantages of adversaries on one answer of a model left out of all fits: Theorem 1, Lemma 3, their bounds."""
    fits = LeaveOneOut(record.phi[:, None], record.keep)
    evidence = 0
    for side, sign in ((IN, 1), (OUT, -1)):
        variance = np.maximum(fits.variances(side), t.VARIANCE_FLOOR)
        square = np.square(record.phi[:, None] - fits.medians[side]) / variance
        evidence = evidence - sign * 0.5 * (square + np.log(variance))[:, 0]
    loss = np.minimum(signals.loss(record.phi), LOSS_CAP)
    scores = {
        "correctness (theorem 2)": (record.correct, 0, 1),
        "LiRA, likelier side": (evidence > 0, 0, 1),
        "LiRA, soft test (theorem 1)": (1 - t.sllr_probability(-evidence), 0, 1),
        "loss 1 - p_y (lemma 3)": (-expit(-record.phi), -1, 0),
        f"cross-entropy up to {LOSS_CAP:g} nats (lemma 3)": (-loss, -LOSS_CAP, 0),
        "MSP score (lemma 3)": (-record.msp, -1, 0),
    }
    weights = t.bootstrap_weights(REPLICATES, record.keep.shape[1], rng)
    mem, _ = memorization(record.correct, record.keep)
    rows = []
    for name, (values, low, high) in scores.items():
        advantage, error = t.stability_advantage(values, record.keep, low, high)
        chances = (values - low) / (high - low)
        draws = t.side_means(chances, record.keep, weights) - t.side_means(chances, ~record.keep, weights)
        rows += mean_rows("adversaries", f"advantage of {name}", record, advantage, draws)
        difference = chances - record.correct
        more = t.side_means(difference, record.keep, weights) - t.side_means(difference, ~record.keep, weights)
        rows += mean_rows("adversaries", f"advantage of {name} - memorization", record, advantage - mem, more)
        rows += share_rows("adversaries", f"advantage of {name} > 0, resolved", record, advantage > 1.96 * error)
    return rows
