"""What a user's Keras model returns: logits, probabilities, or one logit of two classes."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from mia_tf.validation import check, fail


@dataclass(frozen=True)
class Outputs:
    """What a model returns, and how to ask for it.

    Attributes:
        kind: "logits", "probabilities" or "sigmoid" (the logit of the second of two classes).
        units: number of outputs.
        note: one sentence that says so.
        layer: the layer whose activation is left out when the model is asked, because logits are exact even if
            probabilities round to 0 and 1; None if the model is asked as it is.
    """

    kind: str
    units: int
    note: str
    layer: Any = field(default=None, repr=False)

    @contextlib.contextmanager
    def exact(self) -> Iterator[None]:
        """Leaves out the activation of the layer while a function that asks the model is traced."""
        if self.layer is None:
            yield
            return
        activation, self.layer.activation = self.layer.activation, keras.activations.linear
        try:
            yield
        finally:
            self.layer.activation = activation


def outputs_of(model: keras.Model, units: int, kind: str | None = None, argument: str = "build") -> Outputs:
    """Returns what a model returns, from its last layer; or, if that cannot be known, from its compiled loss.

    Args:
        model: a built model with one output of shape (B, units).
        units: number of outputs.
        kind: "logits", "probabilities" or "sigmoid", from the user; None to find out.
        argument: the parameter that gave the model, which an InputError about its last layer names.

    Raises:
        InputError: the activation of the last layer is none of softmax, one sigmoid or linear; or nothing tells what
            a subclassed model returns; or the kind does not fit the number of outputs.
    """
    if kind is not None:
        fits = units == 1 if kind == "sigmoid" else units > 1 or kind == "probabilities"
        check("outputs", kind, fits, f"must fit the {units} outputs of the model")
        return Outputs(kind, units, f"The model returns {kind}, as stated.")
    layer = _last_layer(model)
    if layer is None:
        return _by_loss(model, units)
    if isinstance(layer, keras.layers.Softmax) or type(layer).__name__ in ("Softmax", "Sigmoid"):
        return Outputs("probabilities", units, f"The model returns probabilities, of {layer.name}.")
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", str(activation))
    if isinstance(layer, _ACTIVATIONS):
        name = type(layer).__name__
    elif activation is None or activation is keras.activations.linear:
        _check_no_regression(model)
        kind = "logits" if units > 1 else "sigmoid"
        return Outputs(kind, units, f"The model returns {_WORDS[kind]}: {layer.name} has no activation.")
    fitting, kind = ("softmax", "logits") if units > 1 else ("sigmoid", "sigmoid")
    if activation is getattr(keras.activations, fitting):
        if _uses(model, layer) > 1:  # the network would lose the activation in its middle too
            return Outputs("probabilities", units, f"The model returns probabilities: {layer.name} is used repeatedly.")
        left_out = f"The model is asked for {_WORDS[kind]}: the {name} of {layer.name} is left out."
        return Outputs(kind, units, left_out, layer)
    allowed = (
        "must return a model whose last layer has no activation, or a softmax, or one output with a sigmoid; "
        "or give `outputs`"
    )
    if argument != "build":
        allowed = "must be a model that ends as the task's models do"
    return fail(argument, f"a model whose last layer {layer.name} has {units} outputs and activation {name}", allowed)


_ACTIVATIONS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU, keras.layers.PReLU)
"""Layers that are an activation and have none of that name."""
_WORDS = {"logits": "logits", "sigmoid": "the logit of the second class"}


def _last_layer(model: keras.Model):
    """The layer or operation that computes the output; None if the model has no graph, as a subclassed model."""
    operation = model
    while isinstance(operation, keras.Model):
        outputs = getattr(operation, "outputs", None)
        history = getattr(outputs[0], "_keras_history", None) if outputs else None
        if history is None:
            return None
        operation = history.operation
    return operation


def _uses(model: keras.Model, layer: keras.layers.Layer) -> int:
    """How often a layer is called in the graph of a model and of the models in it."""
    graph = getattr(model, "_functional", model)  # a Sequential holds its graph
    operations = [node.operation for nodes in getattr(graph, "_nodes_by_depth", {}).values() for node in nodes]
    inner = (operation for operation in operations if isinstance(operation, keras.Model))
    return sum(operation is layer for operation in operations) + sum(_uses(part, layer) for part in inner)


def _check_no_regression(model: keras.Model) -> None:
    """Raises InputError if a model without a last activation was compiled with a loss of regression."""
    loss = model.loss if model.compiled else None
    loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    name = getattr(loss, "name", getattr(loss, "__name__", ""))
    if name in _REGRESSION:
        fail("outputs", None, f"must be given, because the loss {name} does not make the outputs logits")


_REGRESSION = (
    *("mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error"),
    *("huber", "huber_loss", "log_cosh", "cosine_similarity"),
)
"""Losses for which outputs are numbers to be met."""


def _by_loss(model: keras.Model, units: int) -> Outputs:
    loss = model.loss if model.compiled else None
    loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    settings = loss.get_config() if loss is not None and isinstance(loss, keras.losses.Loss) else None
    from_logits = settings and settings.get("from_logits")
    if from_logits is None:
        fail("outputs", None, "must be given, because neither the last layer nor the loss of a subclassed model tells")
    kind = "probabilities" if not from_logits else "logits" if units > 1 else "sigmoid"
    return Outputs(kind, units, f"The model returns {_WORDS.get(kind, kind)}: its loss says so.")


def cross_entropy(outputs: Outputs) -> keras.losses.Loss:
    """Returns the loss of a model that is not compiled, for labels in [0, C)."""
    from_logits = outputs.layer is None and outputs.kind != "probabilities"
    of_classes = keras.losses.BinaryCrossentropy if outputs.units == 1 else keras.losses.SparseCategoricalCrossentropy
    return of_classes(from_logits=from_logits)
