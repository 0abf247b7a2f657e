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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Backend -> the logits of every way to train."""
    folder = tmp_path_factory.mktemp("backends")
    script = Path(__file__).with_name("train_toys.py")
    paths = os.pathsep.join(str(folder) for folder in script.parents[1:3])
    running = {
        backend: subprocess.Popen(
            [sys.executable, str(script), str(folder / f"{backend}.npz")],
            # Compiled as for users, not in the haste of the other tests.
            env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": paths, "XLA_FLAGS": ""},
            stderr=subprocess.PIPE,
            text=True,
        )
        for backend in ("tensorflow", "jax")
    }
    for process in running.values():
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors[-2000:]
    return {backend: np.load(folder / f"{backend}.npz") for backend in running}


@pytest.mark.parametrize("way", TOLERANCES)
def test_models_answer_alike(trained, way):
    actual, expected = trained["jax"][way], trained["tensorflow"][way]
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
