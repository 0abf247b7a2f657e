"""The papers' claims, decided on invented tables whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest

from experiments import claims
from experiments.reproduction import (
    claims_table,
    judged_attacks,
    judged_flow,
    judged_scores,
    judged_sweeps,
    judged_theory,
    sources,
)
from experiments.reproduction.judging import ATTACKS, CLAIMS, OTHERS, VERDICTS, Finding, difference
from experiments.reproduction.scales import SCALES

SOURCE = "table2/smoke.csv"


def attack_row(mixture, selection, attack, population, ours, half, paper=0.5, metric="auroc"):
    cells = {"ours": ours, "ci_low": ours - half, "ci_high": ours + half, "paper": paper, "num_models": 64}
    about = {"mixture": mixture, "selection": selection, "attack": attack, "population": population, "metric": metric}
    return {**about, **{key: str(value) for key, value in cells.items()}}


def paired_row(selection, attacks, populations, value, half, mixture="mnist_svhn"):
    cells = {"difference": value, "ci_low": value - half, "ci_high": value + half}
    about = dict(zip(("attack", "other_attack"), attacks, strict=True))
    about |= dict(zip(("population", "other_population"), populations, strict=True))
    return {"mixture": mixture, "selection": selection, **about, **{key: str(value) for key, value in cells.items()}}


def by_case(findings, claim):
    return {(f.mixture, f.selection, f.case): f for f in findings if f.claim == claim}


def judge(rows, compared, **more):
    return list(judged_attacks.findings({SOURCE: rows}, {SOURCE: compared}, **more))


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
    assert Finding("under", "m", "s", "", value, np.nan, SOURCE, threshold, above).verdict == verdict


def test_claims_about_attacks():
    under = {"random": 0.8, "subpopulation": 0.9, "singletons": 0.9}
    rows, compared = [], []
    for selection, value in under.items():
        for attack in ATTACKS:
            better = 0.05 if attack == "carlini" else 0
            rows.append(attack_row("mnist_svhn", selection, attack, "under", value + better, 0.01, 0.9 + better))
            rows.append(attack_row("mnist_svhn", selection, attack, "all", 0.55, 0.01, 0.5))
            compared.append(paired_row(selection, (attack, attack), ("under", "all"), value + better - 0.55, 0.02))
        for attack in OTHERS:
            compared.append(paired_row(selection, ("carlini", attack), ("under", "under"), 0.05, 0.03))
            compared.append(paired_row(selection, ("carlini", attack), ("all", "all"), 0, 0.03))
    findings = judge(rows, compared)
    groups = by_case(findings, "under")
    assert len(groups) == 15 and all(f.verdict == "holds" for f in groups.values())
    yeom = groups["mnist_svhn", "random", "yeom"]
    assert yeom.value == pytest.approx((0.25, 0.23, 0.27)) and yeom.paper == pytest.approx(0.4)
    order, subpopulation = by_case(findings, "order"), by_case(findings, "subpopulation")
    assert len(order) == 10 and len(subpopulation) == 1
    assert subpopulation["mnist_svhn", "subpopulation - random", "sablayrolles"].verdict == "holds"
    assert order["mnist_svhn", "singletons - subpopulation", "song"].verdict == "undecided"
    reverse = by_case(findings, "sub_better")["mnist_svhn", "subpopulation - singletons", "song"]
    assert reverse.value == pytest.approx((0, -np.hypot(0.01, 0.01), np.hypot(0.01, 0.01)))
    perfect = by_case(findings, "auroc_1")["mnist_svhn", "singletons", "under, carlini"]
    assert perfect.verdict == "fails" and perfect.value[0] == pytest.approx(0.95) and perfect.source == SOURCE
    lira = {f.case.split(",")[0]: f for f in findings if f.claim == "lira" and f.selection == "random"}
    assert lira["under"].verdict == "holds" and lira["under"].value == pytest.approx((0.05, 0.02, 0.08))
    assert lira["under"].paper == pytest.approx(0.05)
    assert lira["all"].verdict == "undecided"


def test_the_best_of_the_other_attacks_is_the_one_to_beat():
    rows = [attack_row("m", "random", name, "under", 0.6, 0.01) for name in OTHERS[:-1]]
    rows += [
        attack_row("m", "random", "song", "under", 0.9, 0.01),
        attack_row("m", "random", "carlini", "under", 0.8, 0.01),
    ]
    gains = dict.fromkeys(OTHERS, 0.2) | {"song": -0.1}
    compared = [
        paired_row("random", ("carlini", name), ("under",) * 2, gain, 0.01, "m") for name, gain in gains.items()
    ]
    (finding,) = [f for f in judge(rows, compared) if f.claim == "lira"]
    assert finding.verdict == "fails" and "song" in finding.case and finding.value[0] == pytest.approx(-0.1)


def test_the_interval_of_one_among_many_is_bonferronis():
    one = Finding("under", "m", "s", "", (0.2, 0.1, 0.4), np.nan)
    assert one.among(1).value == pytest.approx(one.value)
    # The 99.75% quantile of the normal distribution is 2.807034, the 97.5% quantile 1.959964.
    assert one.among(10).value == pytest.approx((0.2, 0.2 - 0.1 * 2.807034 / 1.959964, 0.2 + 0.2 * 2.807034 / 1.959964))
    assert one.verdict == one.among(10).verdict == "holds" and one.among(10**6).verdict == "undecided"


def test_numbers_that_are_missing_are_not_judged():
    row = attack_row("m", "random", "carlini", "under", 0.8, 0.01)
    assert not judge([{**row, "ours": ""}], [])


def correlation_row(other, group, rho, half):
    about = {"mixture": "m", "selection": "random", "x": "privacy_score", "y": other, "group": group}
    return {**about, "spearman": str(rho), "ci_low": str(rho - half), "ci_high": str(rho + half)}


def better_row(group, value, half):
    numbers = {"difference": str(value), "ci_low": str(value - half), "ci_high": str(value + half)}
    return {"mixture": "m", "selection": "random", "group": group, "detector": "ood_msp", **numbers}


def test_claims_about_correlations():
    rows = [correlation_row("ood_msp", group, 0.4, 0.03) for group in ("all", "over", "under")]
    rows += [correlation_row("memorization", "all", 0.5, 0.04), correlation_row("memorization", "under", 0.9, 0.04)]
    rows.append({**correlation_row("ood_energy", "all", 0.45, 0.04), "x": "memorization"})
    compared = [better_row("all", 0.1, 0.05), better_row("under", 0.5, 0.6)]
    findings = [
        *judged_scores.correlation_findings({SOURCE: rows}),
        *judged_scores.better_findings(SOURCE, compared),
    ]
    assert {(f.claim, f.case): f.verdict for f in findings} == {
        ("ood", "all, ood_msp"): "holds",
        ("ood", "under, ood_msp"): "holds",
        ("msp", "all, ood_msp"): "holds",
        ("msp", "under, ood_msp"): "holds",
        ("memorization", "under"): "holds",
        ("no_correlation", "all, ood_energy"): "fails",
        ("better", "all, ood_msp"): "holds",
        ("better", "under, ood_msp"): "undecided",
    }
    better = next(f for f in findings if f.claim == "better" and f.case.startswith("all"))
    assert better.value == pytest.approx((0.1, 0.05, 0.15))


def test_of_singletons_figure_2_is_judged_over_both_groups_alone():
    rows = [
        {**correlation_row("memorization", group, 0.5, 0.04), "selection": "singletons"} for group in ("all", "under")
    ]
    compared = [{**better_row(group, 0.1, 0.05), "selection": "singletons"} for group in ("all", "under")]
    findings = [*judged_scores.correlation_findings({SOURCE: rows}), *judged_scores.better_findings(SOURCE, compared)]
    assert [(f.claim, f.selection, f.case) for f in findings] == [("better", "singletons", "all, ood_msp")]


def test_cifar10_alone_counts_as_cifar10s_own_in_figure_13():
    row = {"mixture": "cifar10", "selection": "none", "group": "over", "mean": "0.2", "mean_se": "0.01"}
    (finding,) = judged_scores.shift_findings(SOURCE, [row])
    assert (finding.claim, finding.verdict, finding.selection) == ("around_0", "holds", "none")


@pytest.mark.parametrize("scale", ["cpu", "paper"])
def test_the_few_shadow_models_are_among_the_swept(scale):
    wanted = {1, *map(int, (judged_sweeps.FIVE, judged_sweeps.TWENTY, judged_sweeps.FIFTY))}
    assert scale == "paper" or wanted <= set(SCALES[scale].num_shadow)


def test_a_strong_negative_correlation_is_strong():
    ood, msp = judged_scores.correlation_findings({SOURCE: [correlation_row("ood_msp", "all", -0.8, 0.05)]})
    assert ood.verdict == msp.verdict == "fails" and ood.value == pytest.approx((0.8, 0.75, 0.85))


def loss_rows():
    lost = {"random": (0.2, 0.1), "singletons": (0.02, 0.005)}
    return [
        {
            **{"mixture": "m", "selection": selection, "attack": "lira", "num_shadow": size},
            **{"difference": str(value), "ci_low": str(value - 0.003), "ci_high": str(value + 0.003)},
        }
        for selection, values in lost.items()
        for size, value in zip(("1", "2"), values, strict=True)
    ]


def test_claims_about_the_number_of_shadow_models():
    by_claim = {f.claim: f for f in judged_sweeps.findings((SOURCE, loss_rows()), {})}
    assert by_claim["few"].verdict == "holds" and by_claim["few"].value == pytest.approx((0.005, 0.002, 0.008))
    assert by_claim["fewer"].verdict == "holds" and by_claim["fewer"].value[0] == pytest.approx(0.2 - 0.02)
    assert not list(judged_sweeps.findings((SOURCE, loss_rows()[:2]), {}))  # nothing without singletons


def test_runs_of_different_lengths_are_not_compared():
    unequal = {("m", "random"): 20, ("m", "singletons"): 40}
    verdicts = {f.claim: f.verdict for f in judged_sweeps.findings((SOURCE, loss_rows()), {}, unequal)}
    assert verdicts == {"few": "holds", "fewer": "not comparable"}
    rows = [attack_row("m", name, "yeom", "under", value, 0.01) for name, value in (("random", 0.5), ("singletons", 1))]
    order = [f.verdict for f in judge(rows, [], epochs=unequal) if f.claim == "order"]
    assert order == ["not comparable"]


def test_runs_repeated_with_equal_epochs_are_compared():
    rows = [attack_row("m", name, "yeom", "under", value, 0.01) for name, value in (("random", 0.5), ("singletons", 1))]
    repeated = {"attack": "yeom", "population": "under", "metric": "auroc", "num_targets": "64"}
    repeated |= {"value": "0.7", "ci_low": "0.69", "ci_high": "0.71"}
    others = [(("m", "random"), 40, "other_epochs/m_random_40_attacks.csv", [repeated])]
    epochs = {("m", "random"): 20, ("m", "singletons"): 40}
    (order,) = [f for f in judge(rows, [], epochs=epochs, others=others) if f.claim == "order"]
    assert order.verdict == "holds" and order.case == "yeom, 40 epochs" and order.value[0] == pytest.approx(0.3)
    assert order.source == f"{SOURCE}; other_epochs/m_random_40_attacks.csv"


def test_a_rate_that_cannot_be_resolved_is_undecided():
    row = attack_row("m", "singletons", "carlini", "under", np.nan, 0.1, 1.0, "tpr_at_fpr_0.001")
    row |= dict.fromkeys(("ours", "ci_low", "ci_high"), "")
    verdicts = {f.claim: f.verdict for f in judge([row], [])}
    assert verdicts == {"tpr_96": "undecided", "tpr_100": "undecided"}


def test_claims_about_the_theory():
    def row(check, quantity, value):
        numbers = {"value": str(value), "ci_low": str(value - 0.01), "ci_high": str(value + 0.01)}
        return {"check": check, "group": "under", "quantity": quantity, **numbers}

    summary = [
        row("adversaries", "advantage of LiRA, likelier side", 0.7),
        row("adversaries", "advantage of LiRA, soft test (theorem 1)", 0.5),  # the theorem is about this one
        row("adversaries", "advantage of LiRA, likelier side - memorization", 0.2),
        row("adversaries", "advantage of cross-entropy up to 5 nats (lemma 3)", 0.3),
        row("equation 8", "hellinger_normal", 0.5),
        row("equation 8, chosen on other models", "memorization 0: hellinger - memorization", 0.1),
    ]
    verdicts = {f.claim: f.verdict for f in judged_theory.theory_findings("a", summary, "b", [])}
    # Lemma 3 would give an "advantage" of 5 x 0.3, and an advantage is at most 1.
    assert verdicts == {"theorem1": "undecided", "theorem2": "holds", "lemma3": "fails", "equation8": "fails"}


@pytest.mark.parametrize(
    "need, verdicts, verdict",
    [
        ("all", ["holds"] * 3, "holds"),
        ("all", ["holds", "holds", "fails"], "fails"),
        ("all", ["holds", "undecided"], "undecided"),
        ("most", ["holds", "holds", "fails"], "holds"),
        ("most", ["holds", "fails"], "fails"),
        ("some", ["holds", "fails", "fails"], "holds"),
        ("some", ["fails", "undecided"], "undecided"),
        ("some", ["fails", "fails"], "fails"),
        ("all", ["not comparable"], "not comparable"),
        ("all", ["not comparable", "holds"], "holds"),
        ("all", [], "not measured here"),
    ],
)
def test_the_verdict_of_a_claim_follows_from_its_comparisons(need, verdicts, verdict):
    values = {"holds": (1, 0.5, 1.5), "fails": (-1, -1.5, -0.5), "undecided": (0, -1, 1), "not comparable": (1, 0.5, 2)}
    findings = [
        Finding("few", "m", "s", "", values[name], np.nan, comparable=name != "not comparable") for name in verdicts
    ]
    claim = replace(CLAIMS["few"], need=need)
    assert claim.verdict(findings, 64) == verdict
    assert replace(claim, min_models=100).verdict(findings, 64) == "cannot be judged at this scale"


def finding(value, name="few", **about):
    return Finding(name, "mnist_svhn", "random", "", value, np.nan, **about)


def test_what_some_comparison_must_show_is_shown_among_as_many():
    """Of ten comparisons of nothing one in 40 holds each: a claim that one must hold was once true by chance."""
    claim, nothing = replace(CLAIMS["few"], need="some"), finding((0, -1, 1))
    barely, clearly = finding((1, 0.1, 1.9)), finding((1, 0.6, 1.4))
    assert claim.verdict([barely], 64) == "holds"
    assert claim.verdict([barely, *[nothing] * 9], 64) == "undecided"
    assert claim.verdict([clearly, *[nothing] * 9], 64) == "holds"


def test_a_claim_about_few_models_is_not_judged_on_runs_of_many():
    claim = replace(CLAIMS["few"], max_models=64)
    few, many = finding((1, 0.5, 1.5), num_models=64), finding((-1, -1.5, -0.5), num_models=384)
    assert claim.verdict([few, many], 512) == "holds" and claim.counted([few, many]) == [few]


def test_the_least_favourable_comparison_is_the_one_that_decides():
    """A wide interval far below once stood in place of a narrow one that fails."""
    wide, narrow, fine = finding((-0.3, -0.8, 0.2)), finding((-0.1, -0.15, -0.05)), finding((1, 0.5, 1.5))
    assert "-0.100 [-0.150, -0.050]" in claims_table.least_favourable([wide, narrow, fine])
    assert "-0.300 [-0.800, 0.200]" in claims_table.least_favourable([wide, fine])
    unresolved = finding((np.nan,) * 3)
    assert "not resolved" in claims_table.least_favourable([unresolved, narrow], most=True)
    assert "-0.100" in claims_table.least_favourable([unresolved, narrow])


def test_accuracy_on_all_of_the_training_data_is_compared_at_the_papers_pkeep():
    """A model of half of the data answers fewer of all of them; CIFAR-10's mixtures are in another section."""
    row = {"group": "under", "ours": "0.7", "ci_low": "0.69", "ci_high": "0.71", "paper": "0.9"}
    rows = [
        {**row, "mixture": mixture, "split": split}
        for mixture in ("mnist_svhn", "cifar10_cifar100")
        for split in ("pool", "test")
    ]
    judged_claims = [
        [f.claim for f in judged_scores.accuracy_findings(SOURCE, rows, {("mnist_svhn", "random"): pkeep})]
        for pkeep in (0.7, 0.5)
    ]
    assert judged_claims == [["train_accuracy", "test_accuracy"], ["test_accuracy"]]


