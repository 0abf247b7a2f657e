"""What a user audits who has a Keras model: the function that builds it, and the data."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mia_tf import backend
from mia_tf.config import check_views_fit
from mia_tf.keras_config import KerasConfig
from mia_tf.labels import normalize_labels, ordered_categories
from mia_tf.privacy_config import PrivacyConfig
from mia_tf.quiet import native_messages_held_back
from mia_tf.shadow.outputs import OUTPUTS, check_outputs
from mia_tf.task import Task, error_line
from mia_tf.validation import InputError, as_array, check, check_choice, check_shape, fail, part_of, renamed

if TYPE_CHECKING:
    from mia_tf.training.keras_outputs import Outputs
    from mia_tf.training.keras_trainer import KerasTrainer


class KerasTask(Task):
    """A Keras network of the user's own, to be trained on many subsets of the user's data.

    A compiled model is trained as `fit` would train it, by its own optimizer, loss, layers and `train_step`. But the
    network is compiled once, and the data stay in memory. A model that is not compiled is trained by LiRA's recipe:
    SGD with momentum and LiRA's learning rate.

    Args:
        build: a function without arguments that returns a fresh Keras model. Its output has shape (B, C), or (B, 1) for
            two classes. Its randomness should be Keras', which follows from each model's own seed.
        x: what the model takes: an array (N, ...) of any shape and type, a pandas DataFrame of numbers and booleans, or
            a dict or tuple of such arrays. Text is given as token ids.
        y: N true classes, in the form that the loss needs: whole numbers, or one-hot rows. Strings and booleans become
            whole numbers: those of an ordered pandas Categorical in the order of its categories, of which each is a
            class. They are also the labels of the audit.
        epochs: number of passes over a model's training set.
        batch_size: number of examples per step; with `dp` the expected number.
        augment: for pictures (N, H, W, C): "none"; "mirror", which mirrors half of them at random; or "weak", which
            also shifts them by up to 4 pixels.
        queries: number of views that each example is asked in, at most 162; default 1, or 2 with `augment`.
        dp: a `mia_tf.PrivacyConfig` for training with differential privacy (DP-SGD); None for training without.
        ids, groups, classes: as in `mia_tf.Task`.
        outputs: what the model returns, as in `mia_tf.Task`; None to find out from its last layer. A softmax or sigmoid
            as the last activation is left out when the model is asked, because logits are more exact.

    Attributes:
        note: one sentence about what the model returns.
        Others as in `mia_tf.Task`.

    Raises:
        InputError: an argument has another shape, type or range; or the model cannot be trained privately, in which
            case the message names the layer.

    Example:
        >>> import keras, mia_tf
        >>> from sklearn.datasets import load_digits
        >>> x, y = load_digits(return_X_y=True)
        >>> def build():
        ...     model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, "softmax")])
        ...     model.compile("adam", "sparse_categorical_crossentropy")
        ...     return model
        >>> task = mia_tf.KerasTask(build, x / 16, y, epochs=1)
        >>> task.train_and_predict(np.arange(900), seed=0).shape
        (1797, 1, 10)
    """

    train_and_predict: KerasTrainer

    def __init__(
        self,
        build: Callable,
        x,
        y,
        *,
        epochs: int = KerasConfig.epochs,
        batch_size: int = KerasConfig.batch_size,
        augment: str = KerasConfig.augment,
        queries: int | None = None,
        dp: PrivacyConfig | None = None,
        ids: Sequence | None = None,
        groups: Sequence | None = None,
        classes: Sequence[str] | None = None,
        outputs: str | None = None,
    ):
        check("build", build, callable(build), "must be a function that returns a Keras model")
        views = (1 if augment == "none" else 2) if queries is None else queries
        config = KerasConfig(epochs, batch_size, augment, views, dp)
        backend.name()  # a backend that cannot train is refused before Keras loads it
        check_choice("outputs", outputs, (None, *OUTPUTS))
        classes = ordered_categories(y) if classes is None else classes
        labels, _ = normalize_labels(y, argument="y", classes=classes)
        x = _as_arrays(x, len(labels))
        shape = () if isinstance(x, dict | tuple) else x.shape[1:]
        pictures = len(shape) == 3
        allowed = "must be {}, because x is not one array of pictures (N, H, W, C)"
        check("augment", augment, pictures or augment == "none", allowed.format("none"))
        check("queries", queries, pictures or config.queries == 1, allowed.format(1))
        if pictures:
            check_views_fit(augment, views, shape)
        with native_messages_held_back():
            from mia_tf.training.keras_trainer import KerasTrainer, inspect
        returned, targets, first_answers = inspect(build, x, as_array("y", y), labels, config, outputs)
        _check_answers("build", returned, first_answers)
        trainer = KerasTrainer(build, x, targets, config, outputs)
        super().__init__(trainer, labels=y, ids=ids, groups=groups, classes=classes, outputs=returned.kind)
        fits = returned.units == self.num_classes or (returned.units == 1 and self.num_classes == 2)
        allowed = f"must return a model with {self.num_classes} outputs, one per class"
        check("build", f"a model with {returned.units} outputs", fits, allowed)
        self.note, self._config, self._units, self._x_digest = returned.note, config, returned.units, _digest(x)

    @property
    def x(self) -> np.ndarray | None:
        """The examples as the model takes them, if they are one array (N, ...); else None."""
        x = self.train_and_predict.x
        return x if isinstance(x, np.ndarray) and x.ndim > 1 else None

    @property
    def queries(self) -> int:
        """The number of views Q that each example is asked in."""
        return self._config.queries

    def ask(self, model) -> np.ndarray:
        """Returns what a finished Keras model answers for all examples, as the shadow models are asked.

        Args:
            model: a Keras model that takes `x` and ends as the task's do, such as the one that will be shipped.

        Returns:
            (N, Q, C) float32: `mia_tf.audit(shadows, target=task.ask(model), target_members=mask)` attacks the model.

        Raises:
            InputError: it is no Keras model, or returns something else than the task's models.
        """
        from mia_tf.training.keras_trainer import keras

        check("model", type(model).__name__, isinstance(model, keras.Model), "must be a Keras model")
        try:
            first_answers = self.train_and_predict.first_answers(model)
        except Exception as error:  # whatever Keras raises of an x that is not the model's
            fail("model", model.name, f"must be a model that takes x; it raised {error_line(error)}")
        try:
            outputs = self.train_and_predict.outputs(model, "model")
        except InputError as error:
            raise renamed(error, "model", error.value) from None
        _check_answers("model", outputs, first_answers)
        same = (outputs.kind, outputs.units) == (self.outputs, self._units)
        allowed = f"must return {self._units} outputs, {self.outputs}, as the task's models do"
        check("model", f"{outputs.units} outputs, {outputs.kind}", same, allowed)
        return self.train_and_predict.ask(model)

    def identity(self) -> dict:
        """Returns what tells this task from others in config.json."""
        return {**super().identity(), **self._config.to_dict(), "x_digest": self._x_digest}

    def training(self, num_members: int) -> Callable[[np.ndarray, int], np.ndarray]:
        """Returns what trains a model, for training sets of nominally `num_members` examples."""
        return functools.partial(self.train_and_predict, num_members=num_members)

    def ensemble(self, num_members: int, size: int | None = None, num_models: int | None = None):
        """Returns what trains several models at once on JAX; None if they are trained one at a time."""
        if backend.name() != "jax" or size == 1:
            return None
        from mia_tf.training.keras_ensemble import start_ensemble

        return start_ensemble(self.train_and_predict, num_members, size, num_models)

    def hparams(self, num_members: int) -> dict:
        """Returns the settings of each model that hparams.json holds."""
        promise = self._config.guarantee(num_members)
        return {"dp": True, **promise.to_dict()} if promise else {}

    def statement(self, num_members: int) -> str:
        """Returns what is said before training: what the model returns, and what private training promises."""
        promise = self._config.guarantee(num_members)
        if promise is None:
            return self.note
        from mia_tf.training import accounting

        return f"{self.note}\n{accounting.statement(promise)}"


def _check_answers(argument: str, outputs: Outputs, answers: np.ndarray) -> None:
    """Raises InputError if the answers to a few examples show that a model returns something else than `outputs` says.

    Its last layer may have no activation, and yet pass on the probabilities of the one before.
    """
    if outputs.layer is None and outputs.units > 1:
        part = part_of(argument, "the answers of the model")
        check_outputs([lambda: answers], outputs.units, outputs.kind, part)


def _as_arrays(x, count: int):
    """The arrays of `x` as a model takes them: floats as float32, as `fit` casts them; integers as they are."""
    if isinstance(x, dict):
        return {name: _as_array(part, count) for name, part in x.items()}
    return tuple(_as_array(part, count) for part in x) if isinstance(x, tuple) else _as_array(x, count)


def _as_array(part, count: int) -> np.ndarray:
    array = as_array("x", part)
    kinds = "must be numbers or booleans; give text as token ids"
    check("x", f"dtype {array.dtype}", array.dtype.kind in "fiub", kinds)
    check_shape("x", array, (count, *[None] * max(array.ndim - 1, 0)))
    check("x", "NaN or infinity", array.dtype.kind != "f" or np.isfinite(array).all(), "must be finite")
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _digest(x) -> str:
    """16 hexadecimal digits of the arrays, their names, shapes and types."""
    digest = hashlib.blake2b(digest_size=8)
    named = x if isinstance(x, dict) else dict(enumerate(x if isinstance(x, tuple) else (x,)))
    for name, array in named.items():
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
