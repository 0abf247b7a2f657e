"""Fabricated LOGDIRs of the same examples and subsets, as if trained without and with differential privacy (DP)."""

import dataclasses

import numpy as np
from toys import make_dataset

from mia_tf.records import ModelRecord
from mia_tf.store import Store

MODELS = 12
GUARANTEE = {
    "dp": True,
    "noise_multiplier": 1.3,
    "l2_norm_clip": 1.0,
    "delta": 1e-5,
    "sampling": "poisson",
    "sampling_rate": 0.006,
    "steps": 16679,
    "accountant": "rdp",
    "epsilon_rdp": 3.188,
    "epsilon_pld": 2.934,
    "note": "",
}


def make_pool(stand_in=""):
    """180 over- and 60 under-represented examples."""
    return dataclasses.replace(make_dataset(num_over=180, num_under=60), stand_in=stand_in)


def make_keep(dataset, seed=0):
    """(M, N) bool, half of the models by example."""
    order = np.random.default_rng(seed).random((MODELS, len(dataset.labels))).argsort(axis=0)
    return order < MODELS // 2


def write_run(logdir, dataset, keep, gain, indices=range(MODELS), lr=0.1, **hparams):
    """Writes models that are surer of their members by `gain`, and as many classes wrong as noise has it."""
    store = Store.create(logdir, {"num_experiments": MODELS}, lambda: dataset)
    count = len(dataset.labels)
    for index in indices:
        logits = np.random.default_rng([index, 7]).normal(size=(count, 1, 1, dataset.num_classes)).astype(np.float32)
        logits[np.arange(count), 0, 0, dataset.labels] += np.float32(1 + gain * keep[index])
        hparams = {"num_experiments": MODELS, "arch": "cnn8-3-max", "lr": lr, **hparams}
        metrics = {"test_accuracy_all": 0.5 + 0.01 * index}
        assert store.write(ModelRecord(index, keep[index], logits, 3, hparams, metrics))
    return logdir
