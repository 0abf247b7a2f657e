"""The benchmark of a step's parts: what it changes in the engine, not how long that takes."""

import numpy as np
import pytest

from experiments.benchmarks import step_profile

pytest.importorskip("tensorflow", reason="the reference engine, which it takes apart, needs TensorFlow")


@pytest.mark.parametrize("way", ["ours", "forward", "data", "XLA"])
def test_only_the_whole_step_has_gradients(way):
    engine = step_profile.engine_of(way, "cnn2-1-max", 32)
    before = engine._model.get_weights()
    engine.images_per_second(0.0)
    engine._epoch(np.zeros((1, 32), np.int32), np.int32(0), np.int32(500), np.int32(1000))
    moved = any((old != new).any() for old, new in zip(before, engine._model.get_weights(), strict=True))
    assert moved == (way in ("ours", "XLA"))


def test_every_convolution_has_three_rates():
    rows = step_profile.measure_convolutions("cnn2-1-max")
    assert [row["convolution"] for row in rows] == ["28x28x1 -> 2", "28x28x2 -> 2", "28x28x2 -> 4", "14x14x4 -> 10"]
    assert all(set(row) == {"convolution", "forward", "to_inputs", "to_kernel"} for row in rows)
