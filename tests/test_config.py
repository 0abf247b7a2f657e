"""Configurations as they are written and read back."""

import pytest

from mia_tf.config import ExperimentConfig, TrainingConfig
from mia_tf.validation import InputError


def test_a_normalisation_is_written_only_where_it_is_not_the_usual_one():
    # LOGDIRs of versions that had no other normalisation stay continuable.
    assert "norm" not in ExperimentConfig().to_dict() and "norm" not in TrainingConfig().to_dict()
    group = TrainingConfig(arch="resnet9", norm="group")
    assert ExperimentConfig(training=group).to_dict()["norm"] == group.to_dict()["norm"] == "group"


@pytest.mark.parametrize(
    "config", [TrainingConfig(), TrainingConfig(arch="resnet9", norm="group", ema=0.5, patience=None)]
)
def test_a_training_configuration_is_read_back(config):
    assert TrainingConfig.from_dict({**config.to_dict(), "pkeep": 0.5}) == config


def test_a_configuration_that_lacks_a_setting_is_refused():
    settings = TrainingConfig().to_dict()
    del settings["warmup"]
    with pytest.raises(InputError, match=r"config\.json lacks warmup"):
        TrainingConfig.from_dict(settings)


@pytest.mark.parametrize(
    "arch, norm, said",
    [
        ("cnn8-3-max", "group", "`norm` must not be given for cnn8-3-max, which has no normalisation"),
        ("resnet9", "layer", "`norm` must be one of batch, group. Received: norm=layer"),
    ],
)
def test_a_normalisation_that_cannot_be_had_is_refused(arch, norm, said):
    with pytest.raises(InputError) as error:
        TrainingConfig(arch=arch, norm=norm)
    assert said in str(error.value) and "\n" not in str(error.value)
