"""Trains a user's Keras model again and again: the network is compiled once, and its weights are drawn anew."""

import math
from collections.abc import Callable, Iterator

import keras
import numpy as np

from mia_tf.keras_config import KerasConfig
from mia_tf.privacy_guarantee import PrivacyGuarantee
from mia_tf.task import error_line
from mia_tf.training import schedules, views
from mia_tf.training.keras_outputs import Outputs, cross_entropy, outputs_of
from mia_tf.training.lira_optimizer import LiraOptimizer
from mia_tf.training.private_checks import check_layers, check_private, functional
from mia_tf.validation import InputError, check, fail

_SEEDS = 2**32  # how many Keras tells apart


class KerasTrainer:
    """Trains models of one network, one after another, in one process.

    Args:
        build: returns the model, compiled or not.
        x: an array, or a dict or tuple of arrays, each (N, ...).
        targets: (N, ...), what the loss compares the outputs with.
        config: how to train.
        kind: what the model returns, as `mia_tf.training.keras_outputs` names it; None to find out.
    """

    def __init__(self, build: Callable, x, targets: np.ndarray, config: KerasConfig, kind: str | None = None):
        self.__wrapped__ = build  # the function whose file and name are the task's
        self.x, self.targets, self.config, self._kind = x, targets, config, kind
        self._steps = self._promise = None  # what is compiled, and the guarantee that it keeps

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_steps": None, "_promise": None}  # what is compiled stays in its process

    def __call__(self, rows: np.ndarray, seed: int, num_members: int | None = None) -> np.ndarray:
        """Trains a fresh model on some rows, as `fit` would, and returns its answers.

        Args:
            rows: (n,) int64, the training set.
            seed: of the initial weights, the order of the examples, dropout, augmentation and noise.
            num_members: nominal size of all models' training sets, which a guarantee is of; None for n.

        Returns:
            (N, Q, C) float32.

        Raises:
            FloatingPointError: the loss is no longer finite.
        """
        config = self.config
        promise = config.guarantee(num_members or len(rows))
        steps = self.prepared(seed, len(rows), promise)
        draws = np.random.default_rng([seed, schedules.AUGMENTATION])
        for epoch, batches in enumerate(self.batches(np.asarray(rows, np.int32), seed, promise), 1):
            loss = steps.epoch(batches, draws)
            if not math.isfinite(loss):
                raise self.not_finite(epoch)
        steps.finish()
        return steps.answers(views.query_views(config.queries))

    def not_finite(self, epoch: int) -> FloatingPointError:
        """Returns the error of a model whose loss is no longer finite."""
        return FloatingPointError(f"the loss was not finite in epoch {epoch} of {self.config.epochs}")

    def prepared(self, seed: int, num_rows: int, promise: PrivacyGuarantee | None):
        """Returns the compiled steps, which have the state of a fresh model.

        Args:
            seed: the model's.
            num_rows: size of its training set.
            promise: the guarantee of private training; None for training without.
        """
        as_fit = self.config.epochs * math.ceil(num_rows / self.config.batch_size)
        model = self.fresh(seed, promise.steps if promise else as_fit)
        if self._steps is None or promise != self._promise:
            self._build_metrics(model)
            self._steps, self._promise = self._make_steps(model, promise), promise
        self._steps.reset(model, seed)
        return self._steps

    def ask(self, model: keras.Model) -> np.ndarray:
        """Returns the answers of a finished model of the network to the same views, (N, Q, C) float32."""
        if not model.built:
            model(self.first())
        return self._make_steps(model, None).answers(views.query_views(self.config.queries))

    def fresh(self, seed: int, total_steps: int = 1) -> keras.Model:
        """Returns a new model, built and compiled, whose weights follow from the seed."""
        keras.utils.set_random_seed(seed % _SEEDS)
        model = self.__wrapped__()
        if not model.built:
            model(self.first())
        if not model.compiled:
            optimizer = LiraOptimizer(total_steps, private=self.config.dp is not None)
            model.compile(optimizer, cross_entropy(self.outputs(model)))
        model.optimizer.build(model.trainable_variables)
        return model

    def first(self):
        """The first two examples, as tensors."""
        return keras.tree.map_structure(lambda array: keras.ops.convert_to_tensor(array[:2]), self.x)

    def outputs(self, model: keras.Model, argument: str = "build") -> Outputs:
        """Returns what a model of this network returns. An InputError names `argument`, which gave the model."""
        answers = model(self.first())
        one = f"must {'return' if argument == 'build' else 'be'} a model with one output, of shape (B, C)"
        check(argument, f"{type(answers).__name__} of outputs", hasattr(answers, "shape"), one)
        shape = tuple(answers.shape)
        check(argument, f"output of shape {shape}", len(shape) == 2, one)
        return outputs_of(model, shape[1], self._kind, argument)

    def first_answers(self, model: keras.Model) -> np.ndarray:
        """Returns the model's answers, as it ends, to the first two examples."""
        return keras.ops.convert_to_numpy(model(self.first()))

    def _build_metrics(self, model: keras.Model) -> None:
        """Makes the variables of the loss and of the metrics, which cannot be made within a compiled step."""
        x, y = self.first(), keras.ops.convert_to_tensor(self.targets[:2])
        predictions = model(x)
        model.compute_loss(x=x, y=y, y_pred=predictions)
        model.compute_metrics(x, y, predictions)

    def _make_steps(self, model: keras.Model, promise: PrivacyGuarantee | None):
        """What computes steps and answers on this backend."""
        arguments = model, self.x, self.targets, self.config.augment, self.outputs(model)
        if _on_jax():
            if promise is not None and self.config.dp is not None:
                from mia_tf.training.keras_private_jax import JaxPrivateSteps

                return JaxPrivateSteps(*arguments, promise, self.config.dp.microbatch)
            from mia_tf.training.keras_steps_jax import JaxSteps

            return JaxSteps(*arguments)
        if promise is None or self.config.dp is None:
            from mia_tf.training.keras_steps import TensorFlowSteps

            return TensorFlowSteps(*arguments)
        from mia_tf.training.keras_private import PrivateSteps

        return PrivateSteps(*arguments, promise, self.config.dp.microbatch)

    def batches(self, rows: np.ndarray, seed: int, promise: PrivacyGuarantee | None) -> Iterator[list[np.ndarray]]:
        """For each epoch the rows of each step: as `fit` takes them, the last step the rest; or as the guarantee says.

        Args:
            rows: (n,) int32, the training set.
        """
        rng, size, epochs = np.random.default_rng([seed, schedules.ORDER]), self.config.batch_size, self.config.epochs
        if promise and promise.sampling == "poisson":
            yield from schedules.poisson_order(rows, promise.sampling_rate, epochs, promise.steps, rng)
        elif promise:
            yield from map(list, schedules.example_order(rows, size, epochs, promise.steps, rng))
        else:
            for _ in range(epochs):
                order = rng.permutation(rows)
                yield [order[start : start + size] for start in range(0, len(order), size)]


