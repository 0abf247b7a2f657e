"""MAST against refitting for every target, a closed form, and against Yeom's one threshold."""

import numpy as np
import pytest
from attack_helpers import area, left_for, membership, run
from scipy.special import ndtr


@pytest.mark.parametrize("pkeep", [0.5, 0.7])
def test_the_scores_are_those_of_refitting_without_the_target(pkeep):
    rng = np.random.default_rng(0)
    keep = membership(rng, 12, 13, pkeep)
    phi = rng.normal(size=(12, 2, 13)) * 3 + 1.5 * keep[:, None]
    loss = np.log(1 + np.exp(-phi))
    online, offline = np.empty((2, 12, 13))
    for example in range(12):
        for target in range(13):
            members, others = left_for(keep, example, target)
            judged = loss[example, :, target]
            outside = loss[example][:, others].mean(axis=1)
            midway = (loss[example][:, members].mean(axis=1) + outside) / 2
            online[example, target] = np.mean(midway - judged)
            offline[example, target] = np.mean(outside - judged)
    np.testing.assert_allclose(run("sablayrolles", phi, keep), online, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(run("sablayrolles_offline", phi, keep), offline, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["sablayrolles", "sablayrolles_offline"])
def test_normal_losses_of_any_difficulty_give_the_area_of_the_closed_form(name):
    # phi of -50 and below is minus the loss to 22 digits. About tau the members' and the non-members' losses of
    # every example are unit normals d apart, wherever the example lies: AUC = Phi(d / sqrt 2).
    rng = np.random.default_rng(1)
    keep = membership(rng, 250, 4000)
    phi = rng.normal(size=(250, 1, 4000)) + keep[:, None] - rng.uniform(60, 100, size=(250, 1, 1))
    value, low, high = area(run(name, phi, keep), keep)
    assert abs(value - ndtr(1 / np.sqrt(2))) < 0.75 * (high - low)  # three standard errors
    assert high - low < 0.008
    # One threshold for all is lost among the examples' places: AUC = E Phi((1 + u - u') / sqrt 2), simulated.
    u, other = rng.uniform(0, 40, size=(2, 1_000_000))
    yeom, low, high = area(run("yeom", phi, keep), keep)
    assert abs(yeom - ndtr((1 + u - other) / np.sqrt(2)).mean()) < 0.75 * (high - low)
    assert yeom < 0.55


def test_every_example_has_its_own_threshold_where_yeom_has_one():
    rng = np.random.default_rng(2)
    keep = membership(rng, 40, 10)
    phi = rng.normal(size=(40, 1, 10)) + 3 * rng.normal(size=(40, 1, 1))
    yeom = run("yeom", phi, keep)
    for name in ("sablayrolles", "sablayrolles_offline"):
        thresholds = run(name, phi, keep) - yeom
        assert np.ptp(thresholds, axis=0).min() > 1
        assert not np.array_equal(run(name, phi, keep)[:, 0].argsort(), yeom[:, 0].argsort())


def test_offline_looks_at_no_member():
    rng = np.random.default_rng(3)
    keep = membership(rng, 20, 8)
    phi = rng.normal(size=(20, 2, 8))
    changed = np.where(keep[:, None], phi + rng.normal(size=phi.shape), phi)
    before, after = (run("sablayrolles_offline", values, keep) for values in (phi, changed))
    np.testing.assert_array_equal(before[~keep], after[~keep])
    assert (run("sablayrolles", phi, keep)[~keep] != run("sablayrolles", changed, keep)[~keep]).all()
