"""What DP-SGD cannot train, whatever the backend is: refused before any work, by the name of the layer."""

from typing import NoReturn

import keras
import numpy as np

from mia_tf.training.keras_outputs import Outputs
from mia_tf.validation import InputError, check

_CROSS_ENTROPIES = {
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "BinaryCrossentropy": "binary_crossentropy",
}


def refuse(layer: keras.layers.Layer, reason: str) -> NoReturn:
    """Raises the InputError that names a layer and why DP-SGD cannot train it."""
    raise InputError(f"--dp cannot train the layer {layer.name} ({type(layer).__name__}): {reason}", "dp", layer.name)


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
    smooth = 0.0 if isinstance(loss, str) else loss.get_config().get("label_smoothing", 0.0)
    check("build", f"label_smoothing={smooth}", smooth == 0, "must have a loss without label smoothing with dp")
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)  # it would divide the clipped gradient
    check(
        "build", "a model with LossScaleOptimizer", not scaled, "must not scale its loss with dp, as mixed_float16 does"
    )


def class_numbers(targets: np.ndarray) -> np.ndarray:
    """Returns (N,) int64, the classes of targets (N,), (N, 1) or one-hot (N, C)."""
    one_hot = targets.ndim == 2 and targets.shape[1] > 1
    labels = targets.argmax(axis=1) if one_hot else targets.reshape(-1)
    return labels.astype(np.int64)
