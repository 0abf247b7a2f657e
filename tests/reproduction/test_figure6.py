"""What figure 6 says of the paper's claim."""

import pytest

from experiments.reproduction.score_figures import verdict


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
