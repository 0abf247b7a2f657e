"""One measurement of `dp_speed`, in this process: says "ready" once it has compiled, waits for a line, measures.

    python -m experiments.benchmarks.dp_measure METHOD ARCH THREADS SECONDS MICROBATCH

Every framework is imported by its own method only, so that one environment need not have them all.
"""

import argparse
import itertools
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

BATCH, SHAPE, CLASSES = 256, (28, 28, 1), 10
NOISE, CLIP = 1.3, 1.0  # of Choi et al., section 8
MOMENTUM = 0.9
LEAKY_SLOPE = 0.1
_BATCHES = 4


def network(arch: str) -> list[tuple[str, int]]:
    """The layers of "cnn{F}-{S}-max" in order, as ("conv", filters), ("leaky", 0), ("pool", 2) and ("mean", 0)."""
    filters, scales = map(int, re.fullmatch(r"cnn(\d+)-(\d+)-max", arch).groups())
    layers = [("conv", filters), ("leaky", 0)]
    for scale in range(scales):
        for width in (filters << scale, filters << (scale + 1)):
            layers += [("conv", width), ("leaky", 0)]
        layers.append(("pool", 2))
    return [*layers, ("conv", CLASSES), ("mean", 0)]


def random_images() -> tuple[np.ndarray, np.ndarray]:
    """A few batches of noise, (n, 28, 28, 1) uint8, and their labels (n,) int64: what they show costs no time."""
    count = _BATCHES * BATCH
    images = np.random.default_rng(0).integers(0, 256, (count, *SHAPE), dtype=np.uint8)
    return images, np.arange(count) % CLASSES


def peak_mib() -> int:
    """The most memory this process has held, in MiB; not its parent's, as getrusage would have it."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024


def repeated(run: Callable[[], None], images: int) -> Callable[[float], float]:
    """Seconds -> images per second of a call that takes `images` images."""

    def images_per_second(seconds: float) -> float:
        started = time.perf_counter()
        for calls in itertools.count(1):
            run()
            elapsed = time.perf_counter() - started
            if elapsed >= seconds:
                return calls * images / elapsed

    return images_per_second


# ---- ours


def engine(arch: str, threads: int, microbatch: int | None) -> Callable[[float], float]:
    """The private engine, or without a microbatch the reference engine; on `threads` threads, as workers have them."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from mia_tf.config import ExperimentConfig, PrivacyConfig, TrainingConfig
    from mia_tf.records import Dataset
    from mia_tf.training import accounting, private, single

    images, labels = random_images()
    groups, ids = np.zeros(len(images), np.uint8), np.array([str(i) for i in range(len(images))])
    dataset = Dataset("noise", images, labels, groups, ids, images[:0], labels[:0], groups[:0], CLASSES)
    privacy = PrivacyConfig(noise_multiplier=NOISE, l2_norm_clip=CLIP, microbatch=microbatch) if microbatch else None
    training = TrainingConfig(arch=arch, batch=BATCH, augment="none", queries=1, clip_norm=0.0, privacy=privacy)
    if privacy is None:
        return single.SingleEngine(dataset, training).images_per_second
    guarantee = accounting.guarantee(ExperimentConfig(training=training), len(images))
    return private.PrivateEngine(dataset, training, guarantee).images_per_second


# ---- TF-Privacy


def dpmodel(arch: str, threads: int, xla: bool) -> Callable[[float], float]:
    """TF-Privacy's DPModel with one example a microbatch, which is its default."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.get_logger().setLevel("ERROR")
    sys.skip_tf_privacy_import = True  # its __init__ wants the Estimator, which TensorFlow no longer has
    import tf_keras
    from tensorflow_privacy.privacy.keras_models.dp_keras_model import DPModel

    make = {
        "conv": lambda filters: tf_keras.layers.Conv2D(filters, 3, padding="same"),
        "leaky": lambda _: tf_keras.layers.LeakyReLU(LEAKY_SLOPE),
        "pool": tf_keras.layers.MaxPooling2D,
        "mean": lambda _: tf_keras.layers.GlobalAveragePooling2D(),
    }
    inputs = outputs = tf_keras.Input(SHAPE)
    for kind, size in network(arch):
        outputs = make[kind](size)(outputs)
    model = DPModel(CLIP, NOISE, use_xla=xla, inputs=inputs, outputs=outputs)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.SGD(1e-3, momentum=MOMENTUM), loss)
    images, labels = random_images()
    data = (images / 127.5 - 1).astype(np.float32), labels
    batches = iter(tf.data.Dataset.from_tensor_slices(data).batch(BATCH).cache().repeat())
    step = model.make_train_function()  # what `fit` calls for every batch, without the time that `fit` adds
    return repeated(lambda: step(batches)["loss"].numpy(), BATCH)


# ---- PyTorch


def torch_network(arch: str):
    """The same network in PyTorch."""
    from torch import nn

    layers, channels = [], SHAPE[-1]
    for kind, size in network(arch):
        if kind == "conv":
            layers.append(nn.Conv2d(channels, size, 3, padding=1))
            channels = size
        elif kind == "leaky":
            layers.append(nn.LeakyReLU(LEAKY_SLOPE))
        elif kind == "pool":
            layers.append(nn.MaxPool2d(size))
        else:
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers)


def opacus(arch: str, threads: int, mode: str | None) -> Callable[[float], float]:
    """Opacus in a mode of its per-example gradients; None for plain PyTorch."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = torch_network(arch)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=MOMENTUM)
    criterion = torch.nn.CrossEntropyLoss()
    images, labels = random_images()
    pixels = torch.from_numpy((images / 127.5 - 1).astype(np.float32).transpose(0, 3, 1, 2).copy())
    data = torch.utils.data.TensorDataset(pixels, torch.from_numpy(labels))
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH)
    if mode is not None:
        from opacus import PrivacyEngine

        model, optimizer, *criteria, _ = PrivacyEngine().make_private(
            module=model, optimizer=optimizer, criterion=criterion, data_loader=loader, noise_multiplier=NOISE,
            max_grad_norm=CLIP, poisson_sampling=False, grad_sample_mode=mode,
        )  # fmt: skip
        criterion = criteria[0] if criteria else criterion
    batches = list(loader)  # in memory, as for the others

    def epoch() -> None:
        for x, y in batches:
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()

    return repeated(epoch, len(labels))


METHODS = {
    "plain": lambda arch, threads, _: engine(arch, threads, None),
    "dp": lambda arch, threads, microbatch: engine(arch, threads, microbatch),
    "dpmodel": lambda arch, threads, _: dpmodel(arch, threads, False),
    "dpmodel_xla": lambda arch, threads, _: dpmodel(arch, threads, True),
    "pytorch": lambda arch, threads, _: opacus(arch, threads, None),
    "opacus_hooks": lambda arch, threads, _: opacus(arch, threads, "hooks"),
    "opacus_ghost": lambda arch, threads, _: opacus(arch, threads, "ghost"),
}
"""Name -> (arch, threads, microbatch) -> seconds -> images per second."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("arch")
    parser.add_argument("threads", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("microbatch", type=int)
    given = parser.parse_args()
    images_per_second = METHODS[given.method](given.arch, given.threads, given.microbatch)
    images_per_second(0.0)  # compiles
    print("ready", flush=True)
    sys.stdin.readline()
    speed = images_per_second(given.seconds)
    print(json.dumps({"images_per_second": speed, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
