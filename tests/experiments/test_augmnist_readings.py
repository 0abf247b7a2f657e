"""The readings of augMNIST: which pictures are augmented, and which rows stay in the table."""

import numpy as np
import pytest

from experiments import augmnist_readings as module
from experiments.augmnist_readings import READINGS, merged, write_archive
from mia_tf import subsets
from mia_tf.config import PlanConfig
from mia_tf.data.pixmix import READINGS as OF_THE_LIBRARY


def test_both_readings_of_the_library_are_among_them():
    assert [READINGS["at most 4 rounds"], READINGS["published"]] == [*OF_THE_LIBRARY.values()]


@pytest.mark.parametrize("reading", [{}, READINGS["published"]])
def test_the_mixture_has_the_same_digits_under_every_reading_and_none_twice(tmp_path, monkeypatch, reading):
    settings = []

    def inverted(images, *_, **given):
        settings.append(given)
        return 255 - images

    monkeypatch.setattr(module, "pixmix_until_changed", inverted)
    for name, size in (("NUM_OVER", 20), ("NUM_UNDER", 10), ("NUM_TEST", 8)):
        monkeypatch.setattr(module, name, size)
    mnist = {}
    for split, count in (("train", 50), ("test", 16)):
        mnist[f"x_{split}"] = np.repeat(np.arange(count, dtype=np.uint8), 784).reshape(-1, 28, 28)
        mnist[f"y_{split}"] = np.arange(count) % 10
    path = tmp_path / "made" / "mixture.npz"
    unseen = write_archive(path, mnist, reading, np.random.default_rng(3))
    assert settings == [reading, reading]
    with np.load(path) as made:
        under = made["group_train"] == 1
        assert under.sum() == 10 and len(under) == 30 and made["group_test"].sum() == 8
        digits = np.where(under, 255 - made["x_train"][:, 0, 0, 0], made["x_train"][:, 0, 0, 0])
        assert len(set(digits)) == 30 and np.array_equal(made["y_train"], digits % 10)
        expected = np.random.default_rng(3).permutation(50)[:30]
        assert np.array_equal(digits, expected)
        assert np.array_equal(unseen, made["x_test"][8:])


def test_rows_of_readings_that_were_measured_elsewhere_stay():
    old = [("at most 4 rounds", "over", 0.9), ("published", "over", 0.8), ("published", "under", 0.7)]
    new = [("published", "over", 0.6), ("published", "under", 0.5)]
    assert merged(old, new) == [old[0], *new]
    assert merged([], new) == new
    assert merged(old[1:], [old[0]]) == old


def test_models_train_on_the_papers_share_of_the_examples(tmp_path, monkeypatch):
    """Four models of a plan of four were each trained on a half: int(0.7 x 4) = 2 of 4 have an example."""
    commands = []
    monkeypatch.setattr(module.subprocess, "run", lambda command, check: commands.append(command))
    monkeypatch.setattr(module.Store, "open", lambda logdir: type("Empty", (), {"models": lambda self: []})())
    monkeypatch.setattr(module, "mean_interval", lambda values: (0, 0, 0))
    module.train_reading("published", tmp_path / "a.npz", 4, tmp_path / "run", workers=2)
    (command,) = commands
    assert {"--pkeep=0.7", "--num_experiments=10", "--expid=0-3", "--workers=2"} <= set(command)
    config = PlanConfig(num_experiments=module.NUM_PLANNED, pkeep=0.7)
    assert (subsets.membership(config, 40).sum(axis=0) == 7).all()
