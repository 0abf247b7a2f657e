"""The measurements of ensemble_speed.py, each for a process of its own, because a process has one backend of Keras.

    KERAS_BACKEND=jax python -m experiments.benchmarks.ensemble_measure ensemble cnn32-3-max 16 float32 6

Prints one JSON object as its last line.
"""

import json
import sys
import time

import numpy as np

from experiments.benchmarks.training_speed import flops_per_image, random_dataset
from mia_tf.config import TrainingConfig

SHAPES = {"cnn8-3-max": (28, 28, 1), "cnn16-3-max": (28, 28, 1), "cnn32-3-max": (28, 28, 1), "resnet18": (32, 32, 3)}
BATCH = 256
_IMAGES = 42_752  # 167 batches: about as many as a model of the paper trains on
_SIDES = {"cpu": 2048, "gpu": 8192}
"""Of the square matrices whose product is the limit: large enough to fill the device, small enough to take no time."""


def fit(arch: str, precision: str, seconds: str) -> dict:
    """Keras' own `model.fit`, one model: as many epochs in one call as the time takes."""
    import keras

    from mia_tf import models

    model = models.build(arch, SHAPES[arch], 10, seed=0, precision=precision)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), loss)
    data = random_dataset(count=_IMAGES, shape=SHAPES[arch])
    images, labels = (data.images / 127.5 - 1).astype(np.float32), data.labels

    def timed(count: int, epochs: int) -> float:
        started = time.perf_counter()
        model.fit(images[:count], labels[:count], batch_size=BATCH, epochs=epochs, verbose=0)
        return time.perf_counter() - started

    timed(2 * BATCH, 1)
    steps = max(1, int(4 / timed(4 * BATCH, 1) * float(seconds)))
    count = min(steps * BATCH, _IMAGES)
    epochs = max(1, steps * BATCH // count)
    return {"images_per_second": epochs * count / timed(count, epochs), **_of_the_device(arch)}


def reference(arch: str, seconds: str) -> dict:
    """The reference engine, one process with all cores."""
    from mia_tf.training.single import SingleEngine

    engine = SingleEngine(random_dataset(shape=SHAPES[arch]), _config(arch))
    return {"images_per_second": engine.images_per_second(float(seconds)), **_of_the_device(arch)}


def ensemble(arch: str, ensemble_size: str, precision: str, seconds: str) -> dict:
    """The ensemble engine with K models."""
    from mia_tf.training.ensemble_engine import EnsembleEngine

    data = random_dataset(shape=SHAPES[arch])
    engine = EnsembleEngine(data, _config(arch, precision), ensemble_size=int(ensemble_size))
    speed = engine.images_per_second(float(seconds))
    ways = list(engine.formulations.values())
    chosen = " ".join(f"{name}:{ways.count(name)}" for name in sorted(set(ways)))
    return {"images_per_second": speed, "formulations": chosen, **_of_the_device(arch)}


def peak(precision: str, seconds: str) -> dict:
    """Operations per second of a large matrix product, and what device that is."""
    import jax
    import jax.numpy as jnp

    device = jax.devices()[0]
    side = _SIDES[device.platform]
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((side, side), np.float32), precision)
    product = jax.jit(lambda a: a @ a)
    product(matrix).block_until_ready()
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < float(seconds):
        product(matrix).block_until_ready()
        done += 1
    return {"flops": 2 * side**3 * done / (time.perf_counter() - started), "device": device.device_kind}


def convolutions(arch: str, models_at_once: str, batch: str, precision: str) -> dict:
    """Seconds of each formulation for each shape of convolution, as the engine measures them."""
    from mia_tf import models
    from mia_tf.training.convolutions import Fastest, formulate

    fastest, rows = Fastest(int(models_at_once), 1, int(batch), precision), {}
    model = models.build(arch, SHAPES[arch], 10, seed=0)

    def choose(layer) -> str:
        height, width, channels = layer.input.shape[1:]
        shape = f"{height}x{width}x{channels} -> {layer.filters}, stride {layer.strides[0]}"
        rows[shape] = fastest.measure(layer)
        return fastest(layer)

    formulate(model, choose)
    return rows


def _config(arch: str, precision: str = "float32") -> TrainingConfig:
    return TrainingConfig(arch=arch, precision=precision, batch=BATCH, augment="none", queries=1)


def _of_the_device(arch: str) -> dict:
    return {"flops_per_image": flops_per_image(arch, SHAPES[arch])}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
