"""The examples of tasks, at a small size and in this process."""

import numpy as np
import pytest

import mia_tf
from experiments.audits import examples


def train_here(task, num_models, seed):
    """As `mia_tf.train_shadow_models`, without the start of a worker."""
    # Half of the examples each: of another size, a private network is compiled anew and its noise sought anew.
    order = np.random.default_rng(seed).random((num_models, len(task.labels))).argsort(axis=1)
    members = order < len(task.labels) // 2
    answers = [task.answers(task.train_and_predict(np.flatnonzero(keep), k)) for k, keep in enumerate(members)]
    return mia_tf.ShadowModels(
        np.array(answers), members, task.labels, outputs=task.outputs, ids=task.ids, classes=task.classes
    )


@pytest.mark.parametrize("name", examples.NAMES)
def test_every_example_learns_and_is_audited(name):
    done = examples.audited(name, 4, 0, train_here)
    if done is None:
        pytest.skip(f"{examples.NAMES[name]} is not installed")
    audit, seconds = done
    table = examples.rows(name, audit, seconds)
    assert table[0][8] == "auroc" and {len(row) for row in table} == {len(examples.COLUMNS)}
    train_accuracy, out_accuracy = table[0][5:7]
    assert train_accuracy > 0.85 and out_accuracy > 0.85
    # Without privacy each of them fits its members better, by far more than four models' accuracies vary.
    assert (train_accuracy > 0.99) == (":private" not in name)
    assert table[0][-1].endswith(".") and len(table[0][-1]) > 40
