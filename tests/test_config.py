"""Configurations as they are written and read back."""

import math

import pytest
from refusals import refuses

from mia_tf.config import DataConfig, ExperimentConfig, TrainingConfig
from mia_tf.privacy_config import PrivacyConfig


def test_a_normalisation_is_written_only_where_it_is_not_the_usual_one():
    # LOGDIRs of versions that had no other normalisation stay continuable.
    assert "norm" not in ExperimentConfig().to_dict() and "norm" not in TrainingConfig().to_dict()
    group = TrainingConfig(arch="resnet9", norm="group")
    assert ExperimentConfig(training=group).to_dict()["norm"] == group.to_dict()["norm"] == "group"


def test_the_reading_of_pixmix_is_written_only_where_earlier_versions_could_not_have_it():
    written = [
        ExperimentConfig(data=DataConfig(dataset="mnist_augmnist", pixmix=reading)).to_dict()
        for reading in (None, "choi", "published")
    ]
    assert written[0] == written[1] and "pixmix" not in written[0]
    assert written[2] == {**written[0], "pixmix": "published"}
    with refuses("pixmix", "paper", "must be one of choi, published"):
        DataConfig(pixmix="paper")


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(),
        TrainingConfig(arch="resnet9", norm="group", ema=0.5, patience=None),
        TrainingConfig(clip_norm=0, privacy=PrivacyConfig(noise_multiplier=1.3, l2_norm_clip=0.5, sampling="shuffle")),
        TrainingConfig(clip_norm=0, privacy=PrivacyConfig(target_epsilon=3.2, delta=1e-6, accountant="pld")),
    ],
)
def test_a_training_configuration_is_read_back(config):
    assert TrainingConfig.from_dict({**config.to_dict(), "pkeep": 0.5}) == config


def test_a_configuration_that_lacks_a_setting_is_refused():
    settings = TrainingConfig().to_dict()
    del settings["warmup"]
    with refuses("logdir", "a config.json without warmup"):
        TrainingConfig.from_dict(settings)


@pytest.mark.parametrize(
    "arch, norm, message",
    [("cnn8-3-max", "group", "has no normalisation"), ("resnet9", "layer", "one of batch, group")],
)
def test_a_normalisation_that_cannot_be_had_is_refused(arch, norm, message):
    with refuses("norm", norm, message):
        TrainingConfig(arch=arch, norm=norm)


def test_privacy_is_written_only_if_there_is_any_and_without_what_changes_speed_only():
    assert "dp" not in ExperimentConfig().to_dict() and "privacy" not in ExperimentConfig().to_dict()
    private = [
        TrainingConfig(clip_norm=0, privacy=PrivacyConfig(noise_multiplier=1.3, microbatch=size)) for size in (8, 64)
    ]
    small, large = (ExperimentConfig(training=training).to_dict() for training in private)
    assert small == large and small["dp"] is True and small["noise_multiplier"] == 1.3
    written = {"dp", "noise_multiplier", "target_epsilon", "l2_norm_clip", "delta", "sampling", "accountant"}
    assert set(small) - set(ExperimentConfig().to_dict()) == written


@pytest.mark.parametrize(
    "settings",
    [
        {"noise_multiplier": None},
        {"noise_multiplier": 1.0, "target_epsilon": 3.0},
        {"noise_multiplier": -0.1},
        {"noise_multiplier": 1e-3},
        {"noise_multiplier": math.inf},
        {"noise_multiplier": math.nan},
        {"target_epsilon": 0.0},
        {"target_epsilon": math.nan},
        {"noise_multiplier": 1.0, "l2_norm_clip": 0.0},
        {"noise_multiplier": 1.0, "l2_norm_clip": math.inf},
        {"noise_multiplier": 1.0, "delta": 0.0},
        {"noise_multiplier": 1.0, "delta": 1.0},
        {"noise_multiplier": 1.0, "sampling": "cyclic"},
        {"noise_multiplier": 1.0, "accountant": "moments"},
        {"noise_multiplier": 1.0, "microbatch": 0},
        {"noise_multiplier": 1.0, "microbatch": 2.5},
    ],
)
def test_privacy_settings_that_make_no_sense_are_refused(settings):
    """The last setting is the one that is wrong."""
    argument, value = list(settings.items())[-1]
    with refuses(argument, value):
        PrivacyConfig(**settings)


def test_no_noise_is_a_setting():
    assert PrivacyConfig(noise_multiplier=0).noise_multiplier == 0


def test_clipping_the_whole_batch_makes_no_sense_beside_clipping_each_example():
    with refuses("clip_norm", 1.0):
        TrainingConfig(privacy=PrivacyConfig(noise_multiplier=1.0))


def test_that_test_images_are_examples_is_written_only_where_they_are():
    assert "pool_test" not in ExperimentConfig().to_dict()
    assert ExperimentConfig(data=DataConfig(pool_test=True)).to_dict()["pool_test"] is True
