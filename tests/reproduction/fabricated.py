"""Runs of invented models: small LOGDIRs where those of `experiments.runs` would be, analyzed by the real analysis."""

from dataclasses import replace

import numpy as np
from dp_helpers import GUARANTEE
from toys import make_dataset

from experiments import memorized_alone, runs
from mia_tf import analyze
from mia_tf.records import ModelRecord
from mia_tf.store import Store

MODELS = 12
_SPLITS = [(split, group) for split in ("test",) for group in ("all", "over", "under")]


def fabricate(folder, name, seed=0, strength=3.0, num_over=120, num_under=24, attacks=None):
    """Writes and analyzes FOLDER/smoke/NAME; members of the under-represented group stand out by `strength`."""
    run = runs.runs("smoke")[name]
    num_under = num_under if "_" in run.mixture else 0
    under = "none" if not num_under else "SVHN" if run.selection == "random" else f"SVHN, {run.selection}"
    about = {"name": run.mixture, "group_names": ("MNIST", under), "stand_in": "invented"}
    dataset = replace(make_dataset(num_over, num_under, seed=7), **about)
    rng = np.random.default_rng(seed)
    count = len(dataset.labels)
    keep = rng.random((MODELS, count)).argsort(axis=0) < MODELS // 2
    logits = rng.normal(size=(MODELS, count, 1, 1, dataset.num_classes)).astype(np.float32)
    margin = np.where(dataset.groups == 1, strength, 0.3) * keep + 2 * (dataset.groups == 0)
    logits[:, np.arange(count), 0, 0, dataset.labels] += margin.astype(np.float32)
    logdir = folder / "smoke" / name
    arch = run.selection if run.selection.startswith("cnn") else "cnn2-1-max"
    store = Store.create(logdir, {"arch": arch, "num_experiments": MODELS, "seed": seed}, lambda: dataset)
    metrics = {f"{split}_accuracy_{group}": 0.5 for split, group in _SPLITS} | {"train_seconds": 30.0}
    right = logits[:, :, 0, 0].argmax(axis=2) == dataset.labels
    for index in range(MODELS):
        sides = {"train": keep[index], "out": ~keep[index]}
        accuracies = {
            f"{split}_accuracy_{name}": float(right[index, side & (dataset.groups == group)].mean())
            for split, side in sides.items()
            for name, group in (("over", 0), ("under", 1))
            if (dataset.groups == group).any()
        }
        hparams = {"num_experiments": MODELS, **(GUARANTEE if run.selection == "private" else {})}
        assert store.write(ModelRecord(index, keep[index], logits[index], 3, hparams, metrics | accuracies))
    if run.selection == "again":
        memorized_alone.analyze(logdir, folder / "smoke" / run.scores_from, 0.4, (1, 2), attacks)
    else:
        analyze.analyze(logdir, attacks, num_shadow=(1, 2))
    return logdir
