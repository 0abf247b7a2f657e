"""How the commands of the experiments end where a folder is wrong."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from refusals import refuses

from experiments import commands

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
INTERNAL = {"dp_measure.py", "ensemble_measure.py", "torch_peer.py"}
"""What other commands start, with arguments that no user gives."""


def test_every_command_ends_in_one_line():
    for path in EXPERIMENTS.rglob("*.py"):
        _, entry, body = path.read_text().partition('if __name__ == "__main__":\n')
        if entry and path.name not in INTERNAL:
            assert re.search(r"^    (commands\.run|command_line\.run)\(", body, re.MULTILINE), path


@pytest.mark.parametrize("argument", ["--read", "--write"])
def test_a_wrong_folder_is_one_line(tmp_path, monkeypatch, capsys, argument):
    monkeypatch.setenv("HOME", str(tmp_path))
    parser = commands.Parser("What it does.")
    parser.add_argument("--read", type=commands.folder)
    parser.add_argument("--write", type=commands.folder_to_write)
    given = parser.parse_args(["--read=~", "--write=~/new/x"])
    assert (given.read, given.write) == (tmp_path, tmp_path / "new" / "x") and not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args([f"{argument}={tmp_path / 'file' / 'x'}"])
    (line,) = capsys.readouterr().err.splitlines()
    assert argument in line and line.endswith(f"Received: {tmp_path / 'file' / 'x'}")
    with refuses("data_dir", tmp_path, "must be a folder with svhn.npz"):
        commands.check_files(tmp_path, "file", "svhn.npz")


def test_what_a_command_cannot_read_is_one_line(tmp_path):
    command = [sys.executable, "-m", "experiments.claims", f"--results={tmp_path}"]
    done = subprocess.run(command, cwd=EXPERIMENTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith(f"claims.py: No results of --scale=cpu in {tmp_path}")
    assert done.stderr.count("\n") == 1
