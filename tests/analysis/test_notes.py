"""What an audit says before its numbers are believed: membership that is inverted or one-sided, and equal models."""

import numpy as np
import pytest

import mia_tf

ATTACKS = ["yeom", "sablayrolles", "lira_offline_fixed", "rmia"]


def make_arrays(seed, gain, num_models=8, num_examples=150):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, num_examples)
    members = rng.random((num_models, num_examples)).argsort(axis=0) < num_models // 2
    logits = rng.normal(size=(num_models, num_examples, 3)) + (1 + gain * members)[..., None] * np.eye(3)[labels]
    return logits, members, labels


def below_chance(logits, members, labels, seed=0, **options):
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=ATTACKS, seed=seed, **options)
    notes = [note for note in audit.about["notes"] if note.startswith("Below chance")]
    assert all(note in str(audit) for note in notes)
    return notes


def test_inverted_membership_is_noted():
    """It once read "No leak was seen", or had an AUROC of 30%, without a word."""
    logits, members, labels = make_arrays(0, gain=1.5)
    (note,) = below_chance(logits, ~members, labels)
    assert note.startswith("Below chance: the mean memorization, the AUROC of yeom, the AUROC of sablayrolles and 2 mo")
    assert "may be inverted" in note and "True for the examples that a model was trained on" in note
    assert below_chance(logits, members, labels) == []


def test_inverted_membership_of_a_target_is_noted():
    logits, members, labels = make_arrays(0, gain=1.5, num_models=9)
    own = np.random.default_rng(5).random(len(labels)) < 0.5  # not of the plan of the others
    target = logits[0] + np.where(own, 1.5, 0)[:, None] * np.eye(3)[labels]
    shadows = mia_tf.ShadowModels(logits[1:], members[1:], labels)
    audits = [mia_tf.audit(shadows, target, mask, attacks=ATTACKS) for mask in (own, ~own)]
    assert ["may be inverted" in str(audit) for audit in audits] == [False, True]


def test_noise_is_not_said_to_be_inverted():
    """With an error rate of 5% three of twelve have a probability of 2%; the rule is to err half as often."""
    assert sum(bool(below_chance(*make_arrays(seed, gain=0.0), seed=seed)) for seed in range(12)) <= 2


@pytest.mark.parametrize(("value", "words"), [(True, "All examples are members"), (False, "No example is a member")])
def test_a_target_with_one_side_has_scores_alone_and_a_reason(value, words):
    """All cells of its table once were dashes, and nothing said why."""
    logits, members, labels = make_arrays(1, gain=1.0, num_models=9)
    shadows = mia_tf.ShadowModels(logits[1:], members[1:], labels)
    audit = mia_tf.audit(shadows, logits[0], np.full(len(labels), value), attacks=["yeom"])
    (note,) = audit.about["notes"]
    assert note.startswith(words) and note.endswith("rate can be measured: there are scores alone.")
    unknown = mia_tf.audit(shadows, logits[0], attacks=["yeom"])
    assert unknown.about["notes"] == []


def test_models_with_the_same_answers_are_noted():
    """A task that ignores its rows and its seed trains one model again and again, which looked safe."""
    logits, members, labels = make_arrays(2, gain=1.0)
    alike = logits.copy()
    alike[[3, 6]] = alike[1]
    shadows = mia_tf.ShadowModels(alike, members, labels)
    (note,) = mia_tf.audit(shadows, attacks=["yeom"]).about["notes"]
    assert note.startswith("3 of 8 models gave the same answers as another one for all examples (model 1, model 3, mo")
    healthy = mia_tf.ShadowModels(logits, members, labels)
    assert mia_tf.audit(healthy, attacks=["yeom"]).about["notes"] == []
    targets = mia_tf.ShadowModels(np.repeat(logits[:1], 2, axis=0), make_arrays(3, gain=1.0)[1][:2], labels)
    notes = mia_tf.audit(healthy, targets, attacks=["yeom"]).about["notes"]
    assert any(note.startswith("2 of 2 targets gave the same answers") for note in notes)
