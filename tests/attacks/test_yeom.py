"""The loss attack against its definition."""

import numpy as np
from attack_helpers import run


def test_the_score_is_minus_the_mean_cross_entropy():
    rng = np.random.default_rng(0)
    phi, keep = rng.normal(size=(9, 2, 5)) * 3, rng.random((9, 5)) < 0.5
    probability = 1 / (1 + np.exp(-phi))
    np.testing.assert_allclose(run("yeom", phi, keep), np.log(probability).mean(axis=1), rtol=1e-12)


def test_no_shadow_models_are_needed():
    assert np.isfinite(run("yeom", np.zeros((3, 1, 2)), np.zeros((3, 2), bool))).all()
