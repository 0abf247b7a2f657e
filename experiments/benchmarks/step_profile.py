"""Where the time of a training step of the reference engine goes on a CPU, and what other ways of computing it give.

    python -m experiments.benchmarks.step_profile --out=FOLDER [--arch=cnn8-3-max] [--seconds=2]    about 3 minutes

One thread, batches of 32 and 256, images of noise. Every way is measured in a process of its own; one runs again last,
so that one sees how steady the machine was.

- ours: what `mia_tf.train` does. bfloat16: with --precision=bfloat16.
- forward: without gradients. data: without the network, so gathering a batch and updating the weights.
- mean: with mean pooling instead of the largest pixel, hence without the search for it backward.
- without oneDNN, XLA: with TensorFlow's own kernels, and with the gradients compiled by XLA.
- two queues: with two threads for operations that do not depend on each other, hence two cores.

Writes step_profile.csv (images per second) and step_convolutions.csv: GFLOP/s of each convolution forward, backward to
its inputs, and backward to its kernel, at batch 256.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np

from experiments import commands
from experiments.benchmarks.training_speed import SHAPE, random_dataset
from mia_tf.analysis.tables import write_rows
from mia_tf.config import TrainingConfig

WAYS = ("ours", "bfloat16", "forward", "data", "mean", "without oneDNN", "XLA", "two queues", "ours again")
BATCHES = (32, 256)
_REPEATS = 10


def engine_of(way: str, arch: str, batch: int):
    """The reference engine, changed as a way asks."""
    import tensorflow as tf

    from mia_tf.training import views
    from mia_tf.training.single import SingleEngine

    class Changed(SingleEngine):
        _compiled = None

        def _gradients(self, rows, seed):
            if way == "XLA":
                if self._compiled is None:
                    self._compiled = tf.function(super()._gradients, jit_compile=True)
                return self._compiled(rows, seed)
            if way not in ("forward", "data"):
                return super()._gradients(rows, seed)
            images = views.to_input(tf.gather(self._images, rows))
            answers = images if way == "data" else self._model(images, training=True)
            return tf.reduce_mean(answers), [tf.zeros_like(weight) for weight in self._weights]

    arch = arch.replace("-max", "-mean") if way == "mean" else arch
    precision = "bfloat16" if way == "bfloat16" else "float32"
    config = TrainingConfig(arch=arch, batch=batch, augment="none", queries=1, precision=precision)
    return Changed(random_dataset(), config)


def measure_way(way: str, arch: str, seconds: float) -> dict[str, int]:
    """Images per second by batch size, in this process."""
    return {f"batch_{batch}": round(engine_of(way, arch, batch).images_per_second(seconds)) for batch in BATCHES}


def measure_convolutions(arch: str) -> list[dict]:
    """A row for each convolution of a network, in this process."""
    import tensorflow as tf

    from mia_tf import models

    rng, rows = np.random.default_rng(0), []
    for layer in models.build(arch, SHAPE, 10, seed=0).layers:
        if not hasattr(layer, "kernel"):
            continue
        inputs, outputs = (
            tf.constant(rng.standard_normal((BATCHES[-1], *side.shape[1:]), np.float32))
            for side in (layer.input, layer.output)
        )
        kernel, options = tf.constant(layer.kernel.value), {"strides": [1, 1, 1, 1], "padding": "SAME"}
        ways = {
            "forward": lambda x=inputs, k=kernel, o=options: tf.raw_ops.Conv2D(input=x, filter=k, **o),
            "to_inputs": lambda x=inputs, k=kernel, g=outputs, o=options: tf.raw_ops.Conv2DBackpropInput(
                input_sizes=x.shape, filter=k, out_backprop=g, **o
            ),
            "to_kernel": lambda x=inputs, k=kernel, g=outputs, o=options: tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=k.shape, out_backprop=g, **o
            ),
        }
        work = 2 * BATCHES[-1] * int(np.prod(layer.output.shape[1:-1])) * int(np.prod(kernel.shape))
        name = "x".join(map(str, layer.input.shape[1:])) + f" -> {layer.output.shape[-1]}"
        rows.append({"convolution": name, **{way: round(work / _seconds(run) / 1e9) for way, run in ways.items()}})
    return rows


def _seconds(run) -> float:
    """Of the fastest of some runs."""
    import tensorflow as tf

    compiled = tf.function(run)
    compiled()
    taken = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        compiled()
        taken.append(time.perf_counter() - started)
    return min(taken)


def measure_here(way: str, arch: str, seconds: float):
    """One measurement, in this process, with one thread."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(2 if way == "two queues" else 1)
    return measure_convolutions(arch) if way == "convolutions" else measure_way(way, arch, seconds)


def in_process(way: str, arch: str, seconds: float):
    """What one measurement prints as its last line, in a process of its own."""
    command = [sys.executable, "-m", "experiments.benchmarks.step_profile", f"--way={way}", f"--arch={arch}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if way == "without oneDNN":
        environment["TF_ENABLE_ONEDNN_OPTS"] = "0"
    command.append(f"--seconds={seconds}")
    return json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--arch", default="cnn8-3-max")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--out", type=commands.folder_to_write, help="folder of the CSVs")
    parser.add_argument("--way", help=argparse.SUPPRESS)  # what each process of its own measures
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure_here(options.way, options.arch, options.seconds)))
        return
    rows = [{"arch": options.arch, "way": way, **in_process(way, options.arch, options.seconds)} for way in WAYS]
    convolutions = in_process("convolutions", options.arch, options.seconds)
    for row in (*rows, *convolutions):
        print(", ".join(map(str, row.values())))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, table in (("step_profile", rows), ("step_convolutions", convolutions)):
            write_rows(options.out / f"{name}.csv", tuple(table[0]), [tuple(row.values()) for row in table])


if __name__ == "__main__":
    commands.run(main)
