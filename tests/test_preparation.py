"""What is settled before anything trains."""

import pytest
from toys import make_dataset

from mia_tf import subsets
from mia_tf.config import ExperimentConfig, TrainingConfig
from mia_tf.preparation import check_fits
from mia_tf.validation import InputError


def test_the_plan_is_drawn_only_if_the_batch_is_near_the_size_of_a_training_set(monkeypatch):
    drawn, membership = [], subsets.membership
    monkeypatch.setattr(subsets, "membership", lambda *plan: drawn.append(plan) or membership(*plan))
    dataset = make_dataset(num_over=600, num_under=0)  # models have 300 examples, with a deviation of 12

    def check(batch):
        training = TrainingConfig(arch="cnn2-1-max", batch=batch)
        check_fits(ExperimentConfig(num_experiments=8, training=training), dataset)

    check(64)
    assert not drawn
    check(256)
    assert len(drawn) == 1
    with pytest.raises(
        InputError, match=r"`batch` must not exceed the smallest model's training set of 2\d\d examples"
    ):
        check(300)
