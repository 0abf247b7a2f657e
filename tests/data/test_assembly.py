import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses

from mia_tf.data.assembly import choose_balanced, example_ids


def _largest_by_search(available):
    """The largest sum of numbers that differ by one at most and are all available."""
    low = min(available)
    return sum(min(n, low + 1) for n in available)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.data())
def test_chosen_labels_differ_by_one_at_most(available, data):
    labels = np.repeat(np.arange(len(available)), available)
    count = data.draw(st.integers(1, _largest_by_search(available)))
    rows = choose_balanced(labels, count, np.random.default_rng(0), argument="num_over")
    assert len(set(rows)) == len(rows) == count
    if count < len(labels):
        chosen = np.bincount(labels[rows], minlength=len(available))
        assert chosen.max() - chosen.min() <= 1


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.data())
def test_both_ends_of_one_order_share_as_little_as_can_be(available, data):
    labels = np.repeat(np.arange(len(available)), available)
    largest = _largest_by_search(available)
    both = []
    for from_end in (False, True):
        count = data.draw(st.integers(1, largest))
        rng = np.random.default_rng(0)
        both.append(choose_balanced(labels, count, rng, argument="num_over", from_end=from_end))
    counts = [np.bincount(labels[rows], minlength=len(available)) for rows in both]
    shared = np.bincount(labels[np.intersect1d(*both)], minlength=len(available))
    assert np.array_equal(shared, np.maximum(0, counts[0] + counts[1] - available))


def test_too_many_gives_the_largest_count():
    labels = np.repeat([0, 1, 2], [4, 7, 9])
    # 4 of each, and one more of the two labels that have it.
    with refuses("num_under", 15):
        choose_balanced(labels, 15, np.random.default_rng(0), argument="num_under")
    assert len(choose_balanced(labels, 14, np.random.default_rng(0), argument="num_under")) == 14
    assert len(choose_balanced(labels, 20, np.random.default_rng(0), argument="num_under")) == 20


def test_nothing_to_choose_from():
    with refuses("num_under", 1):
        choose_balanced(np.zeros(0, np.int64), 1, np.random.default_rng(0), argument="num_under")


def test_the_labels_with_one_more_differ_between_seeds():
    labels = np.repeat(np.arange(10), 5)
    extras = set()
    for seed in range(30):
        rows = choose_balanced(labels, 21, np.random.default_rng(seed), argument="n")
        extras.add(int(np.bincount(labels[rows]).argmax()))
    assert len(extras) > 5  # of 10; thirty seeds miss five or more labels with probability below 1e-6


def test_more_of_a_group_holds_the_fewer():
    labels = np.repeat(np.arange(4), 25)
    few, many = (set(choose_balanced(labels, n, np.random.default_rng(3), argument="n")) for n in (20, 60))
    assert few < many


def test_an_id_is_the_hash_of_shape_and_pixels():
    images = np.arange(24, dtype=np.uint8).reshape(2, 2, 3, 2)
    expected = hashlib.blake2b(b"(2, 3, 2)" + bytes(range(12, 24)), digest_size=8).hexdigest()
    assert example_ids(images)[1] == expected
    reshaped = example_ids(images.reshape(2, 3, 2, 2))
    assert set(example_ids(images)).isdisjoint(reshaped)