def inspect(
    build: Callable, x, y: np.ndarray, labels: np.ndarray, config: KerasConfig, kind: str | None
) -> tuple[Outputs, np.ndarray, np.ndarray]:
    """Builds one model, and checks that it can be trained as configured.

    Args:
        build, x, config, kind: as KerasTrainer takes them.
        y: (N, ...), the classes as the user gives them.
        labels: (N,) int64, the same classes as numbers.

    Returns:
        What the model returns, what its loss compares that with, and its answers to the first two examples.

    Raises:
        InputError: `build` raises an error, or returns something else than a model that can be trained.
    """
    try:
        first = build()
    except Exception as error:  # whatever a user's code raises
        fail("build", getattr(build, "__name__", build), f"must return a Keras model; it raised {error_line(error)}")
    check("build", type(first).__name__, isinstance(first, keras.Model), "must return a Keras model")
    allowed = "must return a model that is compiled with a loss and an optimizer, or not compiled"
    compiled = not first.compiled or (first.loss is not None and first.optimizer is not None)
    check("build", "a model compiled without one of them", compiled, allowed)
    trainer = KerasTrainer(build, x, labels, config, kind)
    try:
        model = trainer.fresh(seed=0)
        outputs = trainer.outputs(model)
        first_answers = trainer.first_answers(model)
    except InputError:
        raise
    except Exception as error:
        fail(
            "build",
            getattr(build, "__name__", build),
            f"must return a model that takes x; it raised {error_line(error)}",
        )
    if config.dp is not None:
        check_private(model, outputs)
        check_layers(model, x, outputs)
        if not _on_jax():
            from mia_tf.training.norm_rules import check_float32, check_supported

            check_supported(functional(model))
            check_float32(model)
    # Each model would go on from where the one before stopped, and remember what that was trained on.
    shared = {id(weight) for weight in first.trainable_variables} & {id(weight) for weight in model.trainable_variables}
    anew = "must return a new model each time"
    check("build", "a model that shares weights with the one before", not shared, anew)
    same = first.compiled and first.optimizer is model.optimizer
    check("build", "a model that shares its optimizer with the one before", not same, anew)
    as_given = y.dtype.kind in "fiu" and not isinstance(model.optimizer, LiraOptimizer)
    targets = y if as_given else labels
    targets = targets.astype(np.float32) if targets.dtype == np.float64 else targets
    try:
        KerasTrainer(build, x, targets, config, kind)._build_metrics(model)
    except Exception as error:
        allowed = f"must return a model whose loss and metrics take y; it raised {error_line(error)}"
        fail("build", getattr(build, "__name__", build), allowed)
    return outputs, targets, first_answers


def _on_jax() -> bool:
    return keras.backend.backend() == "jax"
