"""Locks of files, and the systems that lack them."""

import subprocess
import sys

from refusals import refuses

from mia_tf import locks

# As on Windows, where importing either fails.
WINDOWS = "import runpy, sys; sys.modules |= dict.fromkeys(['fcntl', 'resource']); sys.argv[0] = 'mia_tf'\n"


def test_a_lock_is_held_until_its_file_is_closed(tmp_path):
    with open(tmp_path / "a", "w") as first, open(tmp_path / "a", "w") as second:
        assert locks.lock(first, wait=False) and not locks.lock(second, wait=False)
        first.close()
        assert locks.lock(second, wait=True)


def test_a_system_without_locks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with refuses("logdir", sys.platform, "WSL"), open(tmp_path / "a", "w") as file:
        locks.lock(file, wait=True)


def test_commands_say_so_in_one_line(tmp_path):
    code = f"{WINDOWS}runpy.run_module('mia_tf.train', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", code, f"--logdir={tmp_path / 'run'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "on Windows, run it in WSL" in done.stderr
