"""Threads and processes that a user's task starts neither hold up a command nor outlive its interruption."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import task_files
from train_commands import ENVIRONMENT, REPOSITORY, command

from mia_tf.store import Store

# Each model does what the file's name says, and writes down the processes that it starts.
TASK = """
import multiprocessing
import os
import pathlib
import signal
import subprocess
import threading
import time

import numpy as np

import mia_tf

FILE = pathlib.Path(__file__)
STARTED = FILE.with_suffix(".pids")


def note(pid):
    with open(STARTED, "a") as file:
        file.write(f"{pid}\\n")


def forked():
    pid = os.fork()
    if not pid:
        time.sleep(200)
        os._exit(0)
    note(pid)


def train_and_predict(rows, seed):
    match FILE.stem:
        case "dies" if not STARTED.exists():
            forked()
            note(subprocess.Popen(["sleep", "200"], close_fds=False).pid)
            os.kill(os.getpid(), signal.SIGKILL)
        case "leaves":
            forked()
            threading.Thread(target=time.sleep, args=(200,)).start()
        case "waits":
            signal.signal(signal.SIGTERM, lambda *_: None)
            thread = threading.Thread(target=forked)
            thread.start()
            thread.join()
            program = subprocess.Popen(["sleep", "200"])
            note(program.pid)
            program.wait()
            time.sleep(200)
    return np.random.default_rng(seed).normal(size=(40, 2))


labels = np.arange(40) % 2
if FILE.stem == "refused" and multiprocessing.parent_process():
    threading.Thread(target=time.sleep, args=(200,)).start()
    labels = 1 - labels
task = mia_tf.Task(train_and_predict, labels=labels)
"""


class Started:
    """A train command of the task of a name, all of whose processes end with the test."""

    def __init__(self, folder, name):
        self.logdir, self.pids = folder / "run", folder / f"{name}.pids"
        path, self._printed = task_files.write(folder, name, TASK), folder / "printed"
        arguments = command(f"--task={path}:task", "--num_experiments=2", f"--logdir={self.logdir}")
        with open(self._printed, "w") as file:  # a pipe would be read until the last process of the task's has ended
            self.process = subprocess.Popen(
                arguments, cwd=REPOSITORY, env=ENVIRONMENT, stdout=file, stderr=file, start_new_session=True
            )

    def end(self):
        """Its exit code and what it printed, once it has ended."""
        return self.process.wait(timeout=100), self._printed.read_text()


@pytest.fixture
def start(tmp_path):
    with contextlib.ExitStack() as stack:

        def started(name):
            run = Started(tmp_path, name)
            stack.callback(kill, run.process.pid)
            return run

        yield started


def kill(session):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


def alive(pid):
    """Whether a process works: not whether a name is left of it, which who started it has not heard of."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def descendants(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [*map(int, children), *(other for child in children for other in descendants(child))]


def test_children_of_a_killed_worker_hold_neither_its_pipe_nor_its_model(start):
    """The command once waited until they had ended."""
    run = start("dies")
    code, printed = run.end()
    assert code == 0 and Store(run.logdir).completed() == {0, 1}, printed
    children = run.pids.read_text().split()
    assert len(children) == 2 and all(map(alive, children))


def test_what_a_task_leaves_behind_does_not_keep_the_command(start):
    run = start("leaves")
    code, printed = run.end()
    assert code == 0 and "2 of 2 models present" in printed, printed


def test_a_refused_task_whose_thread_goes_on_ends(start):
    code, printed = start("refused").end()
    assert code == 1 and "must be the same in each process; it differs in labels_digest" in printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all_workers_even_one_that_handles_sigterm(number, start):
    """Ctrl-C is for all that run in the terminal, and also ends what the task has started; SIGTERM is for one."""
    run = start("waits")
    end = time.monotonic() + 100
    while not (run.pids.exists() and run.pids.read_text().count("\n") == 2):
        assert time.monotonic() < end and run.process.poll() is None
        time.sleep(0.02)
    started = run.pids.read_text().split()
    workers = [pid for pid in descendants(run.process.pid) if "popen_loky" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert workers and all(map(alive, [*started, *workers]))
    (os.killpg if number == signal.SIGINT else os.kill)(run.process.pid, number)
    code, printed = run.end()
    assert code == 128 + number
    line = "mia_tf.train: interrupted; what is complete is kept, and the same command goes on"
    assert printed.splitlines()[-1] == line and "Traceback" not in printed
    assert not any(alive(pid) for pid in workers if str(pid) not in started)
    if number == signal.SIGINT:
        assert not any(map(alive, started))
