"""Mean accuracies of the models, with intervals that end where accuracies do."""

from types import SimpleNamespace

import numpy as np

from mia_tf.analysis import accuracy


def test_no_accuracy_is_above_one():
    """The interval of 100%, 100% and 90% once went up to 111%."""
    tally = accuracy.AccuracyTally()
    block = SimpleNamespace(start=0, keep=np.ones((10, 3), bool))
    correct = np.ones((10, 3), bool)
    correct[0, 2] = False
    tally.add(block, SimpleNamespace(correct=correct), {"all": np.ones(10, bool)})
    ((*_, mean, low, high, count),) = tally.rows()
    assert count == 3 and 0.8 < low < mean < high == 1
    models = [SimpleNamespace(metrics=lambda value=value: {"test_accuracy_all": value}) for value in (0.0, 0.0, 0.1)]
    record = SimpleNamespace(models=models, populations={"all": None})
    ((*_, mean, low, high, count),) = accuracy.test_image_rows(record)
    assert count == 3 and 0 == low < mean < high < 0.2
