"""Files with tasks, as users write them, for tests."""

# A random forest on 569 real examples of two classes.
FOREST = """
import os
import time

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

import mia_tf

x, y = load_breast_cancer(return_X_y=True)
LARGE = np.where(x[:, 0] > x[:, 0].mean(), "large", "small")


def train_and_predict(rows, seed):
    time.sleep(float(os.environ.get("SECONDS_OF_A_MODEL", 0)))
    forest = RandomForestClassifier(12, min_samples_leaf=2, random_state=seed)
    return forest.fit(x[rows], y[rows]).predict_proba(x)


task = mia_tf.Task(
    train_and_predict, labels=y, ids=np.arange(569) + 1000, groups=LARGE,
    classes=["malignant", "benign"], outputs="probabilities",
)
"""

# A model of no time, or of as much as it is given, which needs no more than NumPy.
NOISE = """
import os
import time

import numpy as np

import mia_tf


def train_and_predict(rows, seed):
    time.sleep(float(os.environ.get("SECONDS_OF_A_MODEL", 0)))
    return np.random.default_rng(seed).normal(size=(40, 2))


task = mia_tf.Task(train_and_predict, labels=np.arange(40) % 2)
"""

# Of seven models only the last can be trained; each prints what an ASCII terminal lacks.
FAULTS = """
import os
import sys

import numpy as np

import mia_tf
from mia_tf.config import TaskConfig
from mia_tf.subsets import model_seed

labels = np.arange(40) % 2
MODELS = {model_seed(0, index): index for index in range(7)}


def train_and_predict(rows, seed):
    print("\\u00fc"); answers = np.random.default_rng(seed).normal(size=(40, 2))
    match MODELS[seed]:
        case 0:
            raise KeyError("no such\\nkey")
        case 1:
            answers[3] = np.nan
        case 2:
            return answers[:39]
        case 3:
            return np.ones((40, 3)) * answers[:, :1]
        case 4:
            sys.exit("enough")
        case 5:
            os._exit(7)
    return answers


task = mia_tf.Task(train_and_predict, labels=labels)
"""


def write(folder, name, text):
    """The path of a new file of a user's."""
    path = folder / f"{name}.py"
    path.write_text(text)
    return path
