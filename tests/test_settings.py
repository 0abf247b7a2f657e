"""The help of a setting is written once, in its field; classes and flags repeat it."""

import dataclasses
import inspect

import pytest
from absl import flags

from mia_tf import train
from mia_tf.config import DataConfig, ExperimentConfig, TaskConfig
from mia_tf.privacy_config import PrivacyConfig
from mia_tf.run_options import RunOptions

VALUES = flags.FlagValues()
train.define_flags(VALUES)
SETTLED_LATER = {"batch": None, "clip_norm": None, "queries": None, "logdir": None, "ensemble_size": "auto"}
"""Flag -> its default, where what it stands for depends on other flags or on the data, or None for no default."""
LIRA = {"dataset_size", "only_subset", "ema", "eval_steps", "patience", "save_steps"}


@pytest.mark.parametrize("owner", [*train.SECTIONS, TaskConfig, ExperimentConfig])
def test_a_class_documents_each_field_with_its_help(owner):
    text = " ".join(inspect.getdoc(owner).split())
    for field in dataclasses.fields(owner):
        assert field.metadata["help"].endswith(".")
        assert f"{field.name}: {field.metadata['help']}" in text


def test_sections_of_a_docstring_keep_their_order():
    text = inspect.getdoc(PrivacyConfig)
    assert text.index("Attributes:") < text.index("    microbatch:") < text.index("Raises:") < text.index("Example:")


@pytest.mark.parametrize("owner", train.SECTIONS)
def test_a_flag_has_the_name_and_the_help_of_its_field(owner):
    for name, field in train.flag_fields(owner).items():
        assert VALUES[name].help == field.metadata["help"].replace("(`", "(--").replace(" `", " --").replace("`", "")
        assert VALUES[name].default == SETTLED_LATER.get(name, field.default), name


def test_each_field_with_a_plain_value_has_a_flag():
    names = {field.name for owner in train.SECTIONS for field in dataclasses.fields(owner)}
    assert names - {name for owner in train.SECTIONS for name in train.flag_fields(owner)} == {"privacy"}
    assert set(VALUES) == names - {"privacy"} | {"task", "recipe", "dp"}


def test_flags_stand_under_headings_and_those_for_lira_alone_come_last():
    sections = {heading: {flag.name for flag in defined} for heading, defined in VALUES.flags_by_module_dict().items()}
    assert list(sections)[:-1] == list(train.SECTIONS.values())
    assert list(sections.values())[-1] == LIRA
    assert {"dp", "delta"} <= sections[train.SECTIONS[PrivacyConfig]]
    assert "logdir" in sections[train.SECTIONS[RunOptions]]


def test_the_seed_of_the_data_has_one_name():
    assert ExperimentConfig(data=DataConfig(data_seed=3), seed=4).to_dict() | {"data_seed": 3, "seed": 4} == (
        ExperimentConfig(data=DataConfig(data_seed=3), seed=4).to_dict()
    )
