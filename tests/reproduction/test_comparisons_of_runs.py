"""Paired differences between correlations, by simulation."""

import numpy as np
import pytest
from measured_helpers import make_measured
from scipy.stats import spearmanr

from experiments.reproduction import comparisons


def run(rng, n=300, sign=1):
    """Privacy scores that go with memorization, with one OOD score less, and with the other as much: it is the same."""
    privacy = rng.normal(size=n)
    memorization = privacy + rng.normal(size=n)
    ood = {"ood_msp": sign * (privacy + 3 * rng.normal(size=n)), "ood_energy": sign * np.exp(memorization)}
    groups = np.array(["over", "under"])[np.arange(n) % 2]
    return make_measured(group=groups, privacy_score=privacy, memorization=memorization, **ood)


@pytest.mark.parametrize("sign", [1, -1])
def test_differences_of_correlations_are_paired_and_blind_to_the_sign(sign):
    measured = run(np.random.default_rng(0), sign=sign)
    rows = {(row["group"], row["detector"]): row for row in comparisons.correlation_rows(measured)}
    assert rows.keys() == {(group, name) for group in ("all", "under") for name in ("ood_msp", "ood_energy")}
    for (group, name), row in rows.items():
        records = measured.audit.records[measured.audit.mask(group)]
        rho = [spearmanr(records["privacy_score"], records[column])[0] for column in ("memorization", name)]
        assert row["difference"] == pytest.approx(rho[0] - abs(rho[1])) and row["n"] == len(records)
        if name == "ood_energy":  # the same ranks: drawn with the same examples, there is nothing uncertain
            assert row["ci_low"] == pytest.approx(0, abs=1e-12) == row["ci_high"]
        else:
            assert 0 < row["ci_low"] < row["difference"] < row["ci_high"]


def test_intervals_of_differences_of_correlations_cover():
    rng = np.random.default_rng(1)
    large = run(rng, 1_000_000).audit.records
    rho = [spearmanr(large["privacy_score"], large[column])[0] for column in ("memorization", "ood_msp")]
    truth, covered = rho[0] - rho[1], 0
    for _ in range(60):
        row = next(comparisons.correlation_rows(run(rng, 80)))  # of all examples, with the first score
        covered += row["ci_low"] <= truth <= row["ci_high"]
    assert covered >= 50, covered  # 95% is 57; 49 or fewer has a chance of 1 in 2,000


def test_what_does_not_vary_has_no_correlation_to_compare():
    measured = run(np.random.default_rng(2))
    measured.audit.records["memorization"] = 0.0
    assert not list(comparisons.correlation_rows(measured))
