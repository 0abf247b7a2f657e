"""The figures against OOD scores: what is drawn is what was given."""

import matplotlib
import numpy as np
import pytest
from figure_helpers import layout_faults

from mia_tf.figures import style
from mia_tf.figures.ood import OOD_LABELS, WORDS, draw_against_ood

NAMES = ("MNIST", "SVHN")
GROUPS = np.array([0, 0, 0, 1, 1])


@pytest.fixture
def ax():
    with matplotlib.rc_context(style.RC):
        yield style.new_figure(4.5, 4.2).subplots()


def _legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("detector", OOD_LABELS)
def test_against_ood_draws_every_example_and_says_how_strong(ax, detector):
    ood = np.array([1e-3, 0.1, np.nan, 0.5, 0.8])
    scores = np.array([0.1, 0.2, 0.3, 2.0, 1.0])
    spearman = {0: (0.35, 1e-9), 1: (-0.7, 1e-5), "all": (0.5, 0.2)}
    draw_against_ood(ax, detector, ood, scores, "privacy score", GROUPS, NAMES, spearman)
    over, under = ax.collections
    np.testing.assert_array_equal(over.get_offsets()[:2], [[1e-3, 0.1], [0.1, 0.2]])
    np.testing.assert_array_equal(under.get_offsets(), [[0.5, 2.0], [0.8, 1.0]])
    assert ax.get_xscale() == ("log" if detector == "ood_msp" else "linear")
    assert _legend(ax) == [
        "MNIST (2 examples, 1 not resolved): correlation 0.35 (p < 0.001), weak",
        "SVHN (2 examples): correlation -0.70 (p < 0.001), strong",
        "both groups: correlation 0.50 (p = 0.200), not significant",
    ]
    style.footnote(ax.figure, WORDS)
    assert layout_faults(ax.figure) == []


def test_msp_scores_of_zero_stand_at_the_left_end(ax):
    draw_against_ood(ax, "ood_msp", np.array([0.0, 0.5]), np.ones(2), "memorization", np.zeros(2, int), NAMES, {})
    np.testing.assert_array_equal(ax.collections[0].get_offsets()[:, 0], [1e-8, 0.5])
    assert _legend(ax) == ["MNIST (2 examples): correlation not resolved"]
