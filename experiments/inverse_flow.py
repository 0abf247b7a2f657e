"""The experiment of Choi et al. that failed (section 8): a digit's neighbours, drawn in the latent space of a flow.

    python -m experiments.inverse_flow --data_dir=DATA --seed=0

The idea: map a memorized example x with label y to its latent vector, move that a little, and map it back to a new
image x'. If the attacked model has x' right, it has learned the sparse region that x is from. The paper: "this approach
failed because we are unable to ascertain the ground truth label for the modified input". How often is that so?

The flow is a RealNVP (Dinh et al. 2017) of Keras layers on MNIST at 14 x 14 pixels; the paper's is of CIFAR-10 and not
described. In latent space, a step of length 1 is as long as the distance from x to the nearest other digit of its
label. So x' is as new as a real neighbour. Steps go in a random direction, as in the paper, or outward: away from the
most likely latent vector, so that x' is further out of distribution.

The digits come from a pool of 10,000. 16 small networks are each trained on a random half of it. Used are the digits
that they memorize above 0.5 (Feldman and Zhang), and as many random others of the pool. Two other classifiers, A and B,
stand for the person who must tell the label of x'. They are trained on 25,000 other digits each. Intervals of 95% are
over digits; shares have Clopper and Pearson's. They do not include what another flow or other classifiers would change.
"Not confirmed" are digits whose x' does not get the label y from both A and B.

Cost: two minutes of one core.
The paper: it failed. experiments/results/inverse_flow/README.md says what came out here.
Writes inverse_flow.csv and inverse_flow.png to experiments/results/inverse_flow.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from sklearn.neural_network import MLPClassifier

from experiments import commands
from experiments.reproduction.judging import share
from mia_tf.analysis.statistics import mean_interval
from mia_tf.analysis.tables import write_rows
from mia_tf.data.resampling import resize_by_area, to_grey

OUT = Path(__file__).parent / "results" / "inverse_flow"
SIDE = 14
STEPS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
DIRECTIONS = ("random", "outward")
MEMORIZED = 0.5
_ALPHA = 0.05
"""Pixels are squeezed to [alpha, 1 - alpha] before the logit, which has no end at 0 and 1."""


class Row(NamedTuple):
    """A row of inverse_flow.csv; of the flow and the classifiers themselves, group, direction and step are empty.

    Attributes:
        group: "memorized" or "random" digits.
        direction: one of DIRECTIONS.
        step: length of the step in latent space, in distances to the nearest other digit of the label.
        quantity: what `value` is.
        value: a mean or a share over `num_examples` digits.
        ci_low, ci_high: its 95% interval.
        num_examples: number of digits.
    """

    group: str
    direction: str
    step: float | str
    quantity: str
    value: float
    ci_low: float
    ci_high: float
    num_examples: int


class Coupling(keras.layers.Layer):
    """Scales and shifts the pixels where `mask` is 0 by functions of the others; it is the identity before training."""

    def __init__(self, mask: np.ndarray, width: int):
        super().__init__()
        self.mask = ops.convert_to_tensor(mask, "float32")
        self.hidden = [keras.layers.Dense(width, "relu") for _ in range(2)]
        self.scale, self.shift = (keras.layers.Dense(len(mask), kernel_initializer="zeros") for _ in range(2))

    def _scale_and_shift(self, x):
        h = x * self.mask
        for layer in self.hidden:
            h = layer(h)
        return ops.tanh(self.scale(h)) * (1 - self.mask), self.shift(h) * (1 - self.mask)

    def call(self, x):
        """Returns the image of x (N, D) and the log-determinants (N,)."""
        scale, shift = self._scale_and_shift(x)
        return x * ops.exp(scale) + shift, ops.sum(scale, axis=1)

    def inverse(self, y):
        """Returns the x that `call` maps to y (N, D)."""
        scale, shift = self._scale_and_shift(y)  # of pixels that the coupling leaves as they are
        return (y - shift) * ops.exp(-scale)


class RealNVP(keras.Model):
    """An invertible map of pixels in [0, 1] to a latent vector that should be standard normal.

    Args:
        size: number of pixels D.
        depth: number of couplings; each second one has the mask of the one before turned over.
        width: of the hidden layers.
        rng: draws the masks.
    """

    def __init__(self, size: int, depth: int, width: int, rng: np.random.Generator):
        super().__init__()
        self.size = size
        drawn = [rng.permutation(np.arange(size) % 2) for _ in range(-(-depth // 2))]
        masks = [turned for mask in drawn for turned in (mask, 1 - mask)]
        self.couplings = [Coupling(mask, width) for mask in masks[:depth]]

    def encode(self, x):
        """Returns the latent vectors of x (N, D) and the logarithms (N,) of |dz / dx|."""
        p = _ALPHA + (1 - 2 * _ALPHA) * x
        z = ops.log(p) - ops.log(1 - p)
        log_det = ops.sum(np.log(1 - 2 * _ALPHA) - ops.log(p) - ops.log(1 - p), axis=1)
        for coupling in self.couplings:
            z, more = coupling(z)
            log_det = log_det + more
        return z, log_det

    def decode(self, z):
        """Returns the pixels of latent vectors (N, D); those outside [0, 1] are no image."""
        for coupling in reversed(self.couplings):
            z = coupling.inverse(z)
        return (ops.sigmoid(z) - _ALPHA) / (1 - 2 * _ALPHA)

    def call(self, x):
        """Returns the negative log-likelihood of pixels (N, D) in bits per dimension of the 256 grey levels, (N,)."""
        z, log_det = self.encode(x)
        nats = ops.sum(z**2, axis=1) / 2 + self.size * np.log(2 * np.pi) / 2 - log_det
        return nats / (self.size * np.log(2)) + 8


def fit_flow(images: np.ndarray, rng: np.random.Generator, epochs: int, depth: int = 8, width: int = 128) -> RealNVP:
    """Trains a flow on images (N, D) uint8, whose grey levels are spread evenly by noise, anew each epoch."""
    flow = RealNVP(images.shape[1], depth, width, rng)
    steps = epochs * -(-len(images) // 256)
    flow.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps), clipnorm=1.0), loss=_mean)
    for _ in range(epochs):
        flow.fit(spread(images, rng), np.zeros(len(images)), batch_size=256, verbose=0)
    return flow


def _mean(nothing, bits):
    return ops.mean(bits)


def spread(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grey levels (N, D) uint8 as float32 in [0, 1), each anywhere in its own 256th."""
    return ((images + rng.random(images.shape)) / 256).astype(np.float32).clip(0, 1 - 1e-6)


