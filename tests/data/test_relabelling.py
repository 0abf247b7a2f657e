import numpy as np
import pytest
from scipy import stats

from mia_tf.data.relabelling import random_labels, wrong_labels

LEVEL = 1e-3  # of each chi-square test; the seeds are fixed, so they pass or fail for good


@pytest.mark.parametrize("seed", range(3))
def test_random_labels_are_uniform_whatever_the_label_was(seed):
    labels = np.repeat(np.arange(10), 1000)
    new = random_labels(labels, 10, np.random.default_rng(seed))
    assert new.dtype == np.int64
    # All hundred pairs of an old and a new label are equally likely.
    assert stats.chisquare(np.bincount(10 * labels + new, minlength=100)).pvalue > LEVEL


@pytest.mark.parametrize("seed", range(3))
def test_wrong_labels_are_uniform_over_the_others(seed):
    labels = np.repeat(np.arange(10), 1000)
    new = wrong_labels(labels, 10, np.random.default_rng(seed))
    assert new.dtype == np.int64
    pairs = np.bincount(10 * labels + new, minlength=100).reshape(10, 10)
    assert (np.diagonal(pairs) == 0).all()
    assert stats.chisquare(pairs[~np.eye(10, dtype=bool)]).pvalue > LEVEL


@pytest.mark.parametrize("relabel", [random_labels, wrong_labels])
def test_two_classes_and_equal_seeds(relabel):
    labels = np.array([0, 1, 1, 0] * 20)
    new, again, other = (relabel(labels, 2, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(new, again)
    assert set(new) == {0, 1}
    if relabel is wrong_labels:
        assert np.array_equal(new, 1 - labels)
    else:
        assert not np.array_equal(new, other)
