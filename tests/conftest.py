"""Fixtures that the tests share."""

import os
from pathlib import Path

# Each test process has one core: on small matrices several threads wait for one another longer than they compute.
# The libraries read these variables when they are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings
from toys import make_dataset

from mia_tf.records import Dataset

# Equal results are a promise of the CPU's: GPUs multiply fewer bits, and two workers would fight for the memory of one.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Importing JAX sets it to 1 where it is not set, and commands that tests start would then say more than they do alone.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# On JAX, compiling takes nearly all of the time of small models: it is done in haste, and once for equal programs.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "xla"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
# What commands measure on this machine is measured for the first test that asks for it, not for the user's own runs.
os.environ["MIA_TF_CACHE"] = str(Path(__file__).parent.parent / ".pytest_cache" / "measured")

# A property that is slow because the machine is busy has not failed.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture
def nothing_measured(tmp_path, monkeypatch):
    """A machine on which nothing was measured before; yields the folder of measurements."""
    folder = tmp_path / "measured"
    monkeypatch.setenv("MIA_TF_CACHE", str(folder))
    return folder


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="session")
def own_arrays(tmp_path_factory):
    """A user's own archive."""
    data = make_dataset(num_over=60, num_under=20, num_test=12)
    path = tmp_path_factory.mktemp("own") / "toy.npz"
    np.savez(
        path, x_train=data.images, y_train=data.labels, group_train=data.groups,
        x_test=data.test_images, y_test=data.test_labels, group_test=data.test_groups,
    )  # fmt: skip
    return path
