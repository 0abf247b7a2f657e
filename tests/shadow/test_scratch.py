"""A scratch folder goes with its owner, also one that was killed, and nobody takes a living one's."""

import os
import signal
import subprocess
import sys

import pytest

from mia_tf.shadow.scratch import scratch_folder

HOLD = (
    "import pathlib, sys; from mia_tf.shadow.scratch import scratch_folder\n"
    "with scratch_folder(pathlib.Path(sys.argv[1])) as folder:\n"
    "    (folder / 'phi').write_text('x'); print(folder, flush=True); sys.stdin.read()\n"
)


@pytest.fixture
def holder(tmp_path):
    """A process that holds a scratch folder, and that folder's path."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def with_locks(*names):
    """These scratch folders and their locks, as `names` lists them."""
    return sorted([*names, *(f"{name}.lock" for name in names)])


def test_it_disappears_also_after_a_failure(tmp_path):
    with pytest.raises(RuntimeError), scratch_folder(tmp_path) as folder:
        assert folder.parent == tmp_path and folder.is_dir()
        (folder / "phi").write_text("x")
        raise RuntimeError
    assert names(tmp_path) == []


def test_a_living_owners_folder_is_left_alone_and_a_killed_ones_removed(tmp_path, holder):
    process, path = holder
    (tmp_path / "attacks.csv").write_text("a table")
    with scratch_folder(tmp_path) as own:
        assert names(tmp_path) == [*with_locks(own.name, path.rsplit("/", 1)[1]), "attacks.csv"]
        assert (tmp_path / path / "phi").exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.rsplit("/", 1)[1] in names(tmp_path)
    with scratch_folder(tmp_path) as own:
        assert names(tmp_path) == [*with_locks(own.name), "attacks.csv"]
    assert names(tmp_path) == ["attacks.csv"]


def test_folders_of_earlier_versions_have_no_lock_and_are_removed(tmp_path):
    (tmp_path / ".scratch-old").mkdir()
    (tmp_path / ".scratch-old" / "phi-0.f64").write_text("x")
    with scratch_folder(tmp_path) as own:
        assert names(tmp_path) == with_locks(own.name)
    assert names(tmp_path) == []


def test_what_another_user_left_in_a_folder_of_all_users_is_passed_over(tmp_path, monkeypatch):
    """It once ended a large audit of arrays in memory, whose scratch folder is in /tmp."""
    (tmp_path / ".scratch-theirs").mkdir()
    (tmp_path / ".scratch-theirs.lock").touch()
    opened = os.open

    def guarded(path, *arguments):
        if str(path).endswith("theirs.lock"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments)

    monkeypatch.setattr(os, "open", guarded)
    with scratch_folder(tmp_path) as own:
        assert names(tmp_path) == with_locks(own.name, ".scratch-theirs")
