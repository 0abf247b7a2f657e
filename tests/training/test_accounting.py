"""What DP-SGD promises, against the published setting, closed forms and sums written out here."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from gaussian_mechanism import gaussian_epsilon
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses
from scipy import integrate, optimize, special, stats

from mia_tf import subsets
from mia_tf.config import ExperimentConfig, PrivacyConfig, TrainingConfig
from mia_tf.training import accounting


def experiment(num_members=None, batch=256, epochs=100, pkeep=0.7, only_subset=None, **privacy):
    """An experiment whose nominal training set, where it is given, is half of the examples."""
    training = TrainingConfig(batch=batch, epochs=epochs, clip_norm=0, privacy=PrivacyConfig(**privacy))
    pkeep = 0.5 if num_members else pkeep
    return ExperimentConfig(training=training, pkeep=pkeep, only_subset=only_subset, num_experiments=2000)


def promise_of(num_members, **config):
    return accounting.guarantee(experiment(num_members, **config), 2 * num_members)


# ---- the published setting


def test_the_setting_of_choi_et_al_has_its_published_epsilon():
    """MNIST + SVHN, 70% of 61,000: "eps = 3.2" (section 8) is RDP's 3.188; PLD is tighter."""
    guarantee = accounting.guarantee(experiment(noise_multiplier=1.3), 61_000)
    assert guarantee.epsilon_rdp == pytest.approx(3.188, abs=5e-4)
    assert guarantee.epsilon_pld == pytest.approx(2.934, abs=5e-4)
    assert guarantee.epsilon == guarantee.epsilon_rdp and guarantee.accountant == "rdp"
    # 0.7 * 61,000 is 42,699.99999999999 in floating point.
    assert guarantee.num_members == 42_700 and guarantee.sampling_rate == 256 / 42_700 and guarantee.steps == 16_679
    assert guarantee.note == ""
    tighter = accounting.guarantee(experiment(noise_multiplier=1.3, accountant="pld"), 61_000)
    assert tighter == replace(guarantee, accountant="pld", epsilon=guarantee.epsilon_pld)


def test_the_nominal_training_set_is_that_of_the_plan():
    """Of 4 models a balanced plan trains each on half, not 70%: epsilon 3.19 was said of shuffled batches."""
    four = replace(experiment(noise_multiplier=1.3, sampling="shuffle"), num_experiments=4)
    guarantee = accounting.guarantee(four, 61_000)
    assert guarantee.num_members == subsets.membership(four, 61_000).sum() / 4 == 30_500
    assert guarantee.epsilon_rdp == pytest.approx(3.866, abs=5e-3)


def test_only_the_examples_that_models_train_on_count():
    guarantee = accounting.guarantee(experiment(noise_multiplier=1.0, only_subset=10_000), 61_000)
    assert guarantee.num_members == 7_000 and guarantee.steps == 100 * 7_000 // 256
    assert guarantee == accounting.guarantee(experiment(noise_multiplier=1.0), 10_000)


# ---- independent oracles


def rdp_by_the_binomial_sum(order, rate, noise):
    """Renyi divergence of one step at an integer order (Mironov, Talwar and Zhang 2019, section 3.3)."""
    k = np.arange(order + 1)
    terms = special.gammaln(order + 1) - special.gammaln(k + 1) - special.gammaln(order - k + 1)
    terms = terms + k * np.log(rate) + (order - k) * np.log1p(-rate) + (k * k - k) / (2 * noise**2)
    return special.logsumexp(terms) / (order - 1)


def rdp_by_integration(order, rate, noise):
    """The same at any order: log E[(1 - q + q exp((2x - 1) / (2 noise^2)))^order] for x of N(0, noise^2)."""
    x = np.linspace(-12 * noise, order + 12 * noise, 20_001)
    mixed = np.logaddexp(np.log1p(-rate), np.log(rate) + (2 * x - 1) / (2 * noise**2))
    terms = order * mixed + stats.norm.logpdf(x, 0, noise)
    return (special.logsumexp(terms) + np.log(x[1] - x[0])) / (order - 1)


@pytest.mark.parametrize(
    "num_members, batch, epochs, noise, delta",
    [(42_700, 256, 100, 1.3, 1e-5), (3_675, 32, 20, 0.8, 1e-5), (500, 100, 3, 4.0, 1e-3), (5_000, 50, 10, 2.5, 1e-6)],
)
def test_rdp_is_the_divergence_of_a_step_composed_and_converted(num_members, batch, epochs, noise, delta):
    """Composition adds up; epsilon is the least over orders, by Canonne, Kamath and Steinke (2020), Proposition 12."""
    promise = promise_of(num_members, batch=batch, epochs=epochs, noise_multiplier=noise, delta=delta)
    rate = promise.sampling_rate
    divergences = {order: rdp_by_the_binomial_sum(order, rate, noise) for order in [*range(2, 64), 128, 256, 512, 1024]}
    divergences |= {order: rdp_by_integration(order, rate, noise) for order in np.arange(11, 110) / 10}
    expected = min(
        promise.steps * divergence + np.log1p(-1 / order) - np.log(delta * order) / (order - 1)
        for order, divergence in divergences.items()
    )
    # A step's divergence is of the size 1e-4, and both sums are rounded at 1e-16 before they are taken 16,679 times.
    assert promise.epsilon_rdp == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("noise, epochs, delta", [(1.3, 1, 1e-5), (5.0, 40, 1e-5), (20.0, 10, 1e-3), (0.8, 3, 1e-8)])
