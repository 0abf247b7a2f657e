"""The device's half of the ensemble engine: K Keras models at once on JAX, in one compiled step.

Weights, momenta and statistics are stacked over the models. With the same seed, a model has the same initial weights
and sees the same examples in the same order as with the reference engine. Its views and noise are other draws.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mia_tf import models
from mia_tf.config import TrainingConfig
from mia_tf.privacy_guarantee import PrivacyGuarantee
from mia_tf.records import Dataset
from mia_tf.training import schedules, views
from mia_tf.training.convolutions import Fastest, formulate
from mia_tf.training.device_memory import LARGEST_ENSEMBLE, ensemble_size_that_fits
from mia_tf.training.ensemble_step import Data, EnsembleStep, Keys, State, make_answer, make_keys

_INFERENCE_BATCH, _INFERENCE_MODELS = 256, 8
"""Images and models that are asked at once. At most 2 * _INFERENCE_MODELS models' logits are on the host at once."""
_SPARE_DEVIATIONS = 6
"""Room for Poisson-sampled batches above their expected size, in standard deviations; a larger one compiles anew."""
_TRIAL = {"cpu": (2, 32, 4)}
_LARGE_TRIAL = (16, 256, 64)
"""Platform -> models and images that formulations are measured with, and steps that speed is: enough to fill it."""


