"""The flow of section 8: it is invertible, its log-determinants are those of its Jacobian, and the experiment runs."""

import keras
import numpy as np
import pytest

from experiments import inverse_flow
from experiments.inverse_flow import DIRECTIONS, STEPS, RealNVP, moved, nearest, run_experiment
from experiments.reproduction.flow_figure import draw


@pytest.fixture(scope="module")
def flow():
    """A flow of nine pixels with random weights, far from the identity."""
    rng = np.random.default_rng(0)
    flow = RealNVP(9, 4, 8, rng)
    flow(np.full((1, 9), 0.5, np.float32))
    flow.set_weights([rng.normal(0, 0.4, weight.shape) for weight in flow.get_weights()])
    return flow


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(1).random((50, 9), dtype=np.float32)


def test_decoding_undoes_encoding(flow, pixels):
    z, _ = flow.encode(pixels)
    assert np.abs(z - np.log(pixels / (1 - pixels))).max() > 0.5
    assert np.abs(flow.decode(z) - pixels).max() < 1e-4


def jacobians(flow, pixels):
    """(N, D, D) derivatives of the latent vectors, by the backend in use."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.vmap(jax.jacobian(lambda x: flow.encode(x[None])[0][0]))(pixels)
    import tensorflow as tf

    x = tf.constant(pixels)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z, _ = flow.encode(x)
    return tape.batch_jacobian(z, x)


def test_log_determinants_are_those_of_the_jacobian(flow, pixels):
    _, log_det = flow.encode(pixels[:5])
    _, slow = np.linalg.slogdet(jacobians(flow, pixels[:5]))
    assert np.asarray(log_det) == pytest.approx(slow, abs=1e-3)


def test_bits_of_an_untrained_flow_of_middle_grey_are_known():
    """Middle grey has the latent vector 0, at which the logit of 0.05 + 0.9 x has slope 3.6 = 0.9 / (0.5 * 0.5)."""
    bits = RealNVP(4, 2, 3, np.random.default_rng(0))(np.full((1, 4), 0.5, np.float32))
    assert float(bits[0]) == pytest.approx(8 + np.log2(np.sqrt(2 * np.pi)) - np.log2(3.6), abs=1e-5)


def test_steps_have_the_length_and_direction_asked_for():
    rng = np.random.default_rng(0)
    latents, lengths = rng.normal(size=(20, 6)), rng.random(20)
    for direction in DIRECTIONS:
        new = moved(latents, lengths, direction, rng)
        assert np.linalg.norm(new - latents, axis=1) == pytest.approx(lengths)
    grown = np.linalg.norm(moved(latents, lengths, "outward", rng), axis=1)
    assert grown == pytest.approx(np.linalg.norm(latents, axis=1) + lengths)


def test_nearest_is_the_distance_to_the_nearest_other_row_of_the_label():
    latents = np.array([[0.0, 0], [0, 1], [3, 4], [0, 2]])
    assert nearest(latents, np.array([0, 1, 0, 1]), np.array([0, 3])) == pytest.approx([5, 1])


@pytest.mark.slow
def test_the_whole_experiment_on_a_few_noisy_digits(monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(inverse_flow, "MEMORIZED", 0.4)
    labels = np.arange(160) % 10
    images = rng.integers(0, 236, (10, 16))[labels] + rng.integers(0, 20, (160, 16))
    labels[:4] = (labels[:4] + 1) % 10  # wrong labels must be memorized
    arrays = images[:120].astype(np.uint8), labels[:120], images[120:].astype(np.uint8), labels[120:]
    rows, pictures = run_experiment(*arrays, 0, pool=40, num_models=4, epochs=(1, 200, 200), depth=2)
    at = {(row.group, row.direction, row.step, row.quantity): row for row in rows}
    assert at["", "", "", "test accuracy of A"].value > 0.9
    gap = at["memorized", "random", 0.0, "trained on x less others"]
    assert gap.num_examples >= 2 and gap.value > 0.4
    for row in rows:
        assert row.ci_low <= row.value <= row.ci_high
    assert set(pictures) == set(DIRECTIONS) and pictures["random"].shape[::2] == (len(STEPS), 16)
    draw(rows, pictures, STEPS, 4)
