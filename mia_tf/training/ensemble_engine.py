"""The ensemble engine: trains an ensemble of models at once on JAX, from their initial weights to their records."""

import functools
import time
from collections.abc import Callable, Iterator

import jax.numpy as jnp
import numpy as np

from mia_tf.records import ModelFailure, ModelRecord
from mia_tf.training.course import Course, Predictions, Weights
from mia_tf.training.ensemble import Ensemble
from mia_tf.training.ensemble_step import State, averaged_weights, make_keys


class EnsembleEngine(Ensemble):
    """Trains ensembles: several models together. Every model has the same data set and configuration."""

    def train(
        self, members: np.ndarray, seeds: np.ndarray, on_epoch: Callable[[], None] = lambda: None
    ) -> Iterator[ModelRecord | ModelFailure]:
        """Trains one model per row of `members`, all at once.

        Args:
            members: (K, N) bool, the training set of each model.
            seeds: (K,) int, each model's seed for its initial weights, order, augmentation and noise.
            on_epoch: called after every epoch of the ensemble.

        Yields:
            For k = 0..K-1 in turn a ModelRecord with index k, or a ModelFailure if the loss was not finite.
        """
        started = time.perf_counter()
        courses = [
            Course(k, keep, seed, self.dataset, self.config, self.guarantee)
            for k, (keep, seed) in enumerate(zip(members, seeds, strict=True))
        ]
        drawn, totals = [course.seed for course in courses], np.array([course.total_steps for course in courses])
        state, keys = self.initial_state(drawn), make_keys(drawn)
        orders = zip(*(course.orders for course in courses), strict=True)
        order = next(orders, None)
        while order is not None:
            state, losses = self.run_epoch(state, keys, order, totals)
            following = next(orders, None)  # drawn while the device computes
            steps, losses, model = np.asarray(state.steps), np.asarray(losses), self._snapshot(state)
            for k, course in enumerate(courses):
                if course.running:
                    course.end_epoch(float(losses[k]), int(steps[k]) - course.steps, len(order[k]), *model(k))
            state = state._replace(running=jnp.array([course.running for course in courses]))
            on_epoch()
            order = following if any(course.running for course in courses) else None
        seconds = (time.perf_counter() - started) / len(courses)  # each model's share
        answers, model = self.logits(state.weights, state.statistics, self.config.queries), self._snapshot(state)
        for k, (course, logits) in enumerate(zip(courses, answers, strict=True)):
            yield course.failure or course.finish(logits, seconds, *model(k), ensemble_size=len(courses), backend="jax")

    def _snapshot(self, state: State) -> Callable[[int], tuple[Weights, Predictions]]:
        """Returns a function k -> the weights and the predictions of model k. It is valid as long as `state` is.

        The weights of all models leave the device when those of the first are needed; so do the predictions.
        """

        @functools.cache
        def weights():
            host = [[np.array(a) for a in arrays] for arrays in (state.weights, state.statistics)]
            return [self.join(*([a[k] for a in arrays] for arrays in host)) for k in range(len(state.steps))]

        @functools.cache
        def predictions():
            averages = averaged_weights(state, self.config.ema) if self.config.ema else state.weights
            return [logits.argmax(axis=1) for logits in self.test_logits(averages, state.statistics)]

        return lambda k: (lambda: weights()[k], lambda: predictions()[k])
