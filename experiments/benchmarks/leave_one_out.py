"""Seconds per target that online LiRA takes: refitting without each target, against all targets at once.

    OMP_NUM_THREADS=1 python -m experiments.benchmarks.leave_one_out    about 5 seconds, 500 MB

`refit` re-creates the cost of `generate_ours` of LiRA's published plot.py, in our own words. For a target, a Python
loop over the examples gathers the IN and OUT scores of the other models; SciPy's logpdf judges the target's. Ours is
the shipped attack. Both start from the same phi and run on one thread; processor time is compared. Expected: at least
150 times faster per target at 128 models x 20,000 examples x 2 queries (measured with AVX-512: 0.28 s against 0.0012 s,
240 times).
"""

import argparse
import time
from pathlib import Path

import numpy as np
import scipy.stats

from experiments import commands
from mia_tf import analyze
from mia_tf.analysis import study
from mia_tf.attacks import attack_classes
from mia_tf.records import Dataset, ModelRecord
from mia_tf.shadow.blocks import Block
from mia_tf.store import Store


def refit(phi: np.ndarray, keep: np.ndarray, target: int) -> np.ndarray:
    """(N,) online LiRA scores of one target, phi (M, N, Q) and keep (M, N), fitted afresh on the others."""
    others = np.arange(len(phi)) != target
    shadow_phi, shadow_keep = phi[others], keep[others]
    inside, outside = [], []
    for example in range(phi.shape[1]):
        member = shadow_keep[:, example]
        inside.append(shadow_phi[member, example, :])
        outside.append(shadow_phi[~member, example, :])
    log_densities = []
    for samples in (inside, outside):
        fewest = min(map(len, samples))
        samples = np.array([sample[:fewest] for sample in samples])
        centre, spread = np.median(samples, axis=1), np.std(samples, axis=1)
        log_densities.append(scipy.stats.norm.logpdf(phi[target], centre, spread + 1e-30))
    return (log_densities[0] - log_densities[1]).mean(axis=1)


def all_targets(phi: np.ndarray, keep: np.ndarray, name: str) -> np.ndarray:
    """(N, M) scores of every target by the shipped attack, phi (N, Q, M) and keep (N, M), in pieces as analyze does."""
    attack = attack_classes()[name](phi.shape[2], np.random.default_rng(0))
    block = Block(0, np.zeros(len(phi), np.int64), keep, phi, lambda: np.zeros(0))
    for _, piece in block.pieces():
        attack.observe(piece)
    attack.fit()
    scores = np.empty(keep.shape)
    for rows, piece in block.pieces():
        scores[rows] = attack.score(piece)
    return scores


def fastest(run, repeats: int) -> float:
    """Seconds of the fastest of some runs."""
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        run()
        seconds.append(time.process_time() - started)
    return min(seconds)


def compare_speed(num_models: int, num_examples: int, queries: int) -> None:
    """Prints seconds per target of both, their ratio, and how near ours is to the memory's own speed."""
    rng = np.random.default_rng(0)
    keep = rng.random((num_models, num_examples)).argsort(axis=0) < num_models // 2
    phi = rng.normal(size=(num_models, num_examples, queries)) + keep[..., None]
    by_example, keep_by_example = np.ascontiguousarray(phi.transpose(1, 2, 0)), np.ascontiguousarray(keep.T)
    print(f"{num_models} models x {num_examples} examples x {queries} queries, one thread")
    published = fastest(lambda: refit(phi, keep, 0), 3)
    print(f"refit without the target:   {published:.4f} s per target")
    copying = fastest(by_example.copy, 5)
    for name in ("lira_online", "lira_online_fixed"):
        ours = fastest(lambda name=name: all_targets(by_example, keep_by_example, name), 5)
        print(
            f"{name + ':':<27} {ours / num_models:.6f} s per target, {published * num_models / ours:.0f} times faster; "
            f"{ours:.3f} s for all, {ours / copying:.1f} times the {copying:.3f} s of copying phi once"
        )


def fabricate(
    logdir: Path, num_models: int, num_examples: int, queries: int = 2, classes: int = 10, pictures: tuple = (1, 1, 1)
) -> None:
    """Writes a LOGDIR of random logits, and of black pictures of one value or noise of this shape."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, num_examples)
    groups = (np.arange(num_examples) % 50 == 0).astype(np.uint8)
    ids = np.arange(num_examples).astype(str)
    nothing = np.zeros(0, np.int64)
    images = np.zeros((num_examples, *pictures), np.uint8)
    if images[0].size > 1:
        images[:] = rng.integers(0, 256, images.shape, np.uint8)
    dataset = Dataset(
        "noise", images, labels, groups, ids, images[:0], nothing, nothing.astype(np.uint8), num_classes=classes
    )
    store = Store.create(logdir, {}, lambda: dataset)
    keep = rng.random((num_models, num_examples)).argsort(axis=0) < num_models // 2
    for index in range(num_models):
        logits = rng.normal(size=(num_examples, 1, queries, classes)).astype(np.float32)
        store.write(ModelRecord(index, keep[index], logits, 1, {"num_experiments": num_models}, {}))


def analyze_on_disk(logdir: Path) -> None:
    """Analyzes a LOGDIR as at the papers' size: large arrays go to files."""
    study.LARGEST_IN_MEMORY = 0
    analyze.analyze(logdir)


def main() -> None:
    """Compares the two, or is one of the processes of growth.py."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--models", type=int, default=128)
    parser.add_argument("--examples", type=int, default=20000)
    parser.add_argument("--queries", type=int, default=2)
    parser.add_argument("--analyze", type=Path, help=argparse.SUPPRESS)  # what growth.py measures
    arguments = parser.parse_args()
    if arguments.analyze:
        analyze_on_disk(arguments.analyze)
    else:
        compare_speed(arguments.models, arguments.examples, arguments.queries)


if __name__ == "__main__":
    commands.run(main)
