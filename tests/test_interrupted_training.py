"""Training that is killed, interrupted, out of disk or shared by processes: nothing is lost, nothing is made twice."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import task_files
from train_commands import ENVIRONMENT, REPOSITORY, TINY, command, run

from mia_tf.store import Store


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """The flag of a user's task. What the processes share is the same for a network, whose workers import for long."""
    return f"--task={task_files.write(tmp_path_factory.mktemp('task'), 'noise', task_files.NOISE)}:task"


def test_a_model_that_another_process_holds_is_waited_for_at_rest(task, tmp_path):
    arguments = [task, f"--logdir={tmp_path}", "--num_experiments=2", "--workers=1"]
    assert run(*arguments, "--expid=1").returncode == 0

    with Store(tmp_path).claim(0) as claimed:
        assert claimed
        waiting = subprocess.Popen(
            command(*arguments), cwd=REPOSITORY, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
        )
        assert waiting.stderr.readline() == "waiting for 1 models that another process is training\n"
        before = processor_time(waiting.pid)
        time.sleep(0.5)
        assert processor_time(waiting.pid) - before < 0.2  # looking without a rest would take all of it
    _, printed = waiting.communicate(timeout=120)
    assert waiting.returncode == 0 and "model 0: train" in printed and Store(tmp_path).completed() == {0, 1}


def test_a_full_disk_ends_the_run_and_the_same_command_goes_on(own_arrays, tmp_path):
    """A limit on the size of files stands for the disk: the first logits do not fit, what is smaller does."""
    arguments = [f"--dataset=npz:{own_arrays}", f"--logdir={tmp_path}", "--num_experiments=3", "--queries=162", *TINY]
    done = run(*arguments, largest_file=100_000)
    assert done.returncode == 1
    assert f"it could not be written to {tmp_path}: File too large" in done.stderr
    assert "model 2 failed: not begun, because another could not be written" in done.stderr
    assert Store(tmp_path).completed() == set()
    assert run(*arguments).returncode == 0 and Store(tmp_path).completed() == {0, 1, 2}


def slow_run(own_arrays, logdir, workers=1):
    arguments = [f"--dataset=npz:{own_arrays}", f"--logdir={logdir}", "--num_experiments=8", *TINY, "--epochs=40"]
    return [*arguments, f"--workers={workers}"]


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def workers_of(run):
    """The process numbers of a command's workers."""
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def processor_time(process):
    """Seconds."""
    return sum(map(int, Path(f"/proc/{process}/stat").read_text().split()[13:15])) / os.sysconf("SC_CLK_TCK")


def asleep(process, seconds=0.3):
    """Whether a process has used no processor time for a while, and wants none: no thread of it waits for a core."""
    before = processor_time(process)
    time.sleep(seconds)
    states = {path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{process}/task").glob("*/stat")}
    return processor_time(process) == before and states == {"S"}


def test_kill_9_loses_only_models_in_training(own_arrays, tmp_path):
    first = subprocess.Popen(
        command(*slow_run(own_arrays, tmp_path, workers=2)), cwd=REPOSITORY, env=ENVIRONMENT, start_new_session=True
    )
    wait_for(lambda: (tmp_path / "config.json").exists() and len(Store(tmp_path).completed()) >= 2)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = {i: (tmp_path / f"experiment-{i}_8" / "keep.npy").stat().st_mtime_ns for i in Store(tmp_path).completed()}
    assert 2 <= len(kept) < 8
    Store(tmp_path).check_whole()
    assert run(*slow_run(own_arrays, tmp_path)).returncode == 0
    assert Store(tmp_path).completed() == set(range(8))
    assert all((tmp_path / f"experiment-{i}_8" / "keep.npy").stat().st_mtime_ns == t for i, t in kept.items())
    assert not list((tmp_path / ".work").iterdir())  # what the dead process left is swept


def test_a_worker_that_is_killed_costs_one_model(own_arrays, tmp_path):
    arguments = command(*slow_run(own_arrays, tmp_path), "--num_experiments=3", "--epochs=150")
    run = subprocess.Popen(arguments, cwd=REPOSITORY, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (tmp_path / "config.json").exists() and len(Store(tmp_path).completed()) >= 1)
    (worker,) = workers_of(run)
    states = [(0, 0.0)]

    def in_the_middle():
        """Whether it has worked for a while, of the seconds that a model takes, since models were last complete."""
        os.kill(worker, signal.SIGSTOP)
        present, seconds = len(Store(tmp_path).completed()), processor_time(worker)
        if present == states[-1][0] and seconds > states[-1][1] + 0.2:
            return True
        if present != states[-1][0]:
            states.append((present, seconds))
        os.kill(worker, signal.SIGCONT)
        return False

    wait_for(in_the_middle)
    os.kill(worker, signal.SIGKILL)
    _, printed = run.communicate(timeout=200)
    victim, _ = states[-1]  # one worker trains them in order
    assert run.returncode == 1 and f"model {victim} failed: its worker process was ended by SIGKILL" in printed, printed
    assert Store(tmp_path).completed() == {0, 1, 2} - {victim}


def test_a_worker_that_dies_while_it_has_no_model_costs_nothing(own_arrays, tmp_path):
    """The parent is stopped, so that its worker runs out of work, and only then is the worker killed."""
    arguments = command(*slow_run(own_arrays, tmp_path), "--num_experiments=3", "--epochs=5")
    run = subprocess.Popen(arguments, cwd=REPOSITORY, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (tmp_path / "config.json").exists() and len(Store(tmp_path).completed()) >= 1)
    os.kill(run.pid, signal.SIGSTOP)
    (worker,) = workers_of(run)
    wait_for(lambda: asleep(worker))
    os.kill(worker, signal.SIGKILL)
    os.kill(run.pid, signal.SIGCONT)
    _, printed = run.communicate(timeout=200)
    assert run.returncode == 0 and Store(tmp_path).completed() == {0, 1, 2}, printed


def test_two_processes_share_one_logdir(task, tmp_path):
    arguments = command(task, f"--logdir={tmp_path}", "--num_experiments=8", "--workers=1")
    slow = {**ENVIRONMENT, "SECONDS_OF_A_MODEL": "0.2"}
    both = [subprocess.Popen(arguments, cwd=REPOSITORY, env=slow, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert Store(tmp_path).completed() == set(range(8))
    trained = [
        line.split("] ")[1].split(":")[0] for text in printed for line in text.splitlines() if ": train " in line
    ]
    assert sorted(trained) == [f"model {i}" for i in range(8)]  # each by one of the two, none twice


def test_ctrl_c_keeps_what_is_complete(own_arrays, tmp_path):
    run = subprocess.Popen(
        command(*slow_run(own_arrays, tmp_path), "--num_experiments=200"),  # more than can be over before the signal
        cwd=REPOSITORY, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: (tmp_path / "config.json").exists() and len(Store(tmp_path).completed()) >= 1)
    os.killpg(run.pid, signal.SIGINT)
    _, printed = run.communicate(timeout=60)
    assert run.returncode == 130
    assert printed.splitlines()[-1].startswith("mia_tf.train: interrupted") and "Traceback" not in printed
    Store(tmp_path).check_whole()
