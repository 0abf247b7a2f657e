"""What DP-SGD cannot train, whatever the backend is: refused before any work, by the name of the layer."""

from typing import NoReturn

import keras
import numpy as np

from mia_tf.training.keras_outputs import Outputs
from mia_tf.validation import check, fail

_CROSS_ENTROPIES = {
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "BinaryCrossentropy": "binary_crossentropy",
}

_MOVED = 0.1
"""Deviation of the random changes to the weights before a model is tried out."""
_ALIKE = 1e-5
"""Share of the largest output within which two are alike: some kernels of a GPU add in an order of their own."""


def refuse(layer: keras.layers.Layer, reason: str) -> NoReturn:
    """Raises the InputError that names a layer and why DP-SGD cannot train it."""
    named = f"layer {layer.name} ({type(layer).__name__})"
    fail("build", layer.name, f"must return a model that can be trained with dp. Its {named}: {reason}")


def functional(model: keras.Model) -> keras.Model:
    """Returns the graph of a model, which shares its layers. Raises InputError if the model has no graph."""
    graph = keras.Model(model.inputs, model.outputs) if getattr(model, "inputs", None) else None
    # A subclass may compute anything in its `call` and `train_step`, whatever graph it has.
    if graph is None or type(model) not in (keras.Sequential, type(graph)):
        refuse(model, "only Sequential and functional models are supported")
    return graph


def check_private(model: keras.Model, outputs: Outputs) -> None:
    """Raises InputError, naming the layer or the loss, if a model cannot be trained with DP-SGD."""
    functional(model)
    for layer in model._flatten_layers(include_self=False):
        if layer.activity_regularizer is not None:
            refuse(layer, "its activity_regularizer is not part of the clipped loss")
        for variable in layer._trainable_variables:
            if variable.regularizer is not None:
                refuse(layer, f"the regularizer of its {variable.name} is not part of the clipped loss")
    if outputs.kind == "probabilities":
        check("build", outputs.note, False, "must end in logits, or in an activation that can be left out, with dp")
    loss = model.loss
    name = loss if isinstance(loss, str) else _CROSS_ENTROPIES.get(type(loss).__name__, type(loss).__name__)
    plain = name in _CROSS_ENTROPIES.values()
    check("build", f"loss {name}", plain, "must be compiled with a cross-entropy, because dp clips its gradients")
    fits = (name == "binary_crossentropy") == (outputs.units == 1)
    allowed = "must have the loss binary_crossentropy with one output, and a categorical one with more, with dp"
    check("build", f"{name} of {outputs.units} outputs", fits, allowed)
    from_logits = False if isinstance(loss, str) else loss.get_config().get("from_logits", False)
    activated = outputs.layer is not None
    allowed = f"must have a loss with from_logits={not activated} with dp: {outputs.note.rstrip('.')}"
    check("build", f"from_logits={from_logits}", from_logits != activated, allowed)
    smooth = 0.0 if isinstance(loss, str) else loss.get_config().get("label_smoothing", 0.0)
    check("build", f"label_smoothing={smooth}", smooth == 0, "must have a loss without label smoothing with dp")
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)  # it would divide the clipped gradient
    check(
        "build", "a model with LossScaleOptimizer", not scaled, "must not scale its loss with dp, as mixed_float16 does"
    )


def seed_states(model: keras.Model) -> set[int]:
    """Returns the ids of the variables that hold the states of a model's random generators."""
    layers = [model, *model._flatten_layers(include_self=False)]
    return {id(generator.state) for layer in layers for generator in layer._seed_generators}


def check_layers(model: keras.Model, x, outputs: Outputs) -> None:
    """Raises InputError, naming the layer if it can, if one mixes examples, keeps something of them or adds a loss.

    A layer without weights may do so too, and the promised epsilon would be false. So the model is tried out, with
    weights moved at random, because an initial weight of zero would hide what comes before it.

    Args:
        model: a built model.
        x: an array, or a dict or tuple of arrays, each (N, ...).
        outputs: what the model returns.
    """
    layers = list(model._flatten_layers(include_self=False))
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            refuse(layer, "it mixes the examples of a batch; keras.layers.GroupNormalization does not")
    rng = np.random.default_rng(0)
    weights = [v.numpy() + _MOVED * rng.normal(size=v.shape) for v in model.trainable_variables]
    weights = [keras.ops.cast(w, v.dtype) for w, v in zip(weights, model.trainable_variables, strict=True)]
    before = [keras.ops.convert_to_tensor(v.value) for v in model.non_trainable_variables]

    def call(rows: np.ndarray):
        examples = keras.tree.map_structure(lambda array: keras.ops.convert_to_tensor(array[rows]), x)
        with outputs.exact():
            returned, *rest = model.stateless_call(weights, before, examples, training=True, return_losses=True)
        return keras.ops.convert_to_numpy(keras.ops.cast(returned, "float32")), *rest

    # Every second example of the two batches differs, so that the others have such neighbours on both sides.
    spread = np.linspace(0, len(keras.tree.flatten(x)[0]) - 1, 12).astype(int)
    kept, *changing = np.split(spread, 3)
    one, other = (call(np.stack([some, kept], axis=1).ravel()) for some in changing)
    _, after, losses = one
    if losses:
        refuse(model, "the losses that its layers add are not part of the clipped loss")
    seeds = seed_states(model)
    for variable, old, new in zip(model.non_trainable_variables, before, after, strict=True):
        if id(variable) not in seeds and new is not old:
            own = (layer for layer in layers if any(v is variable for v in layer._non_trainable_variables))
            refuse(next(own, model), f"its {variable.name} follows from the examples, without noise")
    answers, others = one[0][1::2], other[0][1::2]
    if np.abs(answers - others).max() > _ALIKE * np.abs(answers).max():
        refuse(model, "its output for one example depends on the others of the batch, or on randomness not Keras' own")


def class_numbers(targets: np.ndarray) -> np.ndarray:
    """Returns (N,) int64, the classes of targets (N,), (N, 1) or one-hot (N, C)."""
    one_hot = targets.ndim == 2 and targets.shape[1] > 1
    labels = targets.argmax(axis=1) if one_hot else targets.reshape(-1)
    return labels.astype(np.int64)
