"""A run of invented records, without models, as the tables and figures of the experiments read it."""

from types import SimpleNamespace

import pandas as pd

from experiments.reproduction.measured import Measured
from mia_tf.analysis import tables
from mia_tf.analysis.result import Audit


def make_measured(**records):
    """A run of MNIST with SVHN whose audit holds these columns of `Audit.records`, and no other table."""
    frames = {name: tables.table(name, []) for name in tables.COLUMNS} | {"examples": pd.DataFrame(records)}
    about = {"group_titles": {"over": "MNIST", "under": "SVHN"}, "arch": "cnn2-1-max", "stand_in": ""}
    return Measured(SimpleNamespace(mixture="mnist_svhn", selection="random"), None, Audit(frames, about))