def fit_classifier(x: np.ndarray, y: np.ndarray, epochs: int, rng: np.random.Generator) -> MLPClassifier:
    """Trains a network with one hidden layer on pixels (N, D) and labels (N,)."""
    size = min(64, len(x))
    model = MLPClassifier((128,), batch_size=size, learning_rate_init=2e-3, random_state=int(rng.integers(2**31)))
    for _ in range(epochs):
        model.partial_fit(x, y, classes=np.arange(10))
    return model


def nearest(latents: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(len(rows),) distance of each of these rows to the nearest other row with its label."""
    distances = np.empty(len(rows))
    for number, row in enumerate(rows):
        others = np.flatnonzero(labels == labels[row])
        away = ((latents[others[others != row]] - latents[row]) ** 2).sum(axis=1)
        distances[number] = np.sqrt(away.min())
    return distances


def moved(latents: np.ndarray, lengths: np.ndarray, direction: str, rng: np.random.Generator) -> np.ndarray:
    """Latent vectors (n, D) after steps of these lengths (n,) in one of DIRECTIONS."""
    way = latents if direction == "outward" else rng.normal(size=latents.shape)
    return latents + way * (lengths / np.linalg.norm(way, axis=1))[:, None]


class Memory(NamedTuple):
    """Small networks, each trained on a random half of a pool.

    Attributes:
        models: the networks.
        keep: (models, N) bool, whether a network was trained on an example.
    """

    models: list[MLPClassifier]
    keep: np.ndarray

    def gaps(self, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """(n,) share of networks trained on pool[rows] that answer y to x, less that of the others.

        With the pool's own images this is memorization.
        """
        right, keep = np.array([model.predict(x) == y for model in self.models]), self.keep[:, rows]
        return (right & keep).sum(axis=0) / keep.sum(axis=0) - (right & ~keep).sum(axis=0) / (~keep).sum(axis=0)


def run_experiment(
    images: np.ndarray,
    labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
    seed: int,
    pool: int = 10_000,
    num_models: int = 16,
    epochs: tuple[int, int, int] = (10, 8, 40),
    depth: int = 8,
) -> tuple[list[Row], dict[str, np.ndarray]]:
    """Runs the experiment on images (N, D) uint8.

    Args:
        images, labels: digits to train with; the first `pool` may be memorized.
        test_images, test_labels: digits that measure the flow and the classifiers.
        seed: draws everything.
        pool: number of digits of the pool.
        num_models: small networks that tell which digits of the pool are memorized.
        epochs: of the flow, of A and B, and of the small networks, which must fit the pool.
        depth: couplings of the flow.

    Returns:
        the rows of the table; direction -> pictures (steps, digits, D) in [0, 1] of up to six memorized digits.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    x, test = (values.astype(np.float32) / 255 for values in (images, test_images))
    flow = fit_flow(images, rng, epochs[0], depth)
    half = (len(x) + pool) // 2
    parts = slice(pool, half), slice(half, None)
    judges = [fit_classifier(x[part], labels[part], epochs[1], rng) for part in parts]
    keep = rng.random((num_models, pool)).argsort(axis=0) < num_models // 2  # every digit is in half of the halves
    memory = Memory([fit_classifier(x[:pool][kept], labels[:pool][kept], epochs[2], rng) for kept in keep], keep)
    latents = np.asarray(flow.encode(spread(images[:pool], rng))[0])
    bits = np.asarray(flow(spread(test_images, rng)))
    error = np.abs(np.asarray(flow.decode(flow.encode(test)[0])) - test).max(axis=1)
    table = [_mean_row(("", "", ""), "bits per dimension of test digits", bits)]
    table.append(_mean_row(("", "", ""), "largest error of a pixel after encoding and decoding, of 1", error))
    for name, model in zip("AB", judges, strict=True):
        right = model.predict(test) == test_labels
        table.append(_share_row(("", "", ""), f"test accuracy of {name}", right))
    memorized = np.flatnonzero(memory.gaps(x[:pool], labels[:pool], np.arange(pool)) > MEMORIZED)
    others = rng.choice(np.setdiff1d(np.arange(pool), memorized), len(memorized), replace=False)
    pictures: dict[str, list[np.ndarray]] = {}
    for group, rows in (("memorized", memorized), ("random", others)):
        y, unit = labels[rows], nearest(latents, labels[:pool], rows)
        for direction in DIRECTIONS:
            for step in STEPS:
                new = np.asarray(flow.decode(moved(latents[rows], step * unit, direction, rng))).clip(0, 1)
                given = [model.predict(new) for model in judges]
                where = group, direction, step
                table += [_share_row(where, f"label kept by {n}", a == y) for n, a in zip("AB", given, strict=True)]
                table.append(_share_row(where, "A and B disagree", given[0] != given[1]))
                table.append(_share_row(where, "not confirmed", (given[0] != y) | (given[1] != y)))
                table.append(_mean_row(where, "bits per dimension", np.asarray(flow(new))))
                table.append(_mean_row(where, "distance of pixels", np.linalg.norm(new - x[rows], axis=1)))
                table.append(_mean_row(where, "trained on x less others", memory.gaps(new, y, rows)))
                if group == "memorized":
                    pictures.setdefault(direction, []).append(new[:6])
    return table, {direction: np.stack(images) for direction, images in pictures.items()}


def _mean_row(where: Sequence, quantity: str, values: np.ndarray) -> Row:
    return Row(*where, quantity, *mean_interval(values), len(values))


def _share_row(where: Sequence, quantity: str, values: np.ndarray) -> Row:
    return Row(*where, quantity, *share(values.mean(), len(values)), len(values))


def main() -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--data_dir", type=commands.folder, required=True, help="folder of mnist.npz")
    parser.add_argument("--seed", type=int, default=0, help="draws everything")
    options = parser.parse_args()
    commands.check_files(options.data_dir, "mnist.npz")
    with np.load(options.data_dir / "mnist.npz") as mnist:
        arrays = {name: mnist[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    order = np.random.default_rng(options.seed).permutation(len(arrays["x_train"]))
    images, test = (
        resize_by_area(to_grey(np.repeat(arrays[f"x_{split}"][..., None], 3, axis=3)), SIDE).reshape(-1, SIDE**2)
        for split in ("train", "test")
    )
    rows, pictures = run_experiment(images[order], arrays["y_train"][order], test, arrays["y_test"], options.seed)
    OUT.mkdir(parents=True, exist_ok=True)
    write_rows(OUT / "inverse_flow.csv", Row._fields, rows)
    from experiments.reproduction.flow_figure import draw

    draw(rows, pictures, STEPS, SIDE).savefig(OUT / "inverse_flow.png", dpi=130)
    print(*(row for row in rows if not row.group or row.quantity == "not confirmed"), sep="\n")


if __name__ == "__main__":
    commands.run(main)
