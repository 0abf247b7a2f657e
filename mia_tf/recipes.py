"""Recipes: the training settings that a paper has for a data set, for the flags that the user does not set."""

from collections.abc import Mapping

from mia_tf.data.mixtures import MIXTURES
from mia_tf.validation import check_choice

RECIPES = ("paper", "lira")


def settings(recipe: str, dataset: str) -> dict[str, str | float]:
    """Returns the settings in which a recipe differs from the default values.

    Args:
        recipe: "paper" for those of the mixture's paper (`Mixture.recipe`), "lira" for none.
        dataset: a mixture's name, or anything else, which has no recipe of its own.

    Returns:
        name of a flag of `mia_tf.train` -> value.

    Raises:
        InputError: the recipe is unknown.

    Example:
        >>> settings("paper", "mnist_cifar10")["arch"]
        'cnn64-3-max'
        >>> settings("lira", "mnist_cifar10")
        {}
    """
    check_choice("recipe", recipe, RECIPES)
    return dict(MIXTURES[dataset].recipe) if recipe == "paper" and dataset in MIXTURES else {}


def text(settings: Mapping[str, str | float]) -> str:
    """Returns settings as one line, such as "arch=cnn32-3-max pkeep=0.7"."""
    return " ".join(f"{name}={value}" for name, value in settings.items())


def table() -> str:
    """Returns one line per mixture that has a recipe: its name and its settings."""
    recipes = {name: text(mixture.recipe) for name, mixture in MIXTURES.items() if mixture.recipe}
    width = max(map(len, recipes))
    return "\n".join(f"{name:{width}}  {recipe}" for name, recipe in recipes.items())
