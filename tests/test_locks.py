"""A lock has one holder, its file goes with it, a dead holder's is taken over; and the systems that lack locks."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
import threading

import pytest
from refusals import refuses

from mia_tf.locks import allow_open_files, locked

# As on Windows, where importing either module fails, and os has no uname (which NumPy for Linux needs).
WINDOWS = (
    "import os, runpy, sys, numpy; del os.uname; sys.argv[0] = 'mia_tf'\n"
    "sys.modules |= dict.fromkeys(['fcntl', 'resource'])\n"
)
HOLD = (
    "import pathlib, sys; from mia_tf.locks import locked\n"
    "with locked(pathlib.Path(sys.argv[1])):\n"
    "    print(flush=True); sys.stdin.read()\n"
)
FORK = (
    "import os, pathlib, sys; from mia_tf.locks import locked\n"
    "path = pathlib.Path(sys.argv[1])\n"
    "with locked(path):\n"
    "    if os.fork():\n"
    "        sys.stdin.read()\n"
    "print(path.exists(), flush=True); sys.stdin.read()\n"
)


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path):
    path = tmp_path / "a.lock"
    with locked(path) as held, locked(path, wait=False) as twice:
        assert held and not twice and path.exists()
    assert not path.exists()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    path = tmp_path / "a.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    holder.stdout.readline()
    with locked(path, wait=False) as held:
        assert not held
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert path.exists()
    with locked(path, wait=False) as held:
        assert held
    assert not path.exists()


def test_a_forked_child_neither_removes_a_lock_nor_holds_it_on(tmp_path):
    path = tmp_path / "a.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", FORK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "True\n"  # the child has left the block
    with locked(path, wait=False) as held:
        assert not held
    holder.kill()
    holder.wait()
    with locked(path, wait=False) as held:
        assert held
    holder.communicate()  # the child waits for that


def test_a_file_that_its_holder_removes_meanwhile_is_no_lock(tmp_path, monkeypatch):
    """The file is opened before its holder removes it and locked after that; a third process then makes a new one."""
    path, flock, inodes = tmp_path / "a.lock", fcntl.flock, []

    def overtaken(file, how):
        flock(file, how)
        inodes.append(os.fstat(file).st_ino)
        if len(inodes) == 1:
            path.rename(tmp_path / "gone")
            path.touch()

    monkeypatch.setattr(fcntl, "flock", overtaken)
    with locked(path) as held:
        assert held and len(inodes) == 2 and path.stat().st_ino == inodes[1]


def test_many_who_wait_hold_it_one_after_the_other(tmp_path):
    """With files that come and go: two once would have held it if each had locked a file of its own."""
    path, inside, most = tmp_path / "a.lock", [], []

    def hold():
        for _ in range(50):
            with locked(path):
                inside.append(None)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 200 and set(most) == {1} and not list(tmp_path.iterdir())


def test_a_system_without_locks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with refuses("logdir", sys.platform, "WSL"), locked(tmp_path / "a.lock"):
        pass


def test_commands_say_so_in_one_line(tmp_path):
    code = f"{WINDOWS}runpy.run_module('mia_tf.train', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", code, f"--logdir={tmp_path / 'run'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "on Windows, run it in WSL" in done.stderr


@pytest.mark.parametrize(
    ("limit", "most", "models", "raised"),
    [
        (1024, 2**20, 4, 1024 + 10 + 4),
        (4096, 2**20, 4, None),
        (1024, 1030, 3000, 1030),
        (1024, resource.RLIM_INFINITY, 3000, 1024 + 10 + 3000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 3000, None),
    ],
)
def test_the_limit_of_open_files_is_raised_to_what_the_locks_need(limit, most, models, raised, monkeypatch):
    """It was once set to the largest allowed, which macOS calls infinite and refuses: no model could be claimed."""
    limits = []

    def refusing(_, pair):
        limits.append(pair)
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(os, "listdir", lambda folder: range(10))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, most))
    monkeypatch.setattr(resource, "setrlimit", refusing)
    allow_open_files(models)
    assert limits == ([] if raised is None else [(raised, most)])
