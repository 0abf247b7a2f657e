"""The papers' claims, decided on invented tables whose answers are known."""

import numpy as np
import pytest

from experiments.reproduction import judging
from experiments.reproduction.judging import Finding, difference
from experiments.reproduction.scales import SCALES


def attack_row(mixture, selection, attack, population, ours, half, paper=0.5):
    cells = {"ours": ours, "ci_low": ours - half, "ci_high": ours + half, "paper": paper}
    about = {"mixture": mixture, "selection": selection, "attack": attack, "population": population, "metric": "auroc"}
    return {**about, **{key: str(value) for key, value in cells.items()}}


def paired_row(selection, attacks, populations, value, half, mixture="mnist_svhn"):
    cells = {"difference": value, "ci_low": value - half, "ci_high": value + half}
    about = dict(zip(("attack", "other_attack"), attacks, strict=True))
    about |= dict(zip(("population", "other_population"), populations, strict=True))
    return {"mixture": mixture, "selection": selection, **about, **{key: str(value) for key, value in cells.items()}}


def by_case(findings, claim):
    return {(f.mixture, f.selection, f.case): f for f in findings if f.claim == claim}


def test_difference_of_symmetric_intervals_is_the_root_of_the_sum_of_squares():
    assert difference((0.9, 0.87, 0.93), (0.5, 0.46, 0.54)) == pytest.approx((0.4, 0.35, 0.45))


def test_difference_takes_each_side_by_itself():
    value, low, high = difference((0.9, 0.8, 0.92), (0.5, 0.5, 0.6))
    assert (value, low, high) == pytest.approx((0.4, 0.4 - np.hypot(0.1, 0.1), 0.4 + 0.02))


def test_intervals_of_differences_cover():
    rng = np.random.default_rng(0)
    covered, trials = 0, 2000
    for _ in range(trials):
        a, b = rng.normal(0.9, 0.02), rng.normal(0.6, 0.05)
        _, low, high = difference((a, a - 1.96 * 0.02, a + 1.96 * 0.02), (b, b - 1.96 * 0.05, b + 1.96 * 0.05))
        covered += low <= 0.3 <= high
    assert abs(covered / trials - 0.95) < 0.02  # four standard errors


@pytest.mark.parametrize(
    "value, threshold, above, verdict",
    [
        ((0.2, 0.1, 0.3), 0, True, "holds"),
        ((0.2, -0.1, 0.3), 0, True, "undecided"),
        ((-0.2, -0.3, -0.1), 0, True, "fails"),
        ((0, 0, 0), 0, True, "fails"),
        ((0.3, 0.2, 0.4), 0.6, False, "holds"),
        ((0.7, 0.65, 0.8), 0.6, False, "fails"),
        ((0.7, 0.5, 0.8), 0.6, False, "undecided"),
        ((0.7, np.nan, np.nan), 0.6, True, "undecided"),
    ],
)
def test_verdicts(value, threshold, above, verdict):
    assert Finding("under", "m", "s", "", value, np.nan, threshold, above).verdict == verdict


def test_claims_about_attacks():
    under = {"random": 0.8, "subpopulation": 0.9, "singletons": 0.9}
    rows, compared = [], []
    for selection, value in under.items():
        for attack in judging.ATTACKS:
            better = 0.05 if attack == "carlini" else 0
            rows.append(attack_row("mnist_svhn", selection, attack, "under", value + better, 0.01, 0.9 + better))
            rows.append(attack_row("mnist_svhn", selection, attack, "all", 0.55, 0.01, 0.5))
            compared.append(paired_row(selection, (attack, attack), ("under", "all"), value + better - 0.55, 0.02))
        for attack in judging.OTHERS:
            compared.append(paired_row(selection, ("carlini", attack), ("under", "under"), 0.05, 0.03))
            compared.append(paired_row(selection, ("carlini", attack), ("all", "all"), 0, 0.03))
    found = list(judging.attack_findings(rows, compared))
    groups = by_case(found, "under")
    assert len(groups) == 15 and all(f.verdict == "holds" for f in groups.values())
    yeom = groups["mnist_svhn", "random", "yeom"]
    assert yeom.value == pytest.approx((0.25, 0.23, 0.27)) and yeom.paper == pytest.approx(0.4)
    order = by_case(found, "order")
    assert len(order) == 15
    assert order["mnist_svhn", "subpopulation - random", "song"].verdict == "holds"
    assert order["mnist_svhn", "singletons - subpopulation", "song"].verdict == "undecided"
    lira = {f.case.split(",")[0]: f for f in found if f.claim == "lira" and f.selection == "random"}
    assert lira["under"].verdict == "holds" and lira["under"].value == pytest.approx((0.05, 0.02, 0.08))
    assert lira["under"].paper == pytest.approx(0.05)
    assert lira["all"].verdict == "undecided"


