"""Three small analyses whose numbers are kept in this folder: two groups, one group, and other shadow models."""

import csv
from pathlib import Path

import numpy as np
from toys import make_dataset

from mia_tf import analyze
from mia_tf.records import ModelRecord
from mia_tf.store import Store

FOLDER = Path(__file__).parent
CASES = ("two_groups", "one_group", "other_shadow_models")
THINNED = {"curves": 25, "examples": 3}
"""Table -> one in N of its rows is kept."""
_LABEL_GAIN = 2.0


def write_logdir(logdir, dataset, num_models, seed, queries=2):
    """A LOGDIR of models that are surer of their members; half of the models have each example."""
    rng = np.random.default_rng(seed)
    count = len(dataset.labels)
    keep = rng.random((num_models, count)).argsort(axis=0) < num_models // 2
    logits = rng.normal(size=(num_models, count, 1, queries, dataset.num_classes)).astype(np.float32)
    margin = rng.normal(size=count) + _LABEL_GAIN * keep * rng.random(count)
    logits[:, np.arange(count), 0, :, dataset.labels] += np.moveaxis(np.float32(margin), 0, 1)[..., None]
    store = Store.create(logdir, {"arch": "cnn8-3-max", "num_experiments": num_models}, lambda: dataset)
    hparams = {"num_experiments": num_models}
    for index in range(num_models):
        metrics = {"test_accuracy_all": 0.5 + 0.01 * index, "test_accuracy_under": 0.4}
        store.write(ModelRecord(index, keep[index], logits[index], 3, hparams, metrics))


def analyze_case(case, folder):
    """Makes and analyzes the LOGDIR of a case; returns the folder of its tables."""
    if case == "one_group":
        write_logdir(folder / "one", make_dataset(num_over=150, num_under=0), 8, seed=2)
        analyze.analyze(folder / "one")
        return folder / "one" / "analysis"
    dataset = make_dataset(num_over=180, num_under=30)
    write_logdir(folder / "two", dataset, 12, seed=0)
    if case == "two_groups":
        analyze.analyze(folder / "two", num_shadow=[1, 2], delta=1e-5)
        return folder / "two" / "analysis"
    write_logdir(folder / "shadows", dataset, 16, seed=1)
    analyze.analyze(folder / "two", shadow_logdir=folder / "shadows")
    return folder / "two" / "analysis" / "shadow_shadows"


def read_rows(path):
    """The rows of a CSV, its header first."""
    with open(path, newline="") as file:
        return list(csv.reader(file))


def thinned(name, rows):
    """The rows of a table that are kept."""
    return [rows[0], *rows[1 :: THINNED.get(name, 1)]]
