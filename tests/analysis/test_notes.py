"""What an audit says before its numbers are believed: membership that is inverted or one-sided, and equal models."""

import numpy as np
import pytest
from refusals import refuses

import mia_tf
from mia_tf.report.unsettled import unsettled
from mia_tf.report.words import answer

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


def test_examples_of_one_side_are_counted():
    """Of a fixed test set the summary said nothing, and the table blamed too few models."""
    logits, members, labels = make_arrays(4, gain=1.0)
    members[:, :30] = False
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=["yeom"])
    assert audit.about["notes"] == ["30 of 150 examples are in no rate: all models or none were trained on them."]
    assert (audit.attacks["note"].str.contains("30 examples left out: all models or none were trained on")).any()
    assert not audit.attacks["note"].str.contains("too few models").any()


def test_columns_in_another_order_are_thought_of():
    logits, members, labels = make_arrays(5, gain=3.0)
    swapped = mia_tf.ShadowModels(logits[..., [1, 2, 0]], members, labels)
    (first, *_) = mia_tf.audit(swapped, attacks=["yeom"]).about["notes"]
    assert first.startswith("8 of 8 attacked models are no better than chance")
    assert first.endswith("the columns of their answers are not in the order of the classes.")


def test_of_one_class_nothing_is_said_to_be_chance():
    """A model that has all examples of one class right was said to have learnt nothing."""
    logits, members, labels = make_arrays(6, gain=3.0, num_examples=300)
    one = labels == 1
    audit = mia_tf.audit(mia_tf.ShadowModels(logits[:, one], members[:, one], labels[one]), attacks=["yeom"])
    assert audit.about["notes"] == [] and audit.metric("auroc")["yeom", "all"][0] > 0.7
    swapped = mia_tf.ShadowModels(-logits[:, one], members[:, one], labels[one])
    assert mia_tf.audit(swapped, attacks=["yeom"]).about["notes"][0].startswith("8 of 8 attacked models are no better")


def test_the_least_probability_is_not_said_to_be_half_of_another():
    probabilities = np.tile([1.0, 1e-200], (8, 90, 1))
    members = make_arrays(7, gain=0.0, num_examples=90)[1]
    audit = mia_tf.audit(
        mia_tf.ShadowModels(probabilities, members, np.arange(90) % 2, "probabilities"), attacks=["yeom"]
    )
    assert "Probabilities below 1e-30 count as that." in audit.about["notes"]


def test_a_headline_without_members_is_not_resolved():
    logits, members, labels = make_arrays(1, gain=1.0, num_models=9)
    shadows = mia_tf.ShadowModels(logits[1:], members[1:], labels)
    audit = mia_tf.audit(shadows, logits[0], np.zeros(len(labels), bool), attacks=["yeom"], fpr=[0.1])
    assert "false positives, which is not resolved." in str(audit)
    head = audit.about["headline"]
    assert answer(head, None)[0] == "Nothing could be measured: there are no members to compare."
    assert not any("are needed" in question["note"] for question in unsettled(audit))  # of non-members there are enough


def test_a_rate_one_non_member_short_is_an_open_question():
    logits, members, labels = make_arrays(1, gain=1.0, num_models=9)
    shadows = mia_tf.ShadowModels(logits[1:], members[1:], labels)
    audit = mia_tf.audit(shadows, logits[0], np.arange(len(labels)) >= 33, attacks=["yeom"], fpr=[0.03])
    (note,) = [question["note"] for question in unsettled(audit) if "false positives" in question["question"]]
    assert note == "33 tests of non-members are there, 34 are needed."


def test_other_models_must_have_answered_for_the_same_examples():
    """In another order they once gave numbers, and of another number of examples an error of NumPy's."""
    logits, members, labels = make_arrays(8, gain=1.0)
    others, of_others, _ = make_arrays(9, gain=1.0)
    shadows = mia_tf.ShadowModels(logits, members, labels)
    order = np.random.default_rng(0).permutation(len(labels))
    shuffled = mia_tf.ShadowModels(others[:, order], of_others[:, order], labels[order], ids=order)
    fewer = mia_tf.ShadowModels(others[:, :100], of_others[:, :100], labels[:100])
    twice = mia_tf.ShadowModels(np.repeat(others[:, :, None], 2, axis=2), of_others, labels)
    refusals = {"the ids differ": shuffled, "the ids differ.": fewer, "2 and 3 by the targets, 1 and 3 by the": twice}
    for words, targets in refusals.items():
        with refuses("target", "8 models", advice=words):
            mia_tf.audit(shadows, targets, attacks=["rmia"])
