"""The ensemble engine on JAX gives each model the logits of the reference engines on TensorFlow."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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
            env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": paths},
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
    found, expected = trained["jax"][way], trained["tensorflow"][way]
    assert np.abs(expected[0] - expected[1]).max() > 10 * TOLERANCES[way]  # or any two models would pass
    np.testing.assert_allclose(found, expected, atol=TOLERANCES[way])


def test_every_way_is_compared(trained):
    assert set(trained["jax"].files) == set(trained["tensorflow"].files) == set(TOLERANCES)
