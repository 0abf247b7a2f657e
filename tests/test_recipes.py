"""Recipes: what a mixture's paper sets, and that the user's own flags stay."""

import dataclasses

import pytest
from absl import flags

from mia_tf import recipes, train
from mia_tf.config import ExperimentConfig
from mia_tf.data.mixtures import MIXTURES
from mia_tf.validation import InputError

WITH_RECIPE = [name for name, mixture in MIXTURES.items() if mixture.recipe]


def config(*arguments):
    values = flags.FlagValues()
    train.define_flags(values)
    values(["train", *arguments])
    return train.read_config(values)[0]


@pytest.mark.parametrize("name", WITH_RECIPE)
def test_a_recipe_has_only_what_differs_from_the_default_values(name):
    ours, liras = (config(f"--dataset={name}", f"--recipe={recipe}") for recipe in recipes.RECIPES)
    settings, default = (
        {**dataclasses.asdict(each.training), **dataclasses.asdict(each.data), "pkeep": each.pkeep}
        for each in (ours, liras)
    )
    follows = {"queries"} if "augment" in MIXTURES[name].recipe else set()
    assert {key for key in settings if settings[key] != default[key]} == set(MIXTURES[name].recipe) | follows
    assert liras.training == ExperimentConfig().training and liras.pkeep == ExperimentConfig().pkeep


def test_the_command_of_the_readme_is_the_paper_s_mixture():
    parsed = config()
    assert (parsed.data.dataset, parsed.training.arch, parsed.pkeep) == ("mnist_svhn", "cnn32-3-max", 0.7)
    assert (parsed.training.augment, parsed.training.queries) == ("none", 1)
    assert (parsed.training.epochs, parsed.training.batch) == (16, 256)  # experiments/results/calibration


def test_every_mixture_of_choi_et_al_has_the_network_of_their_table_1():
    networks = {name: MIXTURES[name].recipe["arch"] for name in WITH_RECIPE}
    assert networks == {
        "mnist": "cnn32-3-max", "mnist_augmnist": "cnn32-3-max", "mnist_svhn": "cnn32-3-max",
        "mnist_cifar10": "cnn64-3-max", "cifar10": "resnet9", "cifar10_augcifar10": "resnet18",
        "cifar10_cifar100": "resnet9",
    }  # fmt: skip


def test_a_flag_of_the_user_wins_even_where_it_has_the_default_value():
    parsed = config("--dataset=mnist_svhn", "--epochs=100", "--augment=weak")
    assert (parsed.training.epochs, parsed.training.augment, parsed.training.queries) == (100, "weak", 2)
    assert parsed.training.arch == "cnn32-3-max"


@pytest.mark.parametrize("dataset", ["npz:own.npz", "cifar10_mislabeled", "mnits"])
def test_what_has_no_recipe_is_trained_as_lira_trains(dataset):
    parsed = config(f"--dataset={dataset}")
    assert parsed.training == ExperimentConfig().training and parsed.pkeep == ExperimentConfig().pkeep


def test_a_logdir_of_explicit_flags_goes_on_by_the_recipe():
    explicit = ["--arch=cnn32-3-max", "--pkeep=0.7", "--epochs=16", "--augment=none", "--queries=1", "--recipe=lira"]
    assert config().to_dict() == config(*explicit).to_dict()


def test_an_unknown_recipe_is_refused():
    with pytest.raises(InputError, match=r"`recipe` must be one of paper, lira\. Received: recipe=choi"):
        config("--recipe=choi")


def test_help_shows_the_recipes():
    values = flags.FlagValues()
    train.define_flags(values)
    assert recipes.table() in values["recipe"].help
