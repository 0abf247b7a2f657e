"""LiRA against closed forms, against refitting for every target, and against what the published approach gets wrong."""

import numpy as np
import pytest
import scipy.stats
from attack_helpers import area, left_for, membership, pooled, run
from scipy.special import log_ndtr, ndtr, ndtri

from mia_tf.attacks.lira import recommended_online


def refitted_scores(name, phi, keep):
    """(N, M) scores, each target's shadow models fitted afresh."""
    num_examples, queries, num_models = phi.shape
    scores = np.empty((num_examples, num_models))
    for target in range(num_models):
        fits = [left_for(keep, example, target) for example in range(num_examples)]
        pooled_sigma = []
        for side in (0, 1):
            squares = degrees = 0
            for example in range(num_examples):
                for q in range(queries):
                    sample = phi[example, q, fits[example][side]]
                    squares += ((sample - sample.mean()) ** 2).sum()
                    degrees += len(sample) - 1
            pooled_sigma.append(np.sqrt(squares / degrees))
        for example in range(num_examples):
            normals = []
            for q in range(queries):
                samples = [phi[example, q, fits[example][side]] for side in (0, 1)]
                sigmas = pooled_sigma if "fixed" in name else [np.std(sample) for sample in samples]
                normals.append([scipy.stats.norm(np.median(s), d) for s, d in zip(samples, sigmas, strict=True)])
            judged = phi[example, :, target]
            if "online" in name:
                per_query = [i.logpdf(x) - o.logpdf(x) for (i, o), x in zip(normals, judged, strict=True)]
                scores[example, target] = np.mean(per_query)
            elif name == "lira_offline_two_sided":
                scores[example, target] = -np.mean([o.logpdf(x) for (_, o), x in zip(normals, judged, strict=True)])
            else:
                per_query = [o.logcdf(x) for (_, o), x in zip(normals, judged, strict=True)]
                scores[example, target] = -np.log(-np.mean(per_query))
    return scores


@pytest.mark.parametrize(
    "name", ["lira_online", "lira_online_fixed", "lira_offline", "lira_offline_fixed", "lira_offline_two_sided"]
)
@pytest.mark.parametrize("pkeep", [0.5, 0.7])
def test_the_scores_are_those_of_refitting_without_the_target(name, pkeep):
    rng = np.random.default_rng(0)
    keep = membership(rng, 12, 13, pkeep)
    phi = rng.normal(size=(12, 2, 13)) * 2 + 1.5 * keep[:, None]
    np.testing.assert_allclose(run(name, phi, keep), refitted_scores(name, phi, keep), rtol=1e-10, atol=1e-10)


def two_normals(distance, num_models, num_examples, seed):
    """phi normal with variance 1 about 0 for non-members and about `distance` for members; keep."""
    rng = np.random.default_rng(seed)
    keep = membership(rng, num_examples, num_models)
    return rng.normal(size=(num_examples, 1, num_models)) + distance * keep[:, None], keep


@pytest.mark.parametrize("name", ["lira_online", "lira_online_fixed"])
@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0])
def test_two_normals_give_the_area_and_the_rate_of_the_closed_form(name, distance):
    # The likelihood ratio of two unit normals rises with phi, so that AUC = Phi(d / sqrt 2) and
    # TPR(a) = Phi(d - z_{1-a}) (Dong, Roth and Su, 2022). Medians of 2,000 models err by 0.04 sigma.
    phi, keep = two_normals(distance, 4000, 250, seed=1)
    metrics = pooled(run(name, phi, keep), keep).metrics
    auroc, low, high = metrics["auroc"]
    assert abs(auroc - ndtr(distance / np.sqrt(2))) < 0.75 * (high - low)  # three standard errors
    assert high - low < 0.008
    rate, low, high = metrics["tpr_at_fpr_0.001"]
    assert abs(rate - ndtr(distance - ndtri(0.999))) < 0.75 * (high - low)
    assert high - low < 0.3 * ndtr(distance - ndtri(0.999))


def test_the_one_sided_score_ranks_as_the_log_cdf_and_never_saturates():
    keep = np.zeros((1, 64), bool)
    keep[:, :32] = True
    shadow = np.random.default_rng(0).normal(size=(1, 1, 64))
    values = np.array([-60.0, -3.0, 0.0, 5.0, 9.0, 9.9, 10.1, 20.0, 60.0, 1e4])
    scores = []
    for value in values:
        shadow[..., 0] = value
        scores.append(run("lira_offline", shadow, keep)[0, 0])
    assert (np.diff(scores) > 0).all()
    out = shadow[0, 0, left_for(keep, 0, 0)[1]]
    z = (values - np.median(out)) / np.std(out)
    np.testing.assert_allclose(scores[:4], -np.log(-log_ndtr(z[:4])), rtol=1e-10)
    np.testing.assert_allclose(scores[4:], -log_ndtr(-z[4:]), rtol=1e-10)


def naive_online_scores(phi, keep):
    """Online scores when only the target is left out, so that members are judged by one IN model less."""
    scores = np.empty(keep.shape)
    for target in range(keep.shape[1]):
        shadow = np.arange(keep.shape[1]) != target
        ratio = 0
        for side, sign in ((keep, 1), (~keep, -1)):
            sample = np.where((side & shadow)[:, None], phi, np.nan)
            mu, sigma = np.nanmedian(sample, axis=2), np.nanstd(sample, axis=2)
            ratio = ratio + sign * scipy.stats.norm.logpdf(phi[..., target], mu, sigma)
        scores[:, target] = ratio.mean(axis=1)
    return scores


@pytest.mark.parametrize("num_models, auroc", [(8, 0.42), (16, 0.48)])
def test_without_equal_counts_pure_noise_looks_like_anti_membership(num_models, auroc):
    """LiRA's published way, on every model as the target, got these areas on noise; equal counts get 0.5."""
    rng = np.random.default_rng(num_models)
    keep = membership(rng, 4000, num_models)
    phi = rng.normal(size=(4000, 1, num_models))
    # The standard errors are below 0.003; the recorded areas have two digits.
    assert abs(area(naive_online_scores(phi, keep), keep)[0] - auroc) < 0.015
    assert abs(area(run("lira_online", phi, keep), keep)[0] - 0.5) < 0.01


def test_an_example_needs_two_models_per_side_for_its_own_variance_and_one_for_the_fixed():
    rng = np.random.default_rng(0)
    keep = membership(rng, 30, 12)
    for row, members in ((0, 1), (1, 2), (2, 3), (3, 9), (4, 10), (5, 11)):
        keep[row] = np.arange(12) < members
    phi = rng.normal(size=(30, 2, 12))
    scored = {name: ~np.isnan(run(name, phi, keep)).any(axis=1)[:6] for name in ("lira_online", "lira_online_fixed")}
    assert scored["lira_online"].tolist() == [False, False, True, True, False, False]
    assert scored["lira_online_fixed"].tolist() == [False, True, True, True, True, False]
    # Offline looks at non-members only.
    assert (~np.isnan(run("lira_offline", phi, keep)).any(axis=1)[:6]).tolist() == [True] * 4 + [False] * 2


def test_the_variant_to_trust():
    assert [recommended_online(m) for m in (8, 63, 64, 2000)] == ["lira_online_fixed"] * 2 + ["lira_online"] * 2
