from types import SimpleNamespace

import numpy as np
import pytest

from experiments.reproduction import accuracy_tables, paper_numbers


def test_training_accuracy_in_the_paper_is_of_members_and_of_those_left_out():
    """With all members right, and the others as often as test images, it comes out within 1.5 points."""
    numbers = {(n["mixture"], n["split"], n["group"]): n["paper"] for n in paper_numbers.accuracy_numbers("table1")}
    for (mixture, split, group), printed in numbers.items():
        if split == "train":
            assert 0.7 + 0.3 * numbers[mixture, "test", group] == pytest.approx(printed, abs=0.015), (mixture, group)


def test_accuracy_on_all_training_images_weighs_members_and_others_by_their_number():
    keep = np.array([False, True, True, True, False, True])
    under = np.arange(6) > 0  # four members and one other
    rights = {"train_accuracy_under": 0.25, "out_accuracy_under": 1.0}
    model = SimpleNamespace(member=keep, metrics=lambda: rights)
    assert accuracy_tables._pool_accuracy(model, "under", under) == pytest.approx(2 / 5)
    everywhere = SimpleNamespace(member=np.ones(6, bool), metrics=lambda: {"train_accuracy_under": 0.4})
    assert accuracy_tables._pool_accuracy(everywhere, "under", under) == pytest.approx(2 / 5)
