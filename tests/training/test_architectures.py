"""Every architecture learns in the engine, with either normalisation."""

import numpy as np
import pytest
from toys import make_dataset

from mia_tf.config import TrainingConfig
from mia_tf.records import ModelRecord
from mia_tf.training.single import SingleEngine

SLOW = ("mobilenetv2", "resnet18", "resnet34", "resnet50", "densenet121")  # to compile
ARCHS = ["vgg16", *(pytest.param(arch, marks=pytest.mark.slow) for arch in SLOW)]


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("norm", ["batch", pytest.param("group", marks=pytest.mark.slow)])
def test_a_few_steps_lower_the_loss(arch, norm):
    dataset = make_dataset(num_over=16, num_under=0, size=16, num_test=0)
    config = TrainingConfig(arch=arch, norm=norm, lr=0.02, batch=16, epochs=6, warmup=0.0, augment="none", queries=1)
    (record,) = SingleEngine(dataset, config).train(np.ones((1, 16), bool), [0])
    assert isinstance(record, ModelRecord)
    losses = [epoch["loss"] for epoch in record.metrics["history"]]
    assert losses[-1] < 0.7 * losses[0]
