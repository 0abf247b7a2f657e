"""phi, loss and correctness against closed forms, up to margins where naive formulas are infinite."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mia_tf.shadow import signals

logits_of_one_example = st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=12)


@pytest.mark.parametrize("margin", [0.0, 1e-6, 1.0, 20.0, 37.0, 1e3, 1e6])
def test_phi_of_two_classes_is_their_difference_at_any_margin(margin):
    logits = np.array([[margin, 0.0], [0.0, margin]])
    np.testing.assert_array_equal(signals.phi(logits, np.array([0, 0])), [margin, -margin])


def test_phi_of_ten_equal_logits():
    logits = np.full((3, 10), 123.0)
    np.testing.assert_allclose(signals.phi(logits, np.array([0, 4, 9])), -np.log(9), rtol=1e-15)


def test_phi_is_the_log_odds_of_the_softmax_probability():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(50, 3, 10)) * 3
    labels = rng.integers(0, 10, (50, 1))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    p = np.take_along_axis(probabilities, np.broadcast_to(labels[..., None], (50, 3, 1)), axis=-1)[..., 0]
    # 1 - p loses digits as p nears 1; here p < 1 - 1e-8, so that at least seven are left.
    np.testing.assert_allclose(signals.phi(logits, labels), np.log(p / (1 - p)), rtol=1e-6, atol=1e-7)


def test_phi_of_float32_logits_is_computed_in_float64():
    logits = np.array([[30.0, 0.0, 0.0]], np.float32)
    phi = signals.phi(logits, np.array([0]))
    assert phi.dtype == np.float64
    np.testing.assert_allclose(phi, 30 - np.log(2), rtol=1e-15)


def test_phi_leaves_the_logits_as_they_are():
    logits = np.arange(20.0).reshape(4, 5)
    before = logits.copy()
    signals.phi(logits, np.zeros(4, int))
    np.testing.assert_array_equal(logits, before)


@given(logits_of_one_example, st.floats(-1e4, 1e4))
def test_phi_does_not_change_when_all_logits_are_shifted(logits, shift):
    logits = np.array([logits])
    label = np.array([0])
    # Shifting rounds each logit to the spacing of numbers near 2e4, 4e-12.
    np.testing.assert_allclose(signals.phi(logits + shift, label), signals.phi(logits, label), atol=1e-10)


@given(logits_of_one_example)
def test_loss_is_the_cross_entropy(logits):
    logits = np.array(logits)
    largest = logits.max()
    cross_entropy = largest + np.log(np.exp(logits - largest).sum()) - logits[0]
    loss = signals.loss(signals.phi(logits[None], np.array([0])))[0]
    np.testing.assert_allclose(loss, cross_entropy, rtol=1e-10, atol=1e-11)


def test_loss_keeps_its_digits_where_the_model_is_sure():
    np.testing.assert_allclose(signals.loss(np.array([50.0, 700.0])), np.exp([-50.0, -700.0]), rtol=1e-14)
    np.testing.assert_array_equal(signals.loss(np.array([-1e6, 0.0])), [1e6, np.log(2)])


def test_correct_takes_the_first_of_equal_logits():
    logits = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 2.0]])
    assert signals.correct(logits, np.array([0, 1, 1])).tolist() == [True, False, True]
