"""Fewer shadow models: which are drawn, that the fits are those of a refit on them, and that noise stays noise."""

import numpy as np
import pytest
from refusals import refuses

from mia_tf.analysis.evaluation import Population, evaluate
from mia_tf.attacks import attack_classes
from mia_tf.shadow.blocks import Block
from mia_tf.shadow.leave_one_out import LeaveOneOut, LimitedLeaveOneOut, drawn_starts
from mia_tf.shadow.sweep import Sweep

LIMITABLE = [name for name, attack in attack_classes().items() if attack.limitable]
NEED_TWO = ("lira_online", "lira_offline", "lira_offline_two_sided")
"""Attacks that fit a variance of each example's own."""


def membership(rng, num_examples, num_models, plan="balanced", pkeep=0.5):
    uniform = rng.random((num_examples, num_models))
    return uniform.argsort(axis=1) < round(pkeep * num_models) if plan == "balanced" else uniform < pkeep


def make_block(phi, keep, start=0):
    """A block of phi (n, Q, M) whose logits, of two classes, say the same, as does an earlier epoch."""

    def read_logits():
        return np.stack([phi, np.zeros(phi.shape)], axis=-1).astype(np.float32)

    return Block(start, np.zeros(len(phi), np.int64), keep, phi, read_logits, earlier=phi[None] / 2)


def run(name, block):
    attack = attack_classes()[name](block.keep.shape[1], np.random.default_rng(0))
    attack.observe(block)
    attack.fit()
    return attack.score(block)


def views(sizes, block, seed=0):
    return dict(Sweep(sizes, block.keep, seed).blocks(block))


def auroc(scores, keep):
    population = Population(np.ones(len(keep), bool), keep, keep.sum(axis=1), keep.shape[1])
    return evaluate(scores.astype(np.float32), population, 0).metrics["auroc"]


@pytest.mark.parametrize("plan, pkeep", [("balanced", 0.5), ("balanced", 0.7), ("bernoulli", 0.5)])
def test_every_target_is_judged_by_k_drawn_models_per_side_and_never_by_itself(plan, pkeep):
    """The models that a fit rests on are read off from means of distinct powers of two."""
    rng = np.random.default_rng(0)
    keep = membership(rng, 40, 14, plan, pkeep)
    values = np.broadcast_to(np.exp2(np.arange(14.0)), (40, 2, 14)).copy()
    for size, view in views([1, 2, 3], make_block(values, keep)).items():
        fits = view.leave_one_out(values)
        for example in range(40):
            if min(keep[example].sum(), (~keep[example]).sum()) <= size:
                assert np.isnan(fits.means[:, example]).all() and (fits.counts[:, example] == 0).all()
                continue
            assert (fits.counts[:, example] == size).all()
            for target in range(14):
                for side, member in enumerate((True, False)):
                    total = round(float(fits.means[side, example, 1, target]) * size)
                    used = {model for model in range(14) if total >> model & 1}
                    assert len(used) == size and target not in used
                    assert all(keep[example, model] == member and view.chosen[example, model] for model in used)


def test_the_statistics_are_those_of_a_refit():
    rng = np.random.default_rng(1)
    keep = membership(rng, 10, 12)
    values = rng.normal(size=(10, 2, 12))
    chosen = views([3], make_block(values, keep))[3].chosen
    powers = np.broadcast_to(np.exp2(np.arange(12.0)), values.shape)
    used = np.rint(LimitedLeaveOneOut(powers.copy(), keep, drawn_starts(0, 10), chosen).means * 3).astype(int)
    fits = LimitedLeaveOneOut(values, keep, drawn_starts(0, 10), chosen)
    for side, j, q, target in np.ndindex(used.shape):
        sample = [values[j, q, model] for model in range(12) if used[side, j, q, target] >> model & 1]
        assert fits.medians[side, j, q, target] == pytest.approx(np.median(sample), rel=1e-12)
        assert fits.squares[side, j, q, target] == pytest.approx(np.var(sample) * 3, rel=1e-9)


def test_with_all_models_it_is_the_full_fit():
    rng = np.random.default_rng(2)
    keep = membership(rng, 30, 16)
    phi = rng.normal(size=(30, 2, 16)) + keep[:, None]
    block = make_block(phi, keep)
    view = views([7], block)[7]
    for statistic in ("medians", "means", "squares", "counts"):
        expected = getattr(LeaveOneOut(phi, keep, drawn_starts(0, 30)), statistic)
        np.testing.assert_array_equal(getattr(view.fits, statistic), expected)
    for name in LIMITABLE:
        np.testing.assert_array_equal(run(name, view), run(name, block))


