"""Features of a data set by a network that is trained on all of it, to tell its subpopulations apart.

The network is trained in a process of its own, which takes its memory and its global seed with it.
"""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

from mia_tf.config import EFFICIENTNET, check_arch_fits
from mia_tf.progress import Progress
from mia_tf.quiet import native_messages_held_back, print_all_text
from mia_tf.records import Dataset
from mia_tf.validation import InputError, check

EPOCHS, BATCH = 10, 64
LEARNING_RATE = 2e-3
"""Adam's, falling to 0 by a cosine: it trains EfficientNet and every architecture of ours without being tuned."""
EFFICIENTNET_PIXELS = 32
"""Smaller images are padded to what Keras' EfficientNet takes at least; it halves images five times."""
_INFERENCE_BATCH = 500


def extract(dataset: Dataset, network: str, seed: int) -> np.ndarray:
    """Trains a network on a data set and returns its penultimate activations (Choi et al., section 6).

    On the CPU, equal seeds on one machine give equal features.

    Args:
        dataset: all its images are trained on.
        network: "efficientnetb0", Keras' EfficientNetB0 from freshly drawn weights, or an architecture of
            `mia_tf.models`. The latter's features are the inputs of its last layer of weights, averaged over the image.
        seed: of the weights, the order and the dropout.

    Returns:
        (N, D) float32.

    Raises:
        InputError: the images are too small for the network, or its training failed.
    """
    if network != EFFICIENTNET:
        check_arch_fits("features", network, dataset.images.shape[1:])
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    pipe, other = context.Pipe()
    arguments = (other, dataset.images, dataset.labels, dataset.num_classes, network, seed)
    process = context.Process(target=_work, args=arguments, daemon=True)
    process.start()
    other.close()
    progress = Progress(1, EPOCHS)
    try:
        for _ in range(EPOCHS):
            pipe.recv()
            progress.epoch(0)
        features, accuracy = pipe.recv()
        progress.finished(0, f"{network} for features: {accuracy:.1%} of {len(dataset.images):,} examples right")
    except EOFError:
        line = f"The network for --features={network} could not be trained: its process ended"
        raise InputError(line, "features", network) from None
    finally:
        progress.close()
        process.terminate()
    check("features", network, np.isfinite(features).all(), "diverged in training: another network may not")
    return features


def _work(pipe: Connection, images: np.ndarray, labels: np.ndarray, num_classes: int, network: str, seed: int) -> None:
    """Sends a message after every epoch of `_train`, and at last what it returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    print_all_text()
    with native_messages_held_back():
        trained = _train(images, labels, num_classes, network, seed, lambda: pipe.send(None))
    pipe.send(trained)


def _train(
    images: np.ndarray, labels: np.ndarray, num_classes: int, network: str, seed: int, on_epoch: Callable[[], None]
) -> tuple[np.ndarray, float]:
    """(N, D) float32 features and the accuracy on the images; sets Keras' global seed."""
    import keras

    keras.utils.set_random_seed(seed)  # dropout, and the weights of Keras' own networks
    features, model = _build(network, images.shape[1:], num_classes, seed)
    steps = EPOCHS * -(-len(images) // BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # On TensorFlow, XLA takes longer to compile than this takes to train; JAX has nothing else.
        jit_compile=keras.backend.backend() == "jax",
    )
    report = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: on_epoch())
    model.fit(images, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[report])
    both = keras.Model(model.input, [features, model.output])
    vectors, logits = both.predict(images, batch_size=_INFERENCE_BATCH, verbose=0)
    return vectors, float((logits.argmax(axis=1) == labels).mean())


def _build(network: str, shape: tuple[int, ...], num_classes: int, seed: int):
    """The tensor of features and the model to train, of (B, H, W, C) pixels in [0, 255]."""
    import keras

    from mia_tf import models

    pixels = keras.Input(shape)
    if network == EFFICIENTNET:
        return _efficientnet(pixels, num_classes)
    body = models.build(network, shape, num_classes, seed)
    last = [layer for layer in body.layers if layer.weights][-1]
    both = keras.Model(body.input, [last.input, body.output])
    features, logits = both(keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels))
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D()(features)
    return features, keras.Model(pixels, logits)


def _efficientnet(pixels, num_classes: int):
    """EfficientNetB0's pooled features and the model that classifies by them; it scales pixels itself."""
    import keras

    from mia_tf.models import BATCH_NORM_MOMENTUM

    short = [max(0, EFFICIENTNET_PIXELS - side) for side in pixels.shape[1:3]]
    padded = keras.layers.ZeroPadding2D([(n // 2, n - n // 2) for n in short])(pixels)
    network = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=padded.shape[1:], pooling="avg"
    )
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM  # 0.99 does not settle within so few steps
    features = network(padded)
    logits = keras.layers.Dense(num_classes)(keras.layers.Dropout(0.2)(features))
    return features, keras.Model(pixels, logits)
