"""`mia_tf.train_shadow_models`, in this process and as scripts and notebooks call it."""

import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import task_files
from refusals import refuses
from train_commands import ENVIRONMENT, REPOSITORY

import mia_tf
from mia_tf.store import Store
from mia_tf.subsets import model_seed
from mia_tf.task import load_task
from mia_tf.training.executors.tasks import TaskExecutor

LABELS = np.arange(30) % 3


def make(scale=1.0, broken=Path("nowhere")):
    """A task whose answers follow from its arguments; its function is of this one. A file names seeds that fail."""

    def function(rows, seed):
        if broken.exists() and str(seed) in broken.read_text().split():
            raise ValueError("broken")
        assert rows.dtype == np.int64 and type(seed) is int
        answers = np.random.default_rng(seed).normal(size=(30, 2, 3)) * scale
        answers[rows, :, LABELS[rows]] += 5
        return answers

    return mia_tf.Task(function, labels=np.array(["a", "b", "c"])[LABELS], groups=LABELS // 2)


def test_it_returns_the_record_of_the_models(tmp_path):
    shadows = mia_tf.train_shadow_models(make(), num_models=4, seed=0, logdir=tmp_path / "run")
    assert len(shadows) == 4 and shadows.shape == (30, 2, 3) and shadows.classes == ("a", "b", "c")
    assert (shadows.members.sum(axis=0) == 2).all()
    for index, model in enumerate(shadows.models):
        seed = model_seed(0, index)
        expected = np.random.default_rng(seed).normal(size=(30, 2, 3))
        rows = np.flatnonzero(model.member)
        expected[rows, :, LABELS[rows]] += 5
        np.testing.assert_array_equal(shadows.read_logits(index), expected.astype(np.float32))
        assert model.hparams()["seed"] == seed
    stamps = [path.stat().st_mtime_ns for path in sorted((tmp_path / "run").glob("experiment-*/keep.npy"))]
    mia_tf.train_shadow_models(make(), num_models=4, seed=0, logdir=str(tmp_path / "run"))  # nothing is left to train
    assert stamps == [path.stat().st_mtime_ns for path in sorted((tmp_path / "run").glob("experiment-*/keep.npy"))]
    with refuses("logdir", advice="it differs in seed"):
        mia_tf.train_shadow_models(make(), num_models=4, seed=1, logdir=tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "num_experiments")
    with refuses("num_models", 6, advice="Argument `num_models` must stay 4") as refused:
        mia_tf.train_shadow_models(make(), num_models=6, seed=0, logdir=tmp_path / "num_experiments")
    assert str(refused.value).endswith("Received: num_models=6") and "/num_experiments: in" in str(refused.value)


def test_numpys_integers_are_integers(tmp_path):
    """They once passed the checks, and then JSON did not take them."""
    for seed, count in ((np.int64(1), np.int32(4)), (1, 4), (np.int64(1), 4)):
        shadows = mia_tf.train_shadow_models(make(), num_models=count, seed=seed, logdir=tmp_path / "run")
        assert [model.hparams()["seed"] for model in shadows.models] == [model_seed(1, index) for index in range(4)]
    assert Store(tmp_path / "run").config()["seed"] == 1


def test_without_a_logdir_the_answers_are_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shadows = mia_tf.train_shadow_models(make(), num_models=4, workers=2)
    assert not list(tmp_path.iterdir())
    assert shadows.read_logits(3).shape == (30, 2, 3) and shadows.models[0].metrics()["num_members"]
    assert shadows.about.planned == 4 and set(shadows.groups) == {"over", "under"}
    audit = mia_tf.audit(shadows, attacks=["yeom"])
    assert audit.records["label"].tolist()[:3] == ["a", "b", "c"]


def test_models_that_fail_are_warned_about_by_name(tmp_path):
    broken = tmp_path / "broken.txt"
    broken.write_text(str(model_seed(0, 2)))
    with pytest.warns(UserWarning, match=r"model 2 failed: .*function raised ValueError: broken \(.*line \d+\)"):
        shadows = mia_tf.train_shadow_models(make(broken=broken), num_models=4, logdir=tmp_path / "run")
    assert [model.index for model in shadows.models] == [0, 1, 3]
    broken.unlink()
    with warnings.catch_warnings(action="error"):  # the one that is missing is tried again
        assert len(mia_tf.train_shadow_models(make(broken=broken), num_models=4, logdir=tmp_path / "run")) == 4


def test_too_few_models_for_an_audit_are_said_before_training():
    with pytest.warns(UserWarning, match="mia_tf.audit needs 4 models, unless these are its targets"):
        mia_tf.train_shadow_models(make(), num_models=2)


def test_models_that_somebody_removed_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "completed", lambda self: set())
    with pytest.raises(RuntimeError, match="model 0: its folder is no longer in"):
        mia_tf.train_shadow_models(make(), num_models=4, logdir=tmp_path / "run")


