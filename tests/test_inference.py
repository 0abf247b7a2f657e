"""Weights that training kept, as they are read again. tests/test_train_command.py runs the whole command."""

import numpy as np
import pytest

from mia_tf.inference import read_weights
from mia_tf.validation import InputError

SHAPES = [(3, 2), (2,)]


def test_weights_come_back_as_they_were_kept(tmp_path):
    kept = [np.arange(6, dtype=np.float32).reshape(3, 2), np.ones(2, np.float32)]
    np.savez(tmp_path / "5.npz", *kept)
    for weight, before in zip(read_weights(tmp_path / "5.npz", SHAPES), kept, strict=True):
        np.testing.assert_array_equal(weight, before)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([np.zeros((3, 2), "f")], r"5.npz must hold weights of the model's shapes\. Received: \(3, 2\)"),
        ([np.zeros((2, 3), "f"), np.zeros(2, "f")], "must hold weights of the model's shapes"),
        ([np.zeros((3, 2), "f"), np.full(2, np.nan, "f")], "must hold finite weights"),
        ([np.zeros((3, 2), "f"), np.zeros(2, "U3")], "must hold finite weights"),
        ([np.full((3, 2), {}), np.zeros(2)], r"Cannot read .*5.npz"),
    ],
)
def test_what_is_no_weights_of_the_model_is_refused(tmp_path, weights, message):
    """Weights of another shape were once a traceback of Keras, and NaN took the place of the logits."""
    np.savez(tmp_path / "5.npz", *weights)
    with pytest.raises(InputError, match=message):
        read_weights(tmp_path / "5.npz", SHAPES)
