"""The ensemble engine on JAX gives each model the logits of the reference engines on TensorFlow."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from engine_helpers import members_of
from toys import make_dataset
from train_toys import COUNTS

TOLERANCES = {
    "cnn": 1e-5,  # float32 rounding over nine steps; logits of order 0.1
    "private": 1e-5,
    # Deep ReLU networks with normalisation magnify the rounding: an input near zero takes either side. Logits of one.
    "resnet": 2e-2,
}


def train_toys(folder, backend, *ways, **environment):
    """Way to train -> the logits of its models, trained in a process of its own."""
    script = Path(__file__).with_name("train_toys.py")
    paths = os.pathsep.join(str(folder) for folder in script.parents[1:3])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": paths, **environment}
    command = [sys.executable, str(script), str(folder / "logits.npz"), *ways]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(folder / "logits.npz")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Backend -> the logits of every way to train."""
    return {backend: train_toys(tmp_path_factory.mktemp(backend), backend) for backend in ("tensorflow", "jax")}


@pytest.mark.parametrize("way", TOLERANCES)
def test_models_answer_alike(trained, way):
    check_equal(trained["jax"][way], trained["tensorflow"][way], way)


def test_so_does_a_network_that_is_compiled_as_for_users(trained, tmp_path):
    """Not in the haste of the other tests, which is a third of the time."""
    check_equal(train_toys(tmp_path, "jax", "cnn", XLA_FLAGS="")["cnn"], trained["tensorflow"]["cnn"], "cnn")


def check_equal(actual, expected, way):
    assert np.abs(expected[0] - expected[1]).max() > 10 * TOLERANCES[way]  # or any two models would pass
    np.testing.assert_allclose(actual, expected, atol=TOLERANCES[way])


def test_where_views_are_drawn_anew_models_are_as_good(trained):
    """Pairs of models have the same training sets and initial weights, and see other views."""
    toy = make_dataset()
    members = members_of(toy, COUNTS["augmented"])
    for rows in (members, ~members):
        right = {}
        for backend, ways in trained.items():
            pairs = zip(ways["augmented"], rows, strict=True)
            answered = [logits[keep, 0, 0].argmax(axis=1) == toy.labels[keep] for logits, keep in pairs]
            right[backend] = np.mean(answered, axis=1)
        difference = right["jax"] - right["tensorflow"]
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        assert 0 < error < 0.04 and right["jax"].mean() > 0.5  # chance is 0.25
        assert abs(difference.mean()) < 4 * error


def test_every_way_is_compared(trained):
    assert set(trained["jax"].files) == set(trained["tensorflow"].files) == {*TOLERANCES, "augmented"}
