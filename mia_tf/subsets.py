"""Which model trains on which example."""

import math

import numpy as np

from mia_tf.config import PlanConfig
from mia_tf.validation import fail

_PLAN, _MODELS = 1, 2  # streams of randomness that follow from one seed and never meet
_BLOCK = 4096  # examples drawn at once: the draws of thousands of models would not fit in memory
_DOUBT = 1e-12  # a probability that no plan will ever meet


def membership(config: PlanConfig, num_examples: int) -> np.ndarray:
    """The membership plan of an experiment.

    "balanced" is LiRA's: per example, the models are put in a random order and the first int(pkeep * M) of them train
    on it. So every example is IN equally often. With "bernoulli", every model keeps every example with probability
    pkeep, independently and from a random stream of its own. With more models the first ones then have the same
    subsets. A balanced plan cannot grow like this.

    Args:
        config: num_experiments (M), pkeep, subsets, only_subset and seed are used.
        num_examples: N.

    Returns:
        (M, N) bool, true if the example is in the model's training set.

    Raises:
        InputError: the plan leaves no model in or out, or a model without two examples.
    """
    num_models = config.num_experiments
    num_in = int(config.pkeep * num_models)
    balanced = config.subsets == "balanced"
    if balanced and not 0 < num_in < num_models:
        fail(
            "pkeep", config.pkeep, f"must leave at least one of the {num_models} models in and one out of every example"
        )
    keep = np.empty((num_models, num_examples), bool)
    if balanced:
        rng = np.random.default_rng([config.seed, _PLAN])
        for start in range(0, num_examples, _BLOCK):
            block = keep[:, start : start + _BLOCK]
            block[:] = rng.uniform(size=block.shape).argsort(axis=0) < num_in
    else:
        for index, row in enumerate(keep):
            row[:] = np.random.default_rng([config.seed, _PLAN, index]).uniform(size=num_examples) < config.pkeep
    if config.only_subset is not None:
        keep[:, config.only_subset :] = False
    if keep.sum(axis=1).min() < 2:
        argument = "pkeep" if config.only_subset is None else "only_subset"
        fail(argument, getattr(config, argument), "must give every model at least two examples")
    return keep


def certainly_have(config: PlanConfig, num_examples: int, count: int) -> bool:
    """Returns whether each model has `count` examples or more, by a bound that needs no plan.

    A model's number of examples is a sum of n independent draws with probability p, so Hoeffding's inequality bounds
    the probability that any of the M models has fewer: M exp(-2 (n p - count)^2 / n).

    Args:
        config: as for `membership`.
        num_examples: N.
        count: of examples, at least 1.

    Returns:
        True if fewer examples are out of the question; False if only `membership` can tell, or would refuse the plan.
    """
    num_models = config.num_experiments
    share = model_share(config)
    eligible = min(num_examples, config.only_subset or num_examples)
    beyond = share * eligible - max(count, 2)  # membership refuses models with fewer than two
    return share < 1 and beyond > 0 and num_models * math.exp(-2 * beyond**2 / eligible) < _DOUBT


def nominal_size(config: PlanConfig, num_examples: int) -> int:
    """Examples that a model trains on, by its experiment's settings; single models have some more or fewer."""
    return round(model_share(config) * min(num_examples, config.only_subset or num_examples))


def model_share(config: PlanConfig) -> float:
    """The share of the models that train on an example: in a balanced plan int(pkeep * M) of M, else pkeep.

    Example:
        >>> model_share(PlanConfig(num_experiments=4, pkeep=0.7))
        0.5
    """
    num_models = config.num_experiments
    return config.pkeep if config.subsets == "bernoulli" else int(config.pkeep * num_models) / num_models


def model_seed(seed: int, index: int) -> int:
    """The seed of one model: of its initial weights, the order of its examples and their augmentation."""
    return int(np.random.default_rng([seed, _MODELS, index]).integers(2**31))
