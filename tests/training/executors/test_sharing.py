"""Who gets which cores where nothing is measured."""

from pathlib import Path

import joblib
import pytest

from mia_tf.config import ExperimentConfig
from mia_tf.run_options import RunOptions
from mia_tf.training.executors import sharing


@pytest.mark.parametrize(
    "backend, asked, models, expected",
    [
        ("tensorflow", {"workers": 3, "threads_per_worker": 2}, 100, (3, 2)),
        ("tensorflow", {"workers": 2}, 100, (2, 4)),
        ("tensorflow", {"threads_per_worker": 2}, 100, (4, 2)),
        ("tensorflow", {}, 3, (3, 2)),  # too few models to be worth a measurement
        ("jax", {}, 100, (1, 8)),  # XLA fills the machine by itself
        ("jax", {"workers": 2}, 100, (2, 4)),
        ("jax", {"threads_per_worker": 2}, 100, (1, 2)),
    ],
)
def test_cores_are_shared_as_asked_for(backend, asked, models, expected, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    options = RunOptions(Path("unused"), **asked)
    assert sharing.share_cores(None, ExperimentConfig(), options, models) == expected