def test_pld_of_full_batches_is_the_exact_gaussian_mechanism(noise, epochs, delta):
    """Every step takes everything: `epochs` steps are one Gaussian mechanism with noise / sqrt(epochs)."""
    promise = promise_of(100, batch=100, epochs=epochs, noise_multiplier=noise, delta=delta)
    exact = gaussian_epsilon(noise / math.sqrt(epochs), delta)
    # Rounded up to a grid of 3e-5 of RDP's epsilon: a bound from above, and no looser than a few such steps. From
    # below only by the rounding of a convolution, of the size 1e-15 in delta.
    assert exact * (1 - 1e-6) <= promise.epsilon_pld <= exact * (1 + 3e-4)
    assert promise.epsilon_pld < promise.epsilon_rdp


def subsampled_epsilon(rate, noise, delta):
    """The exact epsilon of one Poisson-sampled step, the worse of adding and removing, by integration."""
    sampled, without = (lambda x, m=m: stats.norm.pdf(x, m, noise) for m in (1, 0))
    grid = np.linspace(-15 * noise, 1 + 15 * noise, 400_001)
    mixed, plain = rate * sampled(grid) + (1 - rate) * without(grid), without(grid)

    def excess(epsilon):
        losses = ((mixed, plain), (plain, mixed))
        worst = max(integrate.trapezoid(np.maximum(p - np.exp(epsilon) * q, 0), grid) for p, q in losses)
        return worst - delta

    return optimize.brentq(excess, 0, 50, xtol=1e-9)


@pytest.mark.parametrize("batch, noise, delta", [(10, 0.6, 1e-5), (30, 1.0, 1e-4), (60, 1.3, 1e-5)])
def test_pld_of_one_sampled_step_is_the_integral(batch, noise, delta):
    # 100 // batch steps would be more than one; 199 examples of which 100 are expected make one step an epoch.
    num_members = 2 * batch - 1
    promise = promise_of(num_members, batch=batch, epochs=1, noise_multiplier=noise, delta=delta)
    assert promise.steps == 1
    exact = subsampled_epsilon(promise.sampling_rate, noise, delta)
    # As above; the integral over 400,001 points is good to about 1e-8.
    assert exact * (1 - 1e-5) <= promise.epsilon_pld <= exact * (1 + 3e-4)


# ---- properties

# Rates well below a half, at which the series for fractional orders converges slowly.
NOISE = st.floats(0.5, 20)
RATES, DELTAS = st.floats(1e-3, 0.1), st.floats(1e-8, 1e-3)
RUNS = st.builds(accounting._Run, RATES, st.integers(1, 20_000), DELTAS)
# The fewer steps, the wider one step's loss distribution is on its grid: PLD of one step takes ten times longer.
LONG_RUNS = st.builds(accounting._Run, RATES, st.integers(500, 20_000), DELTAS)


def less_promising(run, noise, factor):
    """Changes of each setting by which the promise must not become better."""
    yield replace(run, rate=min(run.rate * factor, 1.0)), noise
    yield replace(run, steps=math.ceil(run.steps * factor)), noise
    yield replace(run, delta=run.delta / factor), noise
    yield run, noise / factor


@settings(max_examples=10, deadline=None)
@given(RUNS, NOISE, st.floats(1.1, 3))
def test_rdp_promises_less_for_less_noise_more_steps_larger_batches_and_a_smaller_delta(run, noise, factor):
    for other, other_noise in less_promising(run, noise, factor):
        assert other.epsilon_rdp(other_noise) >= run.epsilon_rdp(noise) - 1e-9  # rounding


@settings(max_examples=3, deadline=None)
@given(LONG_RUNS, st.floats(2, 20), st.floats(1.1, 2))
def test_so_does_pld(run, noise, factor):
    about = run.epsilon_rdp(noise)
    before = run.epsilon_pld(noise, about)
    for other, other_noise in less_promising(run, noise, factor):
        # One grid for both, so that they round alike; the library's truncated tails are of the size 1e-3 of epsilon.
        assert other.epsilon_pld(other_noise, about) >= before * (1 - 1e-3) - 1e-6


@pytest.mark.parametrize(
    "num_members, batch, epochs, target", [(42_700, 256, 100, 3.2), (700, 64, 5, 0.3), (5_000, 20, 40, 25.0)]
)
def test_calibrated_noise_meets_the_target_and_not_much_more(num_members, batch, epochs, target):
    config = {"num_members": num_members, "batch": batch, "epochs": epochs}
    promise = promise_of(**config, target_epsilon=target)
    # The noise is found to 1e-6 of itself, and epsilon is continuous in it.
    assert target * (1 - 1e-4) <= promise.epsilon <= target
    assert promise_of(**config, noise_multiplier=promise.noise_multiplier).epsilon == promise.epsilon


