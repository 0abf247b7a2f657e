"""The train command on a user's own task, in processes of its own."""

import csv
import os
import signal
import subprocess
import time

import numpy as np
import pytest
import task_files
from train_commands import AWKWARD, ENVIRONMENT, REPOSITORY, command, escaped, run

import mia_tf
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.store import Store


@pytest.fixture(scope="module")
def forest(tmp_path_factory):
    """A user's file, and the LOGDIR of its eight models, trained by one worker; its name is awkward."""
    folder = tmp_path_factory.mktemp("forest") / AWKWARD
    folder.mkdir()
    path = task_files.write(folder, "forest_task", task_files.FOREST)
    arguments = ["--task=~/forest_task.py:task", "--num_experiments=8", "--logdir=~/run", "--workers=1"]
    done = run(*arguments, HOME=folder, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    assert lines[0] == f"forest_task.train_and_predict: 569 examples, {escaped(folder / 'run')}"
    assert lines[1:3] == ["0 of 8 models present, 8 to train.", lines[2]] and lines[2].startswith(
        "8 of 8 models present"
    )
    assert all(line.startswith("[") for line in lines[3:]) and len(lines) == 11, lines
    return path, folder / "run"


def same_models(one, other):
    """The models of two LOGDIRs are the same, bit for bit."""
    one, other = (Store(logdir).models() for logdir in (one, other))
    assert [model.index for model in one] == [model.index for model in other]
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.keep, second.keep)
        np.testing.assert_array_equal(first.read_logits(), second.read_logits())
        assert first.hparams() == second.hparams()
        assert first.metrics()["answers_digest"] == second.metrics()["answers_digest"]


