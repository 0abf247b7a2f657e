"""What the public functions say of arguments of another kind than they take: one line that names the argument."""

import os

import numpy as np
import pytest
from refusals import refuses
from scipy.special import softmax

import mia_tf

RNG = np.random.default_rng(0)
MEMBERS = RNG.random((12, 90)).argsort(axis=0) < 6
LABELS = RNG.integers(0, 3, 90)
LOGITS = RNG.normal(size=(12, 90, 3)) + 2 * MEMBERS[..., None] * np.eye(3)[LABELS]
SHADOWS = mia_tf.ShadowModels(LOGITS, MEMBERS, LABELS)
AUDIT = mia_tf.audit(SHADOWS, attacks=["yeom"])
RAGGED = [[1], [1, 2]]


def answer(rows, seed):
    return LOGITS[0]


TASK = mia_tf.Task(answer, labels=LABELS)


def shadows(**changes):
    return mia_tf.ShadowModels(**{"logits": LOGITS, "members": MEMBERS, "labels": LABELS, **changes})


@pytest.mark.parametrize(
    ("call", "argument", "words"),
    [
        (lambda: mia_tf.audit(SHADOWS, fpr=0.1), "fpr", "must be a list, such as [0.01, 0.001]"),
        (lambda: mia_tf.audit(SHADOWS, fpr=["0.1"]), "fpr", "must be a number. Received: fpr='0.1'"),
        (lambda: mia_tf.audit(SHADOWS, attacks="rmia"), "attacks", "must be a list"),
        (lambda: mia_tf.audit(SHADOWS, attacks=[1]), "attacks", "must be among yeom, "),
        (lambda: mia_tf.audit(SHADOWS, num_shadow=3), "num_shadow", "must be a list, such as [4, 16]"),
        (lambda: mia_tf.audit(SHADOWS, attacks=["yeom"], num_shadow=[2]), "attacks", "shadow models `num_shadow` can"),
        (lambda: mia_tf.audit(SHADOWS, delta="1e-5"), "delta", "must be a number. Received: delta='1e-5'"),
        (lambda: mia_tf.audit(SHADOWS, target=RAGGED), "target", "must be one array"),
        (lambda: mia_tf.audit(SHADOWS, target=LOGITS[0], target_members=RAGGED), "target_members", "must be one array"),
        (lambda: shadows(logits=RAGGED), "logits", "must be one array"),
        (lambda: shadows(members=RAGGED), "members", "must be one array"),
        (lambda: shadows(x=RAGGED), "x", "must be one array"),
        (lambda: shadows(groups=RAGGED), "groups", "must be one array"),
        (lambda: SHADOWS.subset(3), "models", "must be a list"),
        (lambda: SHADOWS.read_logits(12), "model", "must be an integer in [-12, 11]"),
        (lambda: SHADOWS.read_phi(-13), "model", "must be an integer in [-12, 11]"),
        (lambda: shadows(members=MEMBERS[0]), "members", "must have shape (12, 90)"),
        (lambda: shadows(logits=LOGITS[0], members=MEMBERS[0]), "logits", "must have shape (M, N, C)"),
        (
            lambda: shadows(logits=np.ones((90, 2)) / 2, members=MEMBERS[0], outputs="probabilities"),
            "logits",
            "give logits[None] and members[None]",
        ),
        (lambda: mia_tf.audit(SHADOWS, progress=None), "progress", "must be a function of"),
        (lambda: mia_tf.ShadowModels.open(3), "logdir", "must be a path"),
        (lambda: mia_tf.ShadowModels.open(""), "logdir", "must be a path"),
        (lambda: mia_tf.train_shadow_models(TASK, 4, pkeep="half"), "pkeep", "must be a number"),
        (lambda: mia_tf.train_shadow_models(TASK, 10**7), "num_models", "must be an integer in [2, 1000000]"),
        (lambda: mia_tf.train_shadow_models(TASK, "4"), "num_models", "Received: num_models='4'"),
        (lambda: mia_tf.epsilon_one_run(["a"], [True], 1e-5), "scores", "must be numbers"),
        (lambda: mia_tf.epsilon_one_run([1.0], [True], "1e-5"), "delta", "must be a number"),
        (lambda: mia_tf.epsilon_one_run([1.0], [True], 1e-5, seed=-1), "seed", "must be an integer of at least 0"),
        (lambda: mia_tf.epsilon_one_run([1.0], [True], 1e-5, "high"), "confidence", "must be a number"),
        (lambda: mia_tf.PrivacyConfig("1"), "noise_multiplier", "must be a number"),
        (lambda: mia_tf.PrivacyConfig(target_epsilon="3"), "target_epsilon", "must be a number"),
        (lambda: mia_tf.PrivacyConfig(1.0, l2_norm_clip=None), "l2_norm_clip", "must be a number"),
        (lambda: mia_tf.compare(3), "plain", "must be a list"),
        (lambda: mia_tf.compare("runs/plain", [""]), "dp", "must be a path"),
        (lambda: mia_tf.compare("runs/plain", 3), "dp", "must be a list"),
        (lambda: mia_tf.compare([AUDIT, AUDIT]), "plain", "must be a path. Received: plain=<Audit of 12 models"),
        (lambda: mia_tf.load_audit(3), "folder", "must be a path"),
        (lambda: AUDIT.save(""), "folder", "must be a path"),
        (lambda: AUDIT.report(3), "path", "must be a path"),
        (lambda: AUDIT.report("a.html", images=np.zeros((90, 8, 8), np.uint8)), "images", "(any, any, any, any)"),
        (lambda: AUDIT.metric("auc"), "name", "must be one of auroc, advantage, tpr_at_fpr_0.1, "),
        (lambda: AUDIT.swept("auc", "all"), "metric", "must be one of auroc"),
        (lambda: AUDIT.swept("auroc", "under"), "population", "must be one of all"),
        (lambda: AUDIT.mask("under"), "population", "must be one of all"),
        (lambda: AUDIT.curve("under"), "population", "must be one of all, "),
        (lambda: AUDIT.column("memorisation"), "name", ", memorization, "),
        (lambda: AUDIT.correlation("memorization", "msp"), "y", ", ood_msp, "),
        (lambda: AUDIT.plot("examples", images=np.zeros((90, 8, 8, 1))), "images", "must have dtype uint8"),
        (lambda: AUDIT.plot("roc", ax="x"), "ax", "must be one matplotlib Axes, such as plt.gca(). Received: ax=str"),
        (lambda: AUDIT.plot("examples", images=np.zeros((89, 8, 8, 1), np.uint8)), "images", "89 pictures"),
    ],
)
def test_other_kinds_are_refused(call, argument, words):
    """These once ended in a TypeError or ValueError of Python's or NumPy's own."""
    with refuses(argument, advice=words):
        call()


