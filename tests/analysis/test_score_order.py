"""Keys of scores have the order of the scores, and both sorts are those of NumPy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mia_tf.analysis.score_order import ascending, descending_keys, num_below, scores_of

scores = arrays(np.float32, st.integers(0, 60), elements=st.floats(allow_nan=False, width=32))
keys = arrays(np.uint32, st.integers(0, 300), elements=st.integers(0, 2**32 - 1) | st.integers(0, 3))


@given(scores)
def test_keys_rise_as_scores_fall_and_give_the_scores_back(scores):
    of_scores = descending_keys(scores).astype(np.int64)
    assert np.array_equal(
        np.sign(of_scores[:, None] - of_scores), np.sign((scores < scores[:, None]) * -1.0 + (scores > scores[:, None]))
    )
    assert np.array_equal(scores_of(descending_keys(scores)), scores)


@given(keys)
def test_keys_are_sorted_and_equal_ones_keep_their_order(keys):
    assert np.array_equal(ascending(keys), np.argsort(keys, kind="stable"))


@given(keys, keys)
def test_edges_below_are_counted(keys, edges):
    edges = np.unique(edges)
    assert np.array_equal(num_below(keys, edges), np.searchsorted(edges, keys))