def test_a_forest_is_audited_end_to_end(forest):
    """With --out, from a LOGDIR where nothing may be written, and printed to a terminal that has ASCII alone."""
    _, logdir = forest
    before = {path: path.stat().st_mtime_ns for path in logdir.rglob("*")}
    out = logdir.parent / "out"
    analyzed = run("--logdir=~/run", "--out=~/out", module="mia_tf.analyze", HOME=out.parent, PYTHONIOENCODING="ascii")
    assert analyzed.returncode == 0 and escaped(out / "attacks.csv") in analyzed.stdout, analyzed.stderr
    done = run(f"--logdir={logdir}", f"--out={out}", module="mia_tf.plot", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == escaped(out / "figures" / "roc.png")
    assert before == {path: path.stat().st_mtime_ns for path in logdir.rglob("*")}
    with open(out / "examples.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["example_id"] for row in rows] == [str(1000 + i) for i in range(569)]
    assert {row["label"] for row in rows} == {"malignant", "benign"}
    assert {row["group"] for row in rows} == {"large", "small"}
    audit = mia_tf.load_audit(out)
    auroc = audit.attacks.query("metric == 'auroc' and population == 'all'").set_index("attack")["value"]
    # A forest knows its members: attacks that compare with other models tell them from others. Eight models of 569
    # examples have a standard error of about 1%.
    assert auroc["rmia"] > 0.58 and auroc["lira_online_fixed"] > 0.54
    metrics = Store(logdir).models()[0].metrics()
    assert metrics["train_accuracy_all"] > 0.97 and metrics["num_members"] == Store(logdir).models()[0].keep.sum()
    assert {"train_accuracy_large", "out_accuracy_small"} <= set(metrics)


def test_two_workers_and_an_interruption_change_nothing(forest, tmp_path):
    path, logdir = forest
    arguments = [f"--task={path}:task", "--num_experiments=8", f"--logdir={tmp_path}", "--workers=2"]
    slow = {**ENVIRONMENT, "SECONDS_OF_A_MODEL": "0.5"}
    first = subprocess.Popen(
        command(*arguments), cwd=REPOSITORY, env=slow, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    end = time.monotonic() + 120
    while not ((tmp_path / "config.json").exists() and Store(tmp_path).completed()):
        assert time.monotonic() < end and first.poll() is None
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGINT)
    _, printed = first.communicate(timeout=60)
    assert first.returncode == 130 and "Traceback" not in printed
    assert printed.splitlines()[-1].startswith("mia_tf.train: interrupted")
    before = Store(tmp_path).completed()
    assert 1 <= len(before) < 8
    done = run(*arguments)
    assert done.returncode == 0 and f"{len(before)} of 8 models present, {8 - len(before)} to train." in done.stdout
    same_models(tmp_path, logdir)


def test_models_that_fail_cost_no_others(tmp_path):
    path = task_files.write(tmp_path, "faults", task_files.FAULTS)
    done = run(f"--task={path}:task", "--num_experiments=7", f"--logdir={tmp_path / 'run'}", PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert Store(tmp_path / "run").completed() == {6}
    named = [line for line in done.stderr.splitlines() if line.startswith("mia_tf.train: ")]
    unusable = (
        "faults.train_and_predict returned answers that cannot be used: Argument `train_and_predict`: the answers must"
    )
    raised = "faults.train_and_predict raised"
    reasons = [
        f"{raised} KeyError: 'no such\\nkey' (faults.py, line 19)",
        f"{unusable} be finite. Received: NaN or infinity",
        f"{unusable} have shape (40, 2) or, for Q views, (40, Q, 2). Received: shape (39, 2)",
        f"{unusable} have shape (40, 2) or, for Q views, (40, Q, 2). Received: shape (40, 3)",
        f"{raised} SystemExit: enough (faults.py, line 27)",
        "its worker process ended with exit code 7",
    ]
    assert named == [f"mia_tf.train: model {index} failed: {reason}" for index, reason in enumerate(reasons)]
    assert "1 of 7 models present. The same command tries the rest again." in done.stdout


CHANGES_FOLDER = """
import os
from pathlib import Path

import numpy as np

import mia_tf

os.chdir(Path(__file__).parent)

def train_and_predict(rows, seed):
    os.chdir("/")
    return np.random.default_rng(seed).normal(size=(40, 2))

task = mia_tf.Task(train_and_predict, labels=np.arange(40) % 2)
"""


def test_a_task_may_change_its_folder(tmp_path):
    """Its models once went to another LOGDIR than the command's."""
    path = task_files.write(tmp_path, "elsewhere", CHANGES_FOLDER)
    (tmp_path / "here").mkdir()
    arguments = [f"--task={path}:task", "--num_experiments=4", "--logdir=runs"]
    done = subprocess.run(command(*arguments), cwd=tmp_path / "here", env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0 and "4 of 4 models present. Next: " in done.stdout, done.stderr
    assert Store(tmp_path / "here" / "runs").completed() == {0, 1, 2, 3}
    assert not (tmp_path / "runs").exists()


def test_a_task_of_which_every_model_fails_is_not_tried_to_the_end(tmp_path):
    text = CHANGES_FOLDER.replace('os.chdir("/")', 'raise ValueError("no such column")')
    path, logdir = task_files.write(tmp_path, "hopeless", text), tmp_path / "run"
    done = run(f"--task={path}:task", "--num_experiments=5", f"--logdir={logdir}")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("mia_tf.train: ")]
    raised = "hopeless.train_and_predict raised ValueError: no such column (hopeless.py, line 12)"
    reasons = [raised] * 3 + ["not begun, because the first 3 models all failed in the same way"] * 2
    assert lines == [f"mia_tf.train: model {index} failed: {reason}" for index, reason in enumerate(reasons)]
    task_files.write(tmp_path, "hopeless", text + "\n")  # the mended file
    done = run(f"--task={path}:task", "--num_experiments=5", f"--logdir={logdir}")
    assert done.returncode == 2 and "It holds no models: delete it to begin anew" in done.stderr


def test_a_changed_file_does_not_go_on_with_an_old_logdir(forest, tmp_path):
    path, logdir = forest
    again = run(f"--task={path}:task", "--num_experiments=8", f"--logdir={logdir}")
    assert again.returncode == 0 and "8 of 8 models present, 0 to train." in again.stdout
    for text, field in (
        (task_files.FOREST.replace("min_samples_leaf=2", "min_samples_leaf=1"), "task_digest ("),
        (task_files.FOREST.replace("labels=y,", "labels=1 - y,"), "labels_digest ("),
        (task_files.FOREST.replace(" + 1000", " + 2000"), "ids_digest ("),
    ):
        path = task_files.write(tmp_path, "forest_task", text)
        done = run(f"--task={path}:task", "--num_experiments=8", f"--logdir={logdir}")
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert "must be new or hold the same configuration; it differs in" in line and field in line
        assert "task (" not in line  # the name of the file and of the function


def test_one_model_at_a_time_and_a_dry_run(forest, tmp_path):
    path, logdir = forest
    arguments = [f"--task={path}:task", "--num_experiments=8", f"--logdir={tmp_path / 'run'}"]
    dry = run(*arguments, "--dry_run")
    assert dry.returncode == 0 and "0 of 8 models present, 8 to train." in dry.stdout
    assert not (tmp_path / "run").exists()
    alone = run(*arguments, "--expid=3")
    assert alone.returncode == 0 and Store(tmp_path / "run").completed() == {3}
    actual, expected = ShadowModels.open(tmp_path / "run").models[0], ShadowModels.open(logdir).models[3]
    np.testing.assert_array_equal(actual.read(0, len(actual.member)), expected.read(0, len(expected.member)))


SAME = """
import numpy as np

import mia_tf

labels = np.arange(40) % 2
task = mia_tf.Task(lambda rows, seed: np.eye(2)[labels] * 3, labels=labels)
"""


def test_a_task_that_ignores_its_rows_is_warned_about_once(tmp_path):
    path = task_files.write(tmp_path, "constant", SAME)
    arguments = [f"--task={path}:task", "--num_experiments=6", f"--logdir={tmp_path / 'run'}"]
    done = run(*arguments, "--expid=0-3")
    assert done.returncode == 0
    line = (
        "warning: models 0 and 1 gave the same answers: does the task train on the rows that it gets, and use its seed?"
    )
    assert [text for text in done.stderr.splitlines() if "warning" in text] == [line]
    later = run(*arguments, "--expid=5")  # compared with models of an earlier command, too
    assert later.returncode == 0 and "warning: models 0 and 5 gave the same answers" in later.stderr


PROCESSES = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np

import mia_tf


def draw(seed):
    return np.random.default_rng(seed).normal(size=(40, 2))


def train_and_predict(rows, seed):
    assert multiprocessing.get_start_method() != "loky"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(draw, [seed]))[0]


task = mia_tf.Task(train_and_predict, labels=np.arange(40) % 2)
"""


def test_a_task_may_start_processes_of_its_own(tmp_path):
    """As PyTorch's loaders of data do. Those of spawn once could not start below a worker of loky's."""
    path = task_files.write(tmp_path, "processes", PROCESSES)
    done = run(f"--task={path}:task", "--num_experiments=2", f"--logdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr[-2000:]


RANDOM = """
import numpy as np

import mia_tf

task = mia_tf.Task(print, labels=np.random.default_rng().integers(0, 2, 40))
"""


def test_a_file_whose_task_differs_in_each_process_is_named(tmp_path):
    path = task_files.write(tmp_path, "random_labels", RANDOM)
    done = run(f"--task={path}:task", "--num_experiments=4", f"--logdir={tmp_path / 'run'}")
    reason = "no worker process could be started: Argument `task` must be the same in each process; it differs in"
    assert done.returncode == 1 and f"model 0 failed: {reason} labels_digest" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task=my_task.py"], "`task`"),
        (["--task=/nowhere/my_task.py:task"], "`task`"),
        (["--epochs=3"], "`epochs`"),
        (["--dataset=mnist"], "`dataset`"),
        (["--dp"], "`dp`"),
        (["--ensemble_size=2"], "`ensemble_size`"),
        (["--num_experiments=1"], "num_experiments=1"),
        (["--pkeep=0.1", "--num_experiments=4"], "`pkeep`"),
        (["--expid=64"], "`expid`"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, tmp_path):
    path = task_files.write(tmp_path, "constant", SAME)
    done = run(f"--task={path}:task", f"--logdir={tmp_path / 'run'}", *arguments)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("mia_tf.train: ") and message in line
    assert done.stdout == "" and not (tmp_path / "run").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["--num_experiments=2"]])
def test_a_command_whose_output_nobody_reads_ends_quietly(arguments, tmp_path):
    """It was once an error of the LOGDIR, or of Python's end."""
    path = task_files.write(tmp_path, "constant", SAME)
    read, write = os.pipe()
    os.close(read)
    arguments = command(f"--task={path}:task", f"--logdir={tmp_path / 'run'}", *arguments)
    done = subprocess.run(arguments, cwd=REPOSITORY, env=ENVIRONMENT, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.returncode == 128 + signal.SIGPIPE and done.stderr == ""


def test_several_models_at_once_are_a_keras_task_s_alone(tmp_path):
    path = task_files.write(tmp_path, "constant", SAME)
    done = run(f"--task={path}:task", f"--logdir={tmp_path / 'run'}", "--ensemble_size=2", KERAS_BACKEND="jax")
    line = "Argument `ensemble_size` must be auto or 1, unless the task is a mia_tf.KerasTask. "
    assert done.returncode == 2 and line in done.stderr and done.stderr.count("\n") == 1