def test_a_task_of_which_no_model_can_be_trained_is_an_error(tmp_path):
    broken = tmp_path / "broken.txt"
    broken.write_text(" ".join(str(model_seed(0, index)) for index in range(4)))
    with pytest.raises(RuntimeError, match=r"none of 4 models could be trained; model 0: .*ValueError: broken"):
        mia_tf.train_shadow_models(make(broken=broken), num_models=4, logdir=tmp_path / "run")


@pytest.mark.parametrize(
    ("argument", "value", "received"),
    [
        ("task", print, "builtin_function_or_method"),
        ("num_models", 1, 1),
        ("pkeep", 0, 0),
        ("pkeep", 0.01, 0.01),
        ("seed", -1, -1),
        ("workers", 0, 0),
        ("logdir", "/dev/null/run", Path("/dev/null/run")),
    ],
)
def test_bad_arguments_are_refused_before_any_work(argument, value, received):
    with refuses(argument, received):
        mia_tf.train_shadow_models(**{"task": make(), "num_models": 4, argument: value})


def test_what_cannot_be_sent_to_a_worker_is_refused():
    lock = threading.Lock()
    task = mia_tf.Task(lambda rows, seed: lock, labels=LABELS)
    with refuses("train_and_predict", task.name, "can be sent to another process (TypeError: cannot pickle"):
        mia_tf.train_shadow_models(task, num_models=4)


SCRIPT = """
import numpy as np
import mia_tf

print("begun", flush=True)
labels = np.arange(30) % 2
scale = 3


def train(strength):
    return lambda rows, seed: np.random.default_rng([seed, len(rows)]).normal(size=(30, 2)) * strength * scale


shadows = mia_tf.train_shadow_models(mia_tf.Task(train(2), labels=labels), num_models=4, workers=2)
print(len(shadows), round(float(np.abs(shadows.read_logits(0)).mean()), 3))
"""


def test_a_closure_of_a_notebook_and_of_a_script_without_a_guard(tmp_path):
    """From stdin, as a notebook has no file either; and from a file, whose workers do not run it again."""
    path = task_files.write(tmp_path, "script", SCRIPT)
    outputs = []
    environment = {**ENVIRONMENT, "PYTHONPATH": str(REPOSITORY)}
    for arguments, text in ((["-"], SCRIPT), ([path], None)):
        done = subprocess.run(
            [sys.executable, *arguments], input=text, cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
        assert all(line.startswith(("[", "warning: model")) for line in done.stderr.splitlines()), done.stderr
    assert outputs[0] == outputs[1] and outputs[0].startswith("begun\n4 ") and outputs[0].count("begun") == 1


def test_a_call_goes_on_with_the_logdir_of_the_command(tmp_path, monkeypatch):
    """The same file is the same task, whichever way it is trained."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    task = load_task(f"{task_files.write(tmp_path, 'forest_of_both', task_files.FOREST)}:task")
    arguments = [f"--task={tmp_path / 'forest_of_both.py'}:task", "--num_experiments=4", "--expid=1"]
    done = subprocess.run(
        [sys.executable, "-m", "mia_tf.train", *arguments, f"--logdir={tmp_path / 'run'}"],
        cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0 and Store(tmp_path / "run").completed() == {1}, done.stderr
    monkeypatch.setattr(TaskExecutor, "train_models", lambda self, store, config, indices: {indices[0]: "asked"})
    with pytest.warns(UserWarning, match="model 0 failed: asked"):
        shadows = mia_tf.train_shadow_models(task, num_models=4, logdir=tmp_path / "run")
    assert [model.index for model in shadows.models] == [1]
