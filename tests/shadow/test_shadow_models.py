"""Records with some of their models: which these may be, and what follows from them alone."""

import numpy as np
import pytest
from refusals import ANY, refuses

import mia_tf


def record():
    """Noise."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    return mia_tf.ShadowModels(rng.normal(size=(12, 60, 3)), rng.random((12, 60)) < 0.5, labels)


def probabilities(num_models=8, num_examples=60):
    """Probabilities of three classes, some of them 0; the smallest above 0 differs from model to model."""
    rng = np.random.default_rng(3)
    counts = rng.multinomial(20, rng.dirichlet(np.ones(3), num_examples), size=(num_models, num_examples))
    counts = counts * np.arange(1, num_models + 1)[:, None, None] + (counts > 0)
    return counts / counts.sum(axis=2, keepdims=True), rng.random((num_models, num_examples)) < 0.5


def test_what_a_probability_of_zero_counts_as_does_not_depend_on_the_way_to_it():
    answers, members = probabilities()
    labels = np.arange(60) % 3
    whole = mia_tf.ShadowModels(answers, members, labels, outputs="probabilities")
    touched = mia_tf.ShadowModels(answers, members, labels, outputs="probabilities")
    assert touched.floor == whole.floor
    others = whole.subset(range(7))
    assert others.floor == touched.subset(range(7)).floor > whole.floor
    finished = mia_tf.ShadowModels(answers[[7] * 4], members[[7] * 4], labels, outputs="probabilities").subset([0])
    settings = {"attacks": ["lira_online_fixed", "rmia"], "fpr": (0.1,)}
    one = mia_tf.audit(others, target=answers[7], target_members=members[7], **settings)
    other = mia_tf.audit(others, target=finished, **settings)
    for attack in settings["attacks"]:
        np.testing.assert_array_equal(one.scores(attack), other.scores(attack))


@pytest.mark.parametrize("models", [[0, 0], [12], [-1], [0.5], np.ones(3, bool)])
def test_a_subset_has_models_of_the_record_each_once(models):
    shadows = record()
    with refuses("models", ANY, advice="each once"):
        shadows.subset(models)


def test_a_subset_may_be_a_mask():
    shadows = record()
    chosen = np.arange(len(shadows)) % 2 == 1
    assert [model.name for model in shadows.subset(chosen).models] == [f"model {k}" for k in np.flatnonzero(chosen)]