def test_an_empty_logdir_is_not_the_current_folder(tmp_path, monkeypatch):
    """`train_shadow_models(logdir="")` once wrote its models there."""
    monkeypatch.chdir(tmp_path)
    with refuses("logdir", advice="must be a path"):
        mia_tf.train_shadow_models(TASK, 4, logdir="")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("missing", [None, float("nan")])
@pytest.mark.parametrize("form", [list, lambda values: np.array(values, object)])
def test_a_missing_name_is_no_group_and_no_class(missing, form):
    """Groups called "None" and "nan" were once populations of the audit."""
    names = form(["old", missing, "young"] * 30)
    with refuses("groups", advice="must be all strings"):
        shadows(groups=names)
    with refuses("labels", advice="must be all strings"):
        shadows(labels=names)


def test_records_of_which_nothing_is_known_have_no_rank(tmp_path):
    """They were once ranked by their row, as if an attack had told them apart."""
    scored = mia_tf.audit(SHADOWS, target=LOGITS[0], attacks=["yeom"])
    assert scored.records["rank"].isna().all()
    assert mia_tf.load_audit(scored.save(tmp_path)) == scored
    one = mia_tf.audit(shadows(logits=LOGITS[:1], members=MEMBERS[:1]), attacks=["yeom"]).records
    assert one["rank"].isna().all()


@pytest.mark.parametrize("num_classes", [2, 3, 100])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_probabilities_rounded_to_two_digits_are_probabilities(num_classes, dtype):
    """Their rows may miss 1 by half a hundredth per class; those of three classes were once refused."""
    exact = softmax(RNG.normal(size=(12, 90, num_classes)), axis=-1)
    rounded = exact.round(2).astype(dtype)
    labels = np.arange(90) % num_classes
    if num_classes > 2:
        assert np.abs(rounded.astype(np.float64).sum(axis=-1) - 1).max() > 0.01
    mia_tf.ShadowModels(rounded, MEMBERS, labels, outputs="probabilities")
    with refuses("logits", advice='give outputs="probabilities"'):
        mia_tf.ShadowModels(rounded, MEMBERS, labels)
    if num_classes > 2:
        with refuses("logits", advice="must be probabilities"):
            mia_tf.ShadowModels(0.9 * exact, MEMBERS, labels, outputs="probabilities")
