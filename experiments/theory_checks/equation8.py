"""Equation 8 of Choi et al., H^2 <= memorization, measured for LiRA's statistic and for correctness."""

from dataclasses import replace

import numpy as np

from experiments.theory_checks import theory as t
from experiments.theory_checks.record import (
    REPLICATES,
    STRATA,
    Record,
    half_memorization,
    halves,
    mean_rows,
    plain_fits,
    share_rows,
)


def distances(record: Record, keep: np.ndarray, weights: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> bias-corrected estimates (N,) and replicates (N, B) of the distances of phi IN and OUT."""
    ones = np.ones((1, keep.shape[1]))
    both = []
    for w in (ones, weights):
        fits = t.fit_normals(record.phi, keep, w)
        both.append((fits.hellinger, fits.total_variation, *t.binned_distances(record.phi, keep, w)))
    names = ("hellinger_normal", "tv_normal", "hellinger_binned", "tv_binned")
    return {name: t.corrected(one[:, 0], many) for name, one, many in zip(names, *both, strict=True)}


def equation8(record: Record, rng: np.random.Generator) -> tuple[list[tuple], dict[str, np.ndarray]]:
    """H^2 and TV of LiRA's statistic, and of correctness, against memorization."""
    num_models = record.keep.shape[1]
    weights = t.bootstrap_weights(REPLICATES, num_models, rng)
    pseudo = rng.exponential(size=(REPLICATES, 2, 2))
    plain = np.ones((1, num_models))
    rows = []
    h2_correct, mem = (a[:, 0] for a in t.correctness_distances(record.correct, record.keep, plain))
    mem_draws = t.correctness_distances(record.correct, record.keep, weights)[1]
    rows += mean_rows("equation 8", "memorization", record, mem, mem_draws)
    columns = {"memorization": mem, "hellinger_correct": h2_correct}
    null_keep = rng.permuted(record.keep, axis=1)
    for label, keep in (("", record.keep), ("null: ", null_keep)):
        cautious = t.correctness_distances(record.correct, keep, weights, pseudo=pseudo)[1]
        plain_draws = t.correctness_distances(record.correct, keep, weights)[1]
        here = t.correctness_distances(record.correct, keep, plain)[1][:, 0]
        for name, (estimate, draws) in distances(record, keep, weights).items():
            low, high = np.quantile(draws - cautious, [0.025, 0.975], axis=1)
            rows += mean_rows("equation 8", f"{label}{name}", record, estimate, draws)
            excess = estimate - here, draws - plain_draws
            rows += mean_rows("equation 8", f"{label}{name} - memorization", record, *excess)
            rows += share_rows("equation 8", f"{label}{name} > memorization, point estimate", record, excess[0] > 0)
            rows += share_rows("equation 8", f"{label}{name} > memorization, resolved", record, low > 0)
            rows += share_rows("equation 8", f"{label}{name} < memorization, resolved", record, high < 0)
            if not label:
                columns[name] = estimate
                columns[f"{name}_verdict"] = np.where(low > 0, "above", np.where(high < 0, "below", "unresolved"))
    # An identity of two-point distributions: 1e-12 is for rounding.
    rows += share_rows(
        "equation 8", "correctness: hellinger <= |memorization|", record, h2_correct <= np.abs(mem) + 1e-12
    )
    rows += share_rows("equation 8", "negative memorization", record, mem < 0)
    differ = ((record.phi > 0) != record.correct).mean(axis=1)
    rows += [
        ("equation 8", g, "answers right with p_y < 1/2", differ[m].mean(), np.nan, np.nan, int(m.sum()))
        for g, m in record.masks.items()
    ]
    return rows, columns


def equation8_by_stratum(record: Record, rng: np.random.Generator) -> list[tuple]:
    """H^2 - memorization on one half of the models, for examples chosen by the other half, and the reverse.

    So the choice, on which noise would have a say, does not touch what is measured. The null has the
    memberships permuted, where both are 0.
    """
    weights = t.bootstrap_weights(REPLICATES, record.keep.shape[1], rng)
    rows = []
    for label, keep in (("", record.keep), ("null: ", rng.permuted(record.keep, axis=1))):
        here = replace(record, keep=keep)
        half = halves(keep, rng)
        of_halves = []
        for look in (half, ~half):
            hellinger = plain_fits(here, look).hellinger
            draws = t.fit_normals(here.phi, keep, weights, look).hellinger
            estimate, draws = t.corrected(hellinger, draws)
            mem = half_memorization(here, look)[0]
            of_halves.append(
                (mem, estimate - mem, draws - t.correctness_distances(here.correct, keep, weights, look)[1])
            )
        chosen = {
            f"memorization {s}": [(m > low) & (m <= high) for m, *_ in of_halves] for s, (low, high) in STRATA.items()
        }
        chosen["largest tenth of hellinger - memorization"] = [e >= np.quantile(e, 0.9) for _, e, _ in of_halves]
        for name, by_half in chosen.items():
            for group, mask in record.masks.items():
                in_group = [chosen_half & mask for chosen_half in by_half]
                pairs = [(of_halves[1][1:], in_group[0]), (of_halves[0][1:], in_group[1])]
                count = sum(int(m.sum()) for m in in_group)
                if count < 20:
                    continue
                value = np.concatenate([e[m] for (e, _), m in pairs]).mean()
                low, high = np.quantile(np.concatenate([d[m] for (_, d), m in pairs]).mean(axis=0), [0.025, 0.975])
                rows.append(
                    (
                        "equation 8, chosen on other models",
                        group,
                        f"{label}{name}: hellinger - memorization",
                        value,
                        low,
                        high,
                        count,
                    )
                )
    return rows
