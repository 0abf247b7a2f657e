"""What figure 6 says of the paper's claim."""

import numpy as np
import pytest

from experiments.reproduction.score_figures import verdict
from mia_tf.figures import privacy_scores, style


@pytest.mark.parametrize(
    "over, under, words",
    [
        (0.384, 0.844, "Not confirmed here: 38% of CIFAR-10 and 84% of CIFAR-100 lie above 0.6."),
        (0.0, 0.0, "Confirmed here: 0% of CIFAR-10 and 0% of CIFAR-100 lie above 0.6."),
    ],
)
def test_figure_6_says_whether_all_falls_under_the_papers_limit(over, under, words):
    rows = [{"mixture": "cifar10_cifar100", "share_above_0.6": share} for share in (over, under)]
    assert verdict(rows) == words and verdict([]) == ""


def test_the_legend_has_the_limit_beside_the_groups():
    """It once had the limit alone."""
    ax = style.new_figure(4, 3).subplots()
    ax.axvline(0.6, label="the paper")
    edges = np.linspace(0, 1, 4)
    privacy_scores.draw_group_histograms(ax, np.array([0.1, 0.5, 0.9]), np.array([0, 0, 1]), ("A", "B"), edges)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["A (2 examples)", "B (1 example)", "the paper"]