@pytest.mark.parametrize("target", [0.5, 8.0])
def test_noise_calibrated_by_pld_meets_the_target_and_is_less(target):
    config = {"num_members": 1000, "batch": 100, "epochs": 50, "target_epsilon": target}
    promise = promise_of(**config, accountant="pld")
    assert target * (1 - 1e-3) <= promise.epsilon == promise.epsilon_pld <= target
    assert promise.noise_multiplier < promise_of(**config).noise_multiplier


@pytest.mark.parametrize("noise", [0.01, 0.1, 1_000])
@pytest.mark.parametrize("num_members, batch, epochs", [(100, 100, 1), (100, 100, 10_000), (50_000, 1, 1)])
def test_the_limits_of_the_noise_are_within_reach_of_both_accountants(noise, num_members, batch, epochs):
    promise = promise_of(num_members, batch=batch, epochs=epochs, noise_multiplier=noise)
    assert math.isfinite(promise.epsilon_rdp) and math.isfinite(promise.epsilon_pld)


# ---- the ends, and bad input


def test_without_noise_epsilon_is_infinite_and_said_to_be():
    promise = promise_of(1000, batch=100, noise_multiplier=0)
    assert promise.epsilon == promise.epsilon_rdp == promise.epsilon_pld == math.inf
    assert "nothing is promised" in promise.note and "infinite" in accounting.statement(promise)
    record = promise.to_dict()
    assert record["epsilon"] is None and json.loads(json.dumps(record, allow_nan=False)) == record


def test_a_delta_too_small_for_pld_leaves_rdp():
    promise = promise_of(1000, batch=100, noise_multiplier=1.0, delta=1e-12)
    assert promise.epsilon_pld == math.inf and math.isfinite(promise.epsilon)
    printed = accounting.statement(promise)  # which once called PLD's infinite
    assert "not computed by PLD (privacy loss distributions), which needs a delta of at least 1e-10" in printed
    assert "infinite" not in printed
    with refuses("delta", 1e-12):
        promise_of(1000, batch=100, noise_multiplier=1.0, delta=1e-12, accountant="pld")


@pytest.mark.parametrize("accountant", ["rdp", "pld"])
@pytest.mark.parametrize("target, message", [(1e-4, "must be at least "), (1e12, "must be below ")])
def test_a_target_out_of_reach_is_refused_with_what_is_in_reach(accountant, target, message):
    with refuses("target_epsilon", target, message) as refused:
        promise_of(1000, batch=100, target_epsilon=target, accountant=accountant)
    limit = float(str(refused.value).split(message)[1].split(",")[0])
    # And there it is: just within the limit that the message names, a target is met.
    within = limit * (1.1 if target < limit else 0.9)
    if accountant == "rdp":
        assert promise_of(1000, batch=100, target_epsilon=within).epsilon <= within


def test_a_batch_above_the_training_set_is_refused():
    with refuses("batch", 101):
        promise_of(100, batch=101, noise_multiplier=1.0)


def test_a_delta_from_one_over_n_on_is_warned_of():
    """Publishing one example at random meets a delta of 1/n exactly."""
    assert promise_of(1000, noise_multiplier=1.0, delta=9e-4).note == ""
    for delta in (1e-3, 2e-3):
        assert f"delta={delta:g} is not below 1/1,000" in promise_of(1000, noise_multiplier=1.0, delta=delta).note


def test_shuffled_batches_are_said_to_be_an_approximation():
    sampled, shuffled = (promise_of(1000, noise_multiplier=1.0, sampling=s) for s in ("poisson", "shuffle"))
    assert shuffled == replace(sampled, sampling="shuffle", note=shuffled.note)
    assert (
        "approximation" in shuffled.note and "Poisson sample" not in accounting.statement(shuffled).split("Warning")[0]
    )


def test_the_statement_has_every_number_and_what_is_not_covered():
    guarantee = accounting.guarantee(experiment(noise_multiplier=1.3, l2_norm_clip=2.0), 61_000)
    statement = accounting.statement(guarantee)
    numbers = ("3.188 by RDP", "2.934 by PLD", "RDP's 3.188", "delta 1e-05", "16,679 steps", "42,700 examples",
               "0.005995", "256 expected", "standard deviation 2.6", "norm 2;")  # fmt: skip
    for part in (*numbers, "Poisson sample", "added or removed", "hyperparameters", "all models", "seed"):
        assert part in statement, part
    assert "Warning" not in statement


def test_the_record_holds_the_whole_guarantee():
    record = promise_of(1000, noise_multiplier=1.0).to_dict()
    assert {"epsilon", "delta", "sampling", "sampling_rate", "steps", "noise_multiplier", "accountant", "epsilon_rdp",
            "epsilon_pld", "l2_norm_clip"} <= set(record)  # fmt: skip


def test_accounting_needs_no_tensorflow():
    code = "import sys; sys.modules['tensorflow'] = None; import mia_tf.training.accounting"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
