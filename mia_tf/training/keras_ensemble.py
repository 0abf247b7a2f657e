"""Trains several models of a user's Keras network at once on JAX, from their initial weights to their answers."""

import math
from collections.abc import Iterator, Sequence
from typing import cast

import jax
import keras
import numpy as np

from mia_tf.task import error_line, say_one_at_a_time
from mia_tf.training import schedules, views
from mia_tf.training.device_memory import ensemble_size_that_fits
from mia_tf.training.keras_ensemble_jax import KerasEnsembleSteps, PrivateKerasEnsembleSteps
from mia_tf.training.keras_steps_jax import JaxSteps
from mia_tf.training.keras_trainer import KerasTrainer

_CPU_ENSEMBLE, _SMALL = 8, 50_000
"""Models at once on a CPU, and most weights of a network for it: beyond that a step is no longer mostly overhead."""


class KerasEnsemble:
    """Trains models of one network, K at once. Each answers as if it were trained alone, up to rounding.

    Args:
        trainer: what trains one model.
        num_members: nominal size of all models' training sets.
        size: number of models to train at once; None for as many as are faster and fit in the device's memory.
        num_models: number of models to train in all; None if that is not known.

    Attributes:
        size: number of models to train at once.
    """

    def __init__(self, trainer: KerasTrainer, num_members: int, size: int | None, num_models: int | None):
        self._trainer, self._promise = trainer, trainer.config.guarantee(num_members)
        # Only JAX trains several models at once.
        one = self._one = cast(JaxSteps, trainer.prepared(0, num_members, self._promise))
        batch, steps = trainer.config.batch_size, PrivateKerasEnsembleSteps if self._promise else KerasEnsembleSteps
        self._steps = steps(one, batch, -(-len(trainer.targets) // batch))
        if size is None:
            data_bytes = sum(array.nbytes for array in jax.tree.leaves(one.data))
            on_cpu = _CPU_ENSEMBLE if _is_small(one.model) else 1
            size = ensemble_size_that_fits(self._steps.lowered, data_bytes, num_models or _CPU_ENSEMBLE, on_cpu)
        if size > 1:
            for _ in self._steps.lowered(2):  # raises here whatever cannot be mapped over models
                pass
        self.size = size

    def train(self, rows: Sequence[np.ndarray], seeds: Sequence[int]) -> Iterator[np.ndarray | Exception]:
        """Trains one model per training set, all at once.

        Args:
            rows: for each model (n,) int64, its training set.
            seeds: K, as KerasTrainer takes them.

        Returns:
            For each model in turn its answers, (N, Q, C) float32, or the error that its training ended with.
        """
        outcomes, states = dict.fromkeys(range(len(seeds))), {}
        for k, (some, seed) in enumerate(zip(rows, seeds, strict=True)):
            try:
                states[k] = cast(JaxSteps, self._trainer.prepared(seed, len(some), self._promise)).state
            except (Exception, SystemExit) as error:  # whatever a user's `build` raises, it costs this model alone
                outcomes[k] = error
        if states:
            self._train(list(states.values()), {k: (rows[k], seeds[k]) for k in states}, outcomes)
        return self._answers(list(states), outcomes)

    def _train(self, states: list, models: dict[int, tuple], outcomes: dict) -> None:
        """Trains the models that could be built; sets the outcome of those whose loss is no longer finite."""
        self._steps.reset(states, [seed for _, seed in models.values()])
        draws = [np.random.default_rng([seed, schedules.AUGMENTATION]) for _, seed in models.values()]
        orders = [self._trainer.batches(np.asarray(r, np.int32), s, self._promise) for r, s in models.values()]
        for epoch, batches in enumerate(zip(*orders, strict=True), 1):
            losses = self._steps.epoch(list(batches), draws)
            for k, loss in zip(models, losses, strict=True):
                if outcomes[k] is None and not math.isfinite(loss):
                    outcomes[k] = self._trainer.not_finite(epoch)
            if all(outcomes[k] is not None for k in models):
                return

    def _answers(self, trained: list[int], outcomes: dict) -> Iterator[np.ndarray | Exception]:
        for k, outcome in outcomes.items():
            yield self._answer(trained.index(k)) if outcome is None else outcome

    def _answer(self, position: int) -> np.ndarray | Exception:
        """The answers of one of the models that were trained, or the error that its network raised."""
        try:
            self._one.state = list(self._steps.state_of(position))
            self._one.finish()
            return self._one.answers(views.query_views(self._trainer.config.queries))
        except Exception as error:  # of a layer of the user's, or no memory is left: it costs this model alone
            return error


def start_ensemble(
    trainer: KerasTrainer, num_members: int, size: int | None, num_models: int | None
) -> KerasEnsemble | None:
    """Returns what trains several models at once; None if they are better trained one at a time.

    If the network cannot be mapped over models, a line on stderr says why. The arguments are KerasEnsemble's.
    """
    try:
        ensemble = KerasEnsemble(trainer, num_members, size, num_models)
    except Exception as error:  # of a layer, loss or `train_step` of the user's
        say_one_at_a_time(error_line(error))
        return None
    return ensemble if ensemble.size > 1 else None


def _is_small(model: keras.Model) -> bool:
    """Whether several models at once are faster on a CPU: few weights, and neither convolutions nor recurrence.

    Measured in `experiments/results/benchmarks/README.md`: XLA computes convolutions of several models slowly there.
    """
    layers = model._flatten_layers(include_self=False)
    flat = all(len(weight.shape) <= 2 for weight in model.trainable_variables)
    return flat and model.count_params() <= _SMALL and not any(isinstance(layer, keras.layers.RNN) for layer in layers)
