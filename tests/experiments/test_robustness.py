"""The short forms of what disturbs the commands: kills, two processes, a full disk and inputs that are wrong."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.robustness import full_disk, job, kills, mutations, ray_cut, two_hosts
from mia_tf.store import Store

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A job, and the record and the seconds of its undisturbed run."""
    folder = tmp_path_factory.mktemp("task")
    started = job.task_job(folder)
    return started, *job.undisturbed(started, folder)


def test_five_kills_lose_nothing_and_leave_nothing_behind(task, tmp_path):
    """25 files once stayed behind after 15 kills."""
    counts = kills.killed_alone(*task, 5, tmp_path, np.random.default_rng(0))
    assert sum(counts[moment, "kills"] for moment in kills.MOMENTS) == 5
    assert sum(counts[moment, "ended well"] for moment in kills.MOMENTS) >= 1


def test_two_processes_share_a_logdir_and_one_is_killed(task, tmp_path):
    counts = kills.killed_shared(*task, 1, tmp_path, np.random.default_rng(0))
    assert sum(counts[moment, "kills"] for moment in kills.MOMENTS) == 1
    assert sum(counts[moment, "ended well"] for moment in kills.MOMENTS) == 1


def test_a_disk_that_fills_up_loses_nothing(task, tmp_path):
    started, reference, _ = task
    try:
        with full_disk.mounted(tmp_path / "disk") as disk:
            row = full_disk.train(disk, started, 1_000_000, reference, tmp_path / "log")
    except PermissionError as error:
        pytest.skip(str(error))
    assert row["exit_code"] == 1 and 0 < row["models_present"] < len(reference)


def test_wrong_inputs_end_with_one_line():
    """A fixed part of the inputs; `python -m experiments.robustness.mutated_inputs` has all."""
    command = [
        sys.executable,
        "-m",
        "experiments.robustness.mutated_inputs",
        "--inputs=15",
        "--commands=train,new,analyze",
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_mutation_makes_a_file_another(tmp_path):
    rng, ways = np.random.default_rng(0), set()
    for turn in range(300):
        name = ("a.npy", "a.npz", "a.json", "a.csv")[turn % 4]
        path = tmp_path / f"{turn}-{name}"
        if path.suffix == ".npy":
            np.save(path, np.arange(12).reshape(4, 3))
        elif path.suffix == ".npz":
            np.savez(path, x=np.arange(12).reshape(4, 3), y=np.arange(4))
        else:
            path.write_text('{"a": 1}' if path.suffix == ".json" else "a,b\n1,2\n3,4\n")
        before = path.read_bytes()
        ways.add((path.suffix, mutations.mutate(path, rng, tmp_path / "trap")))
        assert not path.is_file() or path.is_symlink() or path.read_bytes() != before or name == "a.json"
    assert not (tmp_path / "trap").exists() and len(ways) > 40


def test_a_check_finds_what_is_lost_changed_or_left_behind(task, tmp_path):
    started, reference, _ = task
    assert job.finish(started.start(tmp_path / "run", tmp_path / "log"), tmp_path / "log") == 0
    job.check_ended_well(tmp_path / "run", reference)
    with pytest.raises(AssertionError, match="are lost"):
        job.check_kept(tmp_path / "run", {*reference, 99}, reference)
    (tmp_path / "run" / ".work" / "model-3.lock").touch()
    (tmp_path / "run" / f".config.json.{'0' * 32}").touch()
    with pytest.raises(AssertionError, match=r"left behind in .*: \.config\.json.*, \.work/model-3\.lock"):
        job.check_ended_well(tmp_path / "run", reference)
    (model, *_) = Store(tmp_path / "run").models()
    np.save(model.file, model.read_logits()[:, None] + 1)
    with pytest.raises(AssertionError, match=r"models \[0\] differ"):
        job.check_kept(tmp_path / "run", set(), reference)


@pytest.mark.slow
def test_a_cluster_whose_link_is_cut_for_good(tmp_path):
    if reason := two_hosts.why_not():
        pytest.skip(reason)
    pytest.importorskip("ray")
    started = ray_cut.job_to_cut()
    reference, _ = job.undisturbed(started, tmp_path)
    row = ray_cut.cut(started, two_hosts.NEAR, 0, reference, tmp_path)
    assert row["exit_code"] == 0 and row["models"] == len(reference)
