"""A random forest on scikit-learn's breast-cancer table: any model is a task, and zeros are probabilities too.

python -m mia_tf.train --task=experiments/audits/tasks/cancer_forest.py:task --num_experiments=64
"""

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

import mia_tf

x, y = load_breast_cancer(return_X_y=True)


def train_and_predict(rows, seed):
    return RandomForestClassifier(100, random_state=seed).fit(x[rows], y[rows]).predict_proba(x)


task = mia_tf.Task(train_and_predict, labels=y, classes=["malignant", "benign"], outputs="probabilities")