def test_the_best_of_the_other_attacks_is_the_one_to_beat():
    rows = [attack_row("m", "random", name, "under", 0.6, 0.01) for name in judging.OTHERS[:-1]]
    rows += [
        attack_row("m", "random", "song", "under", 0.9, 0.01),
        attack_row("m", "random", "carlini", "under", 0.8, 0.01),
    ]
    gains = dict.fromkeys(judging.OTHERS, 0.2) | {"song": -0.1}
    compared = [
        paired_row("random", ("carlini", name), ("under",) * 2, gain, 0.01, "m") for name, gain in gains.items()
    ]
    (finding,) = [f for f in judging.attack_findings(rows, compared) if f.claim == "lira"]
    assert finding.verdict == "fails" and "song" in finding.case and finding.value[0] == pytest.approx(-0.1)


def test_the_interval_of_one_among_many_is_bonferronis():
    one = Finding("under", "m", "s", "", (0.2, 0.1, 0.4), np.nan)
    assert one.among(1).value == pytest.approx(one.value)
    # The 99.75% quantile of the normal distribution is 2.807034, the 97.5% quantile 1.959964.
    assert one.among(10).value == pytest.approx((0.2, 0.2 - 0.1 * 2.807034 / 1.959964, 0.2 + 0.2 * 2.807034 / 1.959964))
    assert one.verdict == one.among(10).verdict == "holds" and one.among(10**6).verdict == "undecided"


def test_numbers_that_are_missing_are_not_judged():
    row = attack_row("m", "random", "carlini", "under", 0.8, 0.01)
    assert not list(judging.attack_findings([{**row, "ours": ""}, row]))


def correlation_row(other, group, rho, half):
    about = {"mixture": "m", "selection": "random", "x": "privacy_score", "y": other, "group": group}
    return {**about, "spearman": str(rho), "ci_low": str(rho - half), "ci_high": str(rho + half)}


def better_row(group, value, half):
    numbers = {"difference": str(value), "ci_low": str(value - half), "ci_high": str(value + half)}
    return {"mixture": "m", "selection": "random", "group": group, "detector": "ood_msp", **numbers}


def test_claims_about_correlations():
    rows = [correlation_row("ood_msp", group, 0.4, 0.03) for group in ("all", "over", "under")]
    rows += [correlation_row("memorization", "all", 0.5, 0.04), correlation_row("memorization", "under", 0.9, 0.04)]
    compared = [better_row("all", 0.1, 0.05), better_row("under", 0.5, 0.6)]
    found = list(judging.correlation_findings(rows, compared))
    assert {(f.claim, f.case): f.verdict for f in found} == {
        ("ood", "all, ood_msp"): "holds",
        ("ood", "under, ood_msp"): "holds",
        ("memorization", "all"): "fails",
        ("memorization", "under"): "holds",
        ("better", "all, ood_msp"): "holds",
        ("better", "under, ood_msp"): "undecided",
    }
    better = next(f for f in found if f.claim == "better" and f.case.startswith("all"))
    assert better.value == pytest.approx((0.1, 0.05, 0.15))


@pytest.mark.parametrize("scale", ["cpu", "paper"])
def test_the_few_shadow_models_are_among_those_that_are_swept(scale):
    assert {1, judging.FEW} <= set(SCALES[scale].num_shadow)


def test_a_strong_negative_correlation_is_strong():
    (ood,) = judging.correlation_findings([correlation_row("ood_msp", "all", -0.8, 0.05)])
    assert ood.verdict == "fails" and ood.value == pytest.approx((0.8, 0.75, 0.85))


def test_claims_about_the_number_of_shadow_models():
    lost = {"random": (0.2, 0.1), "singletons": (0.02, 0.005)}
    rows = []
    for selection, values in lost.items():
        for size, value in zip(("1", "4"), values, strict=True):
            cells = {"difference": str(value), "ci_low": str(value - 0.003), "ci_high": str(value + 0.003)}
            rows.append({"mixture": "m", "selection": selection, "attack": "lira", "num_shadow": size, **cells})
    found = {f.claim: f for f in judging.sweep_findings(rows)}
    assert found["few"].verdict == "holds" and found["few"].value == pytest.approx((0.005, 0.002, 0.008))
    assert found["fewer"].verdict == "holds" and found["fewer"].value[0] == pytest.approx(0.2 - 0.02)
    assert {f.claim for f in judging.sweep_findings(rows[:2])} == set()  # nothing without singletons