class Ensemble:
    """Models that a device computes together. Every model has the same data set and configuration.

    Args:
        dataset: the examples.
        config: how to train the models.
        guarantee: the guarantee of private training; None for training without.
        ensemble_size: number of models to train at once; None for as many as fit in the device's memory.
        formulation: of the convolutions, one of `convolutions.FORMULATIONS`; None to measure which is fastest.
        num_models: number of models to train in all; None if that is not known.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: TrainingConfig,
        guarantee: PrivacyGuarantee | None = None,
        ensemble_size: int | None = None,
        formulation: str | None = None,
        num_models: int | None = None,
    ):
        self.config, self.dataset, self.guarantee = config, dataset, guarantee
        shape = dataset.images.shape[1:]
        self._trained, self._asked = (
            models.build(config.arch, shape, dataset.num_classes, seed=0, norm=config.norm, precision=precision)
            for precision in (config.precision, "float32")
        )
        self._data = Data(jnp.asarray(dataset.images), jnp.asarray(dataset.labels, jnp.int32))
        self._test_images = jnp.asarray(dataset.test_images)
        self._step = EnsembleStep(self._trained, config, guarantee)
        self._answer = make_answer(self._asked, _INFERENCE_MODELS)
        self._rows_a_step = self._padded(config.batch)
        # Room for the steps of any epoch of any model, whatever its subset: the epoch is compiled once.
        self._steps = schedules.most_steps_of_an_epoch(config, guarantee, len(dataset.images))
        self._formulation, self.formulations = formulation, None
        self.ensemble_size = ensemble_size or 0  # 0 until it is known
        if not self.ensemble_size:
            most = num_models or LARGEST_ENSEMBLE
            self.ensemble_size = ensemble_size_that_fits(self._lowered, dataset.images.nbytes, most)
        self.set_weights(self._asked.get_weights())

    def formulate(self) -> None:
        """Settles how each layer's convolutions are computed, by a measurement; asking alone needs none."""
        if self.formulations is not None:
            return
        count, batch, _ = _trial()
        # In private training each example of a microbatch has a gradient of its own.
        shares = (self.config.microbatch, 1) if self.guarantee else (1, min(batch, self.config.batch))
        fastest = Fastest(min(count, self.ensemble_size or count), *shares, self.config.precision)
        formulation = self._formulation
        choose = fastest if formulation is None else lambda _: formulation
        formulate(self._asked, choose)
        self.formulations = formulate(self._trained, choose)

    # ---- training

    def initial_state(self, seeds: Sequence[int]) -> State:
        """Fresh models on the device."""
        fresh = [models.initial_weights(self._trained, seed) for seed in seeds]
        weights, statistics = self._split([np.stack(layer) for layer in zip(*fresh, strict=True)])
        zeros = [np.zeros(w.shape, np.float32) for w in weights]
        averages = zeros if self.config.ema else []
        count = len(seeds)
        state = State(weights, zeros, averages, statistics, np.zeros(count, np.int32), np.ones(count, bool))
        return jax.device_put(state)

    def run_epoch(self, state: State, keys: Keys, orders: Sequence, totals: np.ndarray):
        """One epoch of all models: (state, (K,) sums of losses), still being computed; `state` is given away.

        Args:
            state, keys: of K models.
            orders: for each model the rows of each step of its epoch.
            totals: (K,) int, steps of the whole training.
        """
        self.formulate()
        largest = max((len(rows) for order in orders for rows in order), default=0)
        size = max(self._rows_a_step, self._padded(largest, spare=0))
        rows = np.zeros((self._steps, len(orders), size), np.int32)
        counts = np.full((self._steps, len(orders)), -1, np.int32)
        for k, order in enumerate(orders):
            for step, chosen in enumerate(order):
                rows[step, k, : len(chosen)] = chosen
                counts[step, k] = len(chosen)
        return self._step.epoch(state, self._data, keys, rows, counts, np.asarray(totals, np.int32))

    def _padded(self, batch: int, spare: float = _SPARE_DEVIATIONS) -> int:
        """Rows to keep ready for a step: whole microbatches in private training, where sizes vary."""
        if not self.guarantee:
            return batch
        microbatch = self.config.microbatch
        room = spare * batch**0.5 if self.guarantee.sampling == "poisson" else 0
        return -(-int(batch + room) // microbatch) * microbatch

    def _lowered(self, count: int) -> Iterator:
        """What is done with `count` models, ready to be compiled for its need of memory: an epoch, and an answer."""
        self.formulate()
        state, keys = self._shapes(count), make_keys(range(count))
        # Of the shapes that training has: what is compiled here is not compiled again.
        shapes = (self._steps, count, self._rows_a_step), (self._steps, count), (count,)
        yield self._step.epoch.lower(state, self._data, keys, *(jax.ShapeDtypeStruct(s, jnp.int32) for s in shapes))
        images = self._data.images[:_INFERENCE_BATCH]
        rest = np.int32(0), images, np.zeros(2, np.int32), np.bool_(False)
        yield self._answer.lower(state.weights, state.statistics, *rest)

    def _shapes(self, count: int) -> State:
        """Shapes and types of `initial_state`, for which nothing is drawn."""
        weights, statistics = (
            [jax.ShapeDtypeStruct((count, *v.shape), v.dtype) for v in variables] for variables in self._variables()
        )
        steps, running = (jax.ShapeDtypeStruct((count,), dtype) for dtype in (jnp.int32, bool))
        return State(weights, weights, weights if self.config.ema else [], statistics, steps, running)

    def images_per_second(self, seconds: float, compiled: Callable[[], object] = lambda: None) -> float:
        """Training speed of a whole ensemble over at least `seconds`, after one call that compiles and `compiled`."""
        count, rng = self.ensemble_size, np.random.default_rng(0)
        steps = min(_trial()[2], self._steps)
        order = rng.integers(len(self.dataset.images), size=(steps, self.config.batch), dtype=np.int32)
        state, keys, totals = self.initial_state(range(count)), make_keys(range(count)), np.full(count, 10**6)
        started, images = None, 0
        while started is None or time.perf_counter() - started < seconds:
            state, losses = self.run_epoch(state, keys, [order] * count, totals)
            losses.block_until_ready()
            if started is None:
                compiled()
                started = time.perf_counter()
            else:
                images += steps * count * self.config.batch
        return images / (time.perf_counter() - started)

    # ---- asking

    def query(self, queries: int) -> np.ndarray:
        """(N, 1, Q, C) float32 logits that the model whose weights were set last gives to Q views of every example."""
        weights, statistics = self._weights
        (logits,) = self.logits(weights, statistics, queries)
        return logits

    @property
    def weight_shapes(self) -> list[tuple[int, ...]]:
        """The shapes of what `set_weights` takes."""
        return [weight.shape for weight in self._asked.get_weights()]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Takes the weights that a ModelRecord's checkpoint holds."""
        self._weights = jax.device_put(self._split([w[None] for w in weights]))

    def logits(self, weights: Sequence, statistics: Sequence, queries: int) -> Iterator[np.ndarray]:
        """For each of K models (N, 1, Q, C) float32 logits for Q views of every example."""
        for answers in self._answers(weights, statistics, self._data.images, views.query_views(queries)):
            yield answers[:, None]

    def test_logits(self, weights: Sequence, statistics: Sequence) -> Iterator[np.ndarray]:
        """For each of K models (T, C) float32 logits of the test images."""
        for answers in self._answers(weights, statistics, self._test_images, [(0, 0, False)]):
            yield answers[:, 0]

    def _answers(self, weights, statistics, images, queries: list) -> Iterator[np.ndarray]:
        """For each model (n, Q, C) float32 logits of Q views of each image; a few models are asked at once."""
        count = len(weights[0])
        size = min(_INFERENCE_MODELS, count)
        for start in range(0, count, size):
            first = np.int32(min(start, count - size))  # as with the last images
            logits = np.empty((size, len(images), len(queries), self.dataset.num_classes), np.float32)
            for query, view in enumerate(queries):
                self._answer_view(weights, statistics, first, images, view, logits[:, :, query])
            yield from logits[start - first :]

    def _answer_view(self, weights, statistics, first, images, view, out: np.ndarray) -> None:
        """Fills `out`, (some, n, C), with what the models from `first` on say of one view of each image."""
        shift, mirrored = np.array(view[:2], np.int32), np.bool_(view[2])
        size = min(_INFERENCE_BATCH, len(images))
        # The last batch begins earlier where it would be smaller, and would have to be compiled for itself.
        starts = [min(start, len(images) - size) for start in range(0, len(images), size)]
        parts = [self._answer(weights, statistics, first, images[s : s + size], shift, mirrored) for s in starts]
        for start, part in zip(starts, parts, strict=True):
            out[:, start : start + size] = part

    # ---- Keras' order of the weights

    def _split(self, arrays: list) -> tuple[list, list]:
        """Arrays in the order of Keras' weights as those of variables that are trained, and of the others."""
        at = {id(v): a for v, a in zip(self._trained.weights, arrays, strict=True)}
        trained, others = ([at[id(v)] for v in variables] for variables in self._variables())
        return trained, others

    def join(self, weights: list, statistics: list) -> list[np.ndarray]:
        """The arrays in the order of Keras' weights."""
        trained, others = self._variables()
        at = {id(v): np.asarray(a) for v, a in zip([*trained, *others], [*weights, *statistics], strict=True)}
        return [at[id(v)] for v in self._trained.weights]

    def _variables(self) -> tuple[list, list]:
        return self._trained.trainable_variables, self._trained.non_trainable_variables


def _trial() -> tuple[int, int, int]:
    return _TRIAL.get(jax.default_backend(), _LARGE_TRIAL)
