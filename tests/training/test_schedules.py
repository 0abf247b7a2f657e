import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mia_tf.training.schedules import example_order, lira_learning_rate


@pytest.mark.parametrize(
    "progress, expected",
    [(0.0, 0.0), (0.005, 0.05 * np.cos(7 * np.pi * 0.005 / 16)), (0.01, 0.1 * np.cos(7 * np.pi * 0.01 / 16)),
     (0.5, 0.1 * np.cos(7 * np.pi / 32)), (1.0, 0.1 * np.cos(7 * np.pi / 16))],
)  # fmt: skip
def test_learning_rate_is_the_published_one(progress, expected):
    assert float(lira_learning_rate(0.1, 0.01, np.float32(progress))) == pytest.approx(expected, rel=1e-5)


def test_no_warmup_starts_at_the_peak():
    assert float(lira_learning_rate(0.1, 0.0, np.float32(0))) == pytest.approx(0.1)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 6), st.integers(0, 99))
def test_every_example_is_seen_equally_often(count, batch, epochs, seed):
    batch = min(batch, count)
    members = np.arange(count) * 3 + 1
    steps = list(example_order(members, batch, epochs, count * epochs // batch, np.random.default_rng(seed)))
    assert len(steps) == epochs
    seen = np.concatenate([s.ravel() for s in steps])
    assert len(seen) == (count * epochs // batch) * batch
    times = np.array([(seen == m).sum() for m in members])
    # Only the examples cut off at the very end are missing, each once.
    assert times.max() <= epochs and (epochs - times).sum() == count * epochs - len(seen)
    assert times.min() >= epochs - 1
    # Every full pass of the stream is a permutation.
    for start in range(0, len(seen) - count + 1, count):
        assert sorted(seen[start : start + count]) == sorted(members)