def test_a_claim_about_many_models_is_judged_on_the_runs_that_have_them():
    claim = replace(CLAIMS["few"], need="all", min_models=100)
    few, many = (
        Finding("few", "m", "s", "", value, np.nan, scale=scale, num_models=count)
        for value, scale, count in (((-1, -1.5, -0.5), "cpu", 64), ((1, 0.5, 1.5), "many", 384))
    )
    assert claim.verdict([few, many], 512) == "holds"
    assert claim.verdict([few], 512) == "cannot be judged at this scale"
    assert claim.verdict([], 512) == "not measured here"


def test_every_claim_says_how_it_is_judged_or_why_not():
    judged = claims.findings(claims.RESULTS, "cpu")
    assert {finding.claim for finding in judged} <= CLAIMS.keys()
    for name, claim in CLAIMS.items():
        assert claim.quote and claim.section and claim.need in ("all", "most", "some"), name
        assert claim.reading or claim.remark or claim.runs, name
    verdicts = claims_table.verdicts(judged, ["cpu"])
    assert set(verdicts.values()) <= set(VERDICTS) and verdicts.keys() == CLAIMS.keys()
    first, second, third = claims_table.headline(judged, ["cpu"])
    assert f"Of {len(CLAIMS)} claims" in first and f"{len(judged)} comparisons" in second
    corrected = claims_table.verdicts(judged, ["cpu"], number=len(judged))
    assert 0 < list(corrected.values()).count("holds") < list(verdicts.values()).count("holds")
    assert f"{list(corrected.values()).count('holds')} hold, " in third


def test_every_number_of_the_claims_has_its_csv_command_and_seed():
    for finding in (f for scale in claims.PAGE_SCALES for f in claims.findings(claims.RESULTS, scale)):
        row = claims_table.cells(finding)
        of_a_scale = f"--scale={finding.scale}" in row["command"] or f"/{finding.scale}/" in row["command"]
        assert of_a_scale or finding.source == sources.FLOW
        assert all((claims.RESULTS / source).exists() for source in finding.source.split("; ")), finding
        assert row["command"].startswith("python -m ") and row["seed"] != "", finding


def test_the_flow_is_judged_where_a_neighbour_is_as_new_as_a_real_one():
    about = {"direction": "random", "quantity": "not confirmed", "num_examples": "100"}
    rows = [
        {**about, "group": group, "step": step, "value": value, "ci_low": value, "ci_high": value}
        for group, step, value in (("memorized", "0", "0.3"), ("memorized", "1.0", "0.4"), ("random", "1.0", "0.0"))
    ]
    (finding,) = judged_flow.findings(sources.FLOW, rows)
    # What two classifiers do not confirm of the digits themselves is not lost by the step.
    assert finding.value[0] == pytest.approx(0.1) and finding.verdict == "holds"
