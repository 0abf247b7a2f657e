"""The ensemble engine: K Keras models at once on JAX, in one compiled step.

Weights, momenta and statistics are stacked over the models. From the same seed a model has the same initial weights
and sees the same examples in the same order as with the reference engine; views and noise are drawn anew.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mia_tf import models
from mia_tf.config import TrainingConfig
from mia_tf.records import Dataset, ModelFailure, ModelRecord
from mia_tf.training import accuracy as accuracy_of
from mia_tf.training import schedules, views
from mia_tf.training.accounting import PrivacyGuarantee
from mia_tf.training.convolutions import Fastest, formulate
from mia_tf.training.device_memory import group_size_that_fits
from mia_tf.training.ensemble_step import Data, EnsembleStep, Keys, State, make_answer

_INFERENCE_BATCH = 500
_SPARE_DEVIATIONS = 6
"""Room for Poisson-sampled batches above their expected size, in standard deviations; a larger one compiles anew."""


class EnsembleEngine:
    """Trains groups of models together; every model sees the same data set and configuration.

    Args:
        dataset: the examples.
        config: of the training.
        guarantee: of private training; None for training without.
        group_size: models to train at once; None for as many as the device's memory takes.
        formulation: of the convolutions, one of `convolutions.FORMULATIONS`; None to measure which is fastest.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: TrainingConfig,
        guarantee: PrivacyGuarantee | None = None,
        group_size: int | None = None,
        formulation: str | None = None,
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
        self._answer = make_answer(self._asked)
        self._rows_a_step = self._padded(config.batch)
        self.group_size = group_size or 1
        if group_size is None:
            self.group_size = group_size_that_fits(self._lowered_epoch)
        # In private training each example of a microbatch has a gradient, as if it were a model with a batch of one.
        at_once, batch = (config.privacy.microbatch, 1) if guarantee else (1, config.batch)
        fastest = Fastest(self.group_size * at_once, batch, config.precision)
        for model in (self._trained, self._asked):
            self.formulations = formulate(model, fastest if formulation is None else lambda _: formulation)
        self._weights: list[np.ndarray] = self._asked.get_weights()

    # ---- training

    def train(
        self, members: np.ndarray, seeds: np.ndarray, on_epoch: Callable[[], None] = lambda: None
    ) -> Iterator[ModelRecord | ModelFailure]:
        """Trains one model for each row of `members`, all at once.

        Args:
            members: (K, N) bool, the training set of each model.
            seeds: (K,) int, each model's seed for its initial weights, order, augmentation and noise.
            on_epoch: called after every epoch of all of them.

        Yields:
            For k = 0..K-1 in turn a ModelRecord with index k, or a ModelFailure where the loss ceased to be finite.
        """
        group = _Group(self, np.asarray(members, bool), [int(seed) for seed in seeds])
        yield from group.train(on_epoch)

    def initial_state(self, seeds: Sequence[int]) -> State:
        """Fresh models on the device."""
        fresh = [models.initial_weights(self._trained, seed) for seed in seeds]
        weights, statistics = self._split([np.stack(layer) for layer in zip(*fresh, strict=True)])
        zeros = [np.zeros(w.shape, np.float32) for w in weights]
        averages = zeros if self.config.ema else []
        count = len(seeds)
        state = State(weights, zeros, averages, statistics, np.zeros(count, np.int32), np.ones(count, bool))
        return jax.device_put(state)

    def run_epoch(self, state: State, keys: Keys, orders: list, totals: np.ndarray, steps: int):
        """One epoch of all models: (state, (K,) sums of losses), still being computed; `state` is given away.

        Args:
            state, keys: of K models.
            orders: for each model the rows of each step of its epoch.
            totals: (K,) int, steps of the whole training.
            steps: at least those of any model in any epoch, so that all epochs are compiled once.
        """
        largest = max((len(rows) for order in orders for rows in order), default=0)
        size = max(self._rows_a_step, self._padded(largest, spare=0))
        rows = np.zeros((steps, len(orders), size), np.int32)
        counts = np.full((steps, len(orders)), -1, np.int32)
        for k, order in enumerate(orders):
            for step, chosen in enumerate(order):
                rows[step, k, : len(chosen)] = chosen
                counts[step, k] = len(chosen)
        return self._step.epoch(state, self._data, keys, rows, counts, np.asarray(totals, np.int32))

    def _padded(self, batch: int, spare: float = _SPARE_DEVIATIONS) -> int:
        """Rows to keep ready for a step: whole microbatches in private training, where sizes vary."""
        if not self.guarantee:
            return batch
        microbatch = self.config.privacy.microbatch
        room = spare * batch**0.5 if self.guarantee.sampling == "poisson" else 0
        return -(-int(batch + room) // microbatch) * microbatch

    def _lowered_epoch(self, count: int):
        """The epoch of `count` models, ready to be compiled, for its need of memory."""
        state = jax.eval_shape(lambda: self.initial_state([0] * count))
        keys = jax.eval_shape(lambda: make_keys([0] * count))
        rows = jax.ShapeDtypeStruct((1, count, self._rows_a_step), jnp.int32)
        counts, totals = (jax.ShapeDtypeStruct(shape, jnp.int32) for shape in ((1, count), (count,)))
        return self._step.epoch.lower(state, self._data, keys, rows, counts, totals)

    def images_per_second(self, seconds: float) -> float:
        """Training speed of a whole group over at least `seconds`, after one call that compiles."""
        count, steps = self.group_size, 4 if jax.default_backend() == "cpu" else 64
        rng = np.random.default_rng(0)
        order = rng.integers(len(self.dataset.images), size=(steps, self.config.batch), dtype=np.int32)
        state, keys, totals = self.initial_state(range(count)), make_keys(range(count)), np.full(count, 10**6)
        started, images = None, 0
        while started is None or time.perf_counter() - started < seconds:
            state, losses = self.run_epoch(state, keys, [order] * count, totals, steps)
            losses.block_until_ready()
            if started is None:
                started = time.perf_counter()
            else:
                images += steps * count * self.config.batch
        return images / (time.perf_counter() - started)

    # ---- asking

    def query(self, queries: int) -> np.ndarray:
        """(N, 1, Q, C) float32 logits that the model whose weights were set last gives to Q views of every example."""
        (logits,) = self.logits(*self._split([w[None] for w in self._weights]), queries)
        return logits

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Takes the weights that a ModelRecord's checkpoint holds."""
        self._weights = weights

    def logits(self, weights: list, statistics: list, queries: int) -> np.ndarray:
        """(K, N, 1, Q, C) float32 logits of K models for Q views of every example."""
        answers = [self._answers(weights, statistics, self._data.images, view) for view in views.query_views(queries)]
        return np.stack(answers, axis=2)[:, :, None]

    def test_logits(self, weights: list, statistics: list) -> np.ndarray:
        """(K, T, C) float32 logits of the test images."""
        return self._answers(weights, statistics, self._test_images, (0, 0, False))

    def _answers(self, weights, statistics, images, view) -> np.ndarray:
        """(K, n, C) float32 logits of one view of each image."""
        shift, mirrored = np.array(view[:2], np.int32), np.bool_(view[2])
        parts = [
            self._answer(weights, statistics, images[start : start + _INFERENCE_BATCH], shift, mirrored)
            for start in range(0, len(images), _INFERENCE_BATCH)
        ]
        return np.concatenate([np.asarray(part) for part in parts], axis=1)

    # ---- Keras' order of the weights

    def _split(self, arrays: list) -> tuple[list, list]:
        """Arrays in the order of Keras' weights as those of variables that are trained, and of the others."""
        at = {id(v): a for v, a in zip(self._trained.weights, arrays, strict=True)}
        return tuple([at[id(v)] for v in variables] for variables in self._variables())

    def join(self, weights: list, statistics: list) -> list[np.ndarray]:
        """The arrays in the order of Keras' weights."""
        trained, others = self._variables()
        at = {id(v): np.asarray(a) for v, a in zip([*trained, *others], [*weights, *statistics], strict=True)}
        return [at[id(v)] for v in self._trained.weights]

    def _variables(self) -> tuple[list, list]:
        return self._trained.trainable_variables, self._trained.non_trainable_variables


def make_keys(seeds: Sequence[int]) -> Keys:
    """Random keys that follow from the models' seeds."""

    def draw(stream: int):
        words = [np.random.default_rng([seed, stream]).integers(2**32, size=2, dtype=np.uint32) for seed in seeds]
        return jax.random.wrap_key_data(np.stack(words), impl="threefry2x32")

    return Keys(draw(schedules.AUGMENTATION), draw(schedules.NOISE))


class _Group:
    """One group of models from their first step to their records."""

    def __init__(self, engine: EnsembleEngine, members: np.ndarray, seeds: list[int]):
        self.engine, self.config, self.dataset = engine, engine.config, engine.dataset
        self.members, self.seeds = members, seeds
        self.rows = [np.flatnonzero(keep) for keep in members]
        self.totals = np.array([schedules.num_steps(self.config, engine.guarantee, len(rows)) for rows in self.rows])
        count = len(seeds)
        self.history: list[list[dict]] = [[] for _ in seeds]
        self.checkpoints: list[dict] = [{} for _ in seeds]
        self.epochs = np.zeros(count, int)  # trained, of each model
        self.best_epochs, self.best_accuracies = np.zeros(count, int), np.full(count, -1.0)

    def train(self, on_epoch: Callable[[], None]) -> Iterator[ModelRecord | ModelFailure]:
        started = time.perf_counter()
        engine, config = self.engine, self.config
        state, keys = engine.initial_state(self.seeds), make_keys(self.seeds)
        orders = zip(
            *(
                schedules.orders(config, engine.guarantee, rows, seed)
                for rows, seed in zip(self.rows, self.seeds, strict=True)
            ),
            strict=True,
        )
        steps = -(-int(self.totals.max()) // config.epochs)
        failed = np.zeros(len(self.seeds), bool)
        order = next(orders, None)
        while order is not None:
            running = np.asarray(state.running)
            state, losses = engine.run_epoch(state, keys, order, self.totals, steps)
            following = next(orders, None)  # drawn while the device is at work
            failed |= running & ~np.asarray(state.running)
            self._record_epoch(running & ~failed, np.asarray(losses), [len(part) for part in order])
            stopped = self._look(state, running & ~failed)
            state = state._replace(running=state.running & jnp.asarray(~stopped))
            on_epoch()
            order = following if np.asarray(state.running).any() else None
        # Every model's share of the time.
        yield from self._records(state, failed, (time.perf_counter() - started) / len(self.seeds))

    def _record_epoch(self, running, losses, lengths) -> None:
        self.epochs[running] += 1
        for k in np.flatnonzero(running):
            self.history[k].append({"epoch": int(self.epochs[k]), "loss": float(losses[k]) / max(lengths[k], 1)})

    def _look(self, state: State, running: np.ndarray) -> np.ndarray:
        """Keeps checkpoints and measures test accuracies where it is time; (K,) bool, who stops early."""
        config, stopped = self.config, np.zeros(len(self.seeds), bool)
        if not running.any():
            return stopped
        epoch = int(self.epochs[running].max())
        if config.save_steps and epoch % config.save_steps == 0:
            for k in np.flatnonzero(running):
                self.checkpoints[k][epoch] = self._weights_of(state, k)
        if config.eval_steps and epoch % config.eval_steps == 0:
            for k, found in enumerate(self._test_accuracies(state)):
                if not running[k]:
                    continue
                self.history[k][-1] |= found
                accuracy = found.get("test_accuracy_all", 0.0)
                if accuracy > self.best_accuracies[k]:
                    self.best_accuracies[k], self.best_epochs[k] = accuracy, epoch
                elif config.patience is not None and epoch > self.best_epochs[k] + config.patience:
                    stopped[k] = True
        return stopped

    def _weights_of(self, state: State, k: int) -> list[np.ndarray]:
        return self.engine.join([w[k] for w in state.weights], [s[k] for s in state.statistics])

    def _test_accuracies(self, state: State) -> list[dict[str, float]]:
        """Of each model, on each group's test images, with the averaged weights where there are any."""
        if not len(self.dataset.test_images):
            return [{} for _ in self.seeds]
        weights = state.weights
        if self.config.ema:
            # Begun at zero and divided by 1 - ema^t when used: LiRA's debiased average.
            correction = 1 - self.config.ema ** jnp.maximum(state.steps, 1)
            weights = [a / correction.reshape(-1, *[1] * (a.ndim - 1)) for a in state.averages]
        answers = self.engine.test_logits(weights, state.statistics).argmax(axis=2)
        return [
            accuracy_of.by_group("test_accuracy", answer == self.dataset.test_labels, self.dataset.test_groups)
            for answer in answers
        ]

    def _records(self, state: State, failed: np.ndarray, seconds: float) -> Iterator[ModelRecord | ModelFailure]:
        config, steps = self.config, np.asarray(state.steps)
        logits = self.engine.logits(state.weights, state.statistics, config.queries)
        tested = self._test_accuracies(state)
        for k, (keep, seed) in enumerate(zip(self.members, self.seeds, strict=True)):
            total = int(self.totals[k])
            if failed[k]:
                yield ModelFailure(k, self._reason(int(steps[k]), total))
                continue
            if not np.isfinite(logits[k]).all():
                yield ModelFailure(k, f"its logits were not finite after step {steps[k]} of {total}")
                continue
            epoch = int(self.epochs[k])
            if config.keep_ckpt:
                self.checkpoints[k][epoch] = self._weights_of(state, k)
            accuracies = accuracy_of.on_pool(logits[k, :, 0, 0], self.dataset, keep)
            metrics = {
                **accuracies,
                **tested[k],
                "at_chance": accuracy_of.is_at_chance(accuracies["train_accuracy_all"], self.dataset.labels[keep]),
                "num_members": int(keep.sum()),
                "steps": int(steps[k]),
                "train_seconds": seconds,
                "images_per_second": int(steps[k]) * config.batch / seconds,
                "group_size": len(self.seeds),
                "history": self.history[k],
            }
            promised = self.engine.guarantee.to_dict() if self.engine.guarantee else {}
            hparams = {**config.to_dict(), **promised, "seed": seed}
            yield ModelRecord(k, keep, logits[k], epoch, hparams, metrics, self.checkpoints[k])

    def _reason(self, steps: int, total: int) -> str:
        rate = float(schedules.lira_learning_rate(self.config.lr, self.config.warmup, jnp.float32(steps / total)))
        epoch = steps * self.config.epochs // total + 1
        return f"the loss was not finite at step {steps + 1} of {total} (epoch {epoch}), learning rate {rate:.3g}"
