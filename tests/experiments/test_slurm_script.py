"""The example of an array job, run as Slurm runs each of its tasks."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toys import make_dataset

from mia_tf import backend
from mia_tf.store import Store

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "experiments" / "slurm" / "train.sbatch"


def task(number, first, last, python, flagfile, logdir, models, count=None):
    """What one task says, of an array --array=first-last, or of `count` tasks between these."""
    environment = {
        **os.environ, "SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_MIN": str(first),
        "SLURM_ARRAY_TASK_MAX": str(last), "SLURM_ARRAY_TASK_COUNT": str(count or last - first + 1),
        "PYTHON": python, "KERAS_BACKEND": backend.name(),
    }  # fmt: skip
    command = ["bash", str(SCRIPT), str(flagfile), str(logdir), str(models)]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == (2 if count else 0), done.stderr
    return done.stderr if count else done.stdout


@pytest.mark.parametrize("first, last, models", [(0, 3, 64), (2, 4, 10), (0, 6, 5), (0, 0, 7)])
def test_the_tasks_share_out_every_model_once(first, last, models):
    trained = []
    for number in range(first, last + 1):
        printed = task(number, first, last, "echo", "a.flags", "b", models)
        if printed:  # none if there are more tasks than models
            flags, expid = printed.split(" --expid=")
            assert flags == f"-m mia_tf.train --flagfile=a.flags --logdir=b --num_experiments={models}"
            begin, end = map(int, expid.split("-"))
            trained += range(begin, end + 1)
    assert trained == list(range(models))


def test_an_array_with_gaps_is_refused():
    assert "must be a range without gaps" in task(3, 3, 7, "echo", "a.flags", "b", 64, count=2)


def test_a_task_trains_its_models(tmp_path):
    data = make_dataset(num_over=60, num_under=20)
    np.savez(tmp_path / "toy.npz", x_train=data.images, y_train=data.labels, group_train=data.groups)
    settings = [f"--dataset=npz:{tmp_path / 'toy.npz'}", "--arch=cnn2-1-max", "--epochs=2", "--batch=8"]
    settings += ["--augment=none", "--workers=1", "--threads_per_worker=1"]
    (tmp_path / "tiny.flags").write_text("\n".join(settings))
    printed = task(1, 0, 1, sys.executable, tmp_path / "tiny.flags", tmp_path / "run", 4)
    assert "2 of 2 models present." in printed and Store(tmp_path / "run").completed() == {2, 3}