@pytest.mark.parametrize("name", LIMITABLE)
@pytest.mark.parametrize("plan, pkeep", [("balanced", 0.5), ("balanced", 0.7), ("bernoulli", 0.5)])
def test_pure_noise_gives_no_advantage_at_any_number_of_models(name, plan, pkeep):
    rng = np.random.default_rng([len(plan), int(10 * pkeep)])
    keep = membership(rng, 1500, 16, plan, pkeep)
    phi = rng.normal(size=(1500, 2, 16)) * rng.gamma(4, size=(1500, 1, 1)) / 4 + rng.normal(size=(1500, 1, 1))
    for size, view in views([1, 2, 4], make_block(phi, keep)).items():
        value, low, high = auroc(run(name, view), keep)
        if size == 1 and name in NEED_TWO:
            assert np.isnan(value)
            continue
        # Of 72 intervals of 95% three or four would miss: asked for twice the width, 1 in 10,000 does by chance.
        assert abs(value - 0.5) < high - low
        assert high - low < 0.03


@pytest.mark.parametrize("name", ["lira_online_fixed", "label_only"])
def test_models_that_differ_by_their_order_give_no_advantage_at_any_number(name):
    rng = np.random.default_rng(7)
    keep = membership(rng, 5000, 16)
    phi = rng.normal(size=(5000, 1, 16)) + np.repeat([1.0, -1.0], 8)
    for view in views([1, 3, 7], make_block(phi, keep)).values():
        value, low, high = auroc(run(name, view), keep)
        assert abs(value - 0.5) < high - low < 0.025


@pytest.mark.parametrize("name", LIMITABLE)
def test_few_models_already_tell_members_and_more_tell_better(name):
    rng = np.random.default_rng(3)
    keep = membership(rng, 800, 32)
    phi = rng.normal(size=(800, 1, 32)) + 1.5 * keep[:, None] + 3 * rng.normal(size=(800, 1, 1))
    auroc_of = {size: auroc(run(name, view), keep)[0] for size, view in views([2, 12], make_block(phi, keep)).items()}
    assert auroc_of[2] > 0.55
    assert auroc_of[12] > auroc_of[2]


def test_with_one_model_a_side_the_nearer_mean_wins():
    """Fixed variance online then ranks by (mu_in - mu_out) (phi - their midpoint), whatever the variance."""
    rng = np.random.default_rng(4)
    keep = membership(rng, 20, 8)
    phi = rng.normal(size=(20, 1, 8)) + keep[:, None]
    view = views([1], make_block(phi, keep))[1]
    inside, outside = view.fits.medians
    expected = ((inside - outside) * (phi - (inside + outside) / 2))[:, 0]
    np.testing.assert_allclose(run("lira_online_fixed", view), expected, rtol=1e-10, atol=1e-12)
    # Offline, one query: the further above the OUT model, the likelier a member.
    above, scores = (phi - outside)[:, 0].ravel(), run("lira_offline_fixed", view).ravel()
    np.testing.assert_array_equal(above.argsort(), scores.argsort())


def test_the_draw_is_of_the_seed_and_not_of_the_blocks_and_a_smaller_k_is_part_of_a_larger():
    rng = np.random.default_rng(5)
    keep = membership(rng, 50, 12)
    phi = rng.normal(size=(50, 1, 12))
    whole = views([1, 2, 4], make_block(phi, keep))
    sweep = Sweep([4, 1, 2, 2], keep, 0)
    assert sweep.sizes == [1, 2, 4]
    parts = [dict(sweep.blocks(make_block(phi[rows], keep[rows], rows.start))) for rows in (slice(0, 7), slice(7, 50))]
    for size in (1, 2, 4):
        np.testing.assert_array_equal(np.concatenate([part[size].chosen for part in parts]), whole[size].chosen)
    assert (whole[1].chosen <= whole[2].chosen).all() and (whole[2].chosen <= whole[4].chosen).all()
    assert (views([2], make_block(phi, keep), seed=1)[2].chosen != whole[2].chosen).any()
    # Every model is drawn about as often as any other: 250 draws of 50 x 4 / 12 each, 6 standard errors.
    drawn = sum(views([1], make_block(phi, keep), seed=seed)[1].chosen.sum(axis=0) for seed in range(250))
    expected = 250 * 50 * 4 / 12
    assert np.abs(drawn - expected).max() < 6 * np.sqrt(expected)


def test_pieces_of_a_view_are_views(monkeypatch):
    from mia_tf.shadow import blocks

    rng = np.random.default_rng(6)
    keep = membership(rng, 30, 8)
    view = views([2], make_block(rng.normal(size=(30, 1, 8)), keep))[2]
    monkeypatch.setattr(blocks, "_PIECE", 7 * 8)
    for rows, piece in view.pieces():
        np.testing.assert_array_equal(piece.fits.medians, view.fits.medians[:, rows])


@pytest.mark.parametrize("size, refusal", [(0, ("num_shadow", 0)), (4, ("num_shadow", 4)), (2.5, ("num_shadow", 2.5))])
def test_sizes_that_cannot_be_are_named(size, refusal):
    with refuses(*refusal):
        Sweep([1, size], membership(np.random.default_rng(0), 10, 8), 0)
