"""The interval of an area under a ROC, and runs in which nothing is highly memorized."""

import numpy as np
import pytest
from measured_helpers import make_measured

from experiments.reproduction import ood_proxy


@pytest.mark.parametrize("num_positive, num_negative", [(20, 200), (60, 30)])
def test_the_interval_is_that_of_exponential_scores(num_positive, num_negative):
    # For which the formula is exact: positives of scale s outrank negatives of scale 1 with s / (1 + s).
    area = 0.8
    rng = np.random.default_rng(0)
    positive = rng.exponential(area / (1 - area), (4000, num_positive))
    negative = rng.exponential(1, (4000, num_negative))
    areas = (positive[:, :, None] > negative[:, None]).mean(axis=(1, 2))
    low, high = ood_proxy.auroc_interval(area, num_positive, num_negative)
    # A standard deviation of 4,000 draws is known to 1.1%.
    assert (high - low) / (2 * 1.959964) == pytest.approx(areas.std(), rel=0.045)
    assert (low + high) / 2 == pytest.approx(area) and areas.mean() == pytest.approx(area, abs=0.005)


def test_an_interval_stays_within_its_bounds():
    assert ood_proxy.auroc_interval(1.0, 5, 5) == (1.0, 1.0)
    assert ood_proxy.auroc_interval(0.95, 5, 5)[1] == 1.0


def test_without_a_highly_memorized_example_there_is_nothing_to_detect():
    run = make_measured(group=["over", "over", "over", "under"], memorization=np.zeros(4))
    outcome = ood_proxy.build({"mnist_svhn_random": run})
    assert outcome.tables == {} and outcome.figures == {}
