"""The train command with --dp, and its rehearsal, as a user runs them in processes of their own."""

import re

import numpy as np
import pytest
import train_commands
from toys import make_dataset
from train_commands import TINY


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A user's own archive of 80 examples."""
    data = make_dataset(num_over=60, num_under=20)
    path = tmp_path_factory.mktemp("own") / "toy.npz"
    np.savez(path, x_train=data.images, y_train=data.labels, group_train=data.groups)
    return path


def run(archive, logdir, *arguments, **environment):
    where = (f"--dataset=npz:{archive}", f"--logdir={logdir}")
    return train_commands.run(*where, "--num_experiments=4", *TINY, *arguments, **environment)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--dp"], "`noise_multiplier`"),
        (["--dp", "--noise_multiplier=1", "--target_epsilon=3"], "`target_epsilon`"),
        (["--noise_multiplier=1"], "noise_multiplier=1.0"),
        (["--delta=1e-5"], "`delta`"),
        (["--sampling=poisson"], "`sampling`"),
        (["--dp", "--noise_multiplier=-1"], "noise_multiplier=-1.0"),
        (["--dp", "--noise_multiplier=1", "--l2_norm_clip=0"], "`l2_norm_clip`"),
        (["--dp", "--noise_multiplier=1", "--delta=1"], "`delta`"),
        (["--dp", "--noise_multiplier=1", "--sampling=odd"], "`sampling`"),
        (["--dp", "--noise_multiplier=1", "--microbatch=0"], "microbatch=0"),
        (["--dp", "--noise_multiplier=1", "--clip_norm=1"], "`clip_norm`"),
        (["--dp", "--target_epsilon=1e-6"], "`target_epsilon`"),
        (["--dp", "--noise_multiplier=1", "--arch=resnet9"], "take --norm=group. Received: arch=resnet9"),
        (["--dp", "--noise_multiplier=1", "--arch=wrn28-1"], "arch=wrn28-1"),
        (["--dry_run", "--batch=1000"], "`batch`"),
        (["--dry_run", "--logdir=/dev/null/x"], "`logdir`"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, archive, tmp_path):
    done = run(archive, tmp_path / "run", *arguments)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("mia_tf.train: ") and message in line
    assert done.stdout == "" and not (tmp_path / "run").exists()


def test_a_dry_run_states_the_promise_and_the_cost_and_leaves_nothing(archive, tmp_path, tmp_path_factory):
    """On a machine where nothing was measured."""
    arguments = ["--dry_run", "--dp", "--noise_multiplier=1.1", "--delta=0.1"]
    done = run(archive, tmp_path / "run", *arguments, MIA_TF_CACHE=tmp_path_factory.mktemp("measured"))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert list(tmp_path.iterdir()) == []
    assert "toy: 80 examples, cnn2-1-max" in done.stdout and "0 of 4 models present, 4 to train." in done.stdout
    # Half of 80 examples: 6 * 40 // 8 steps, at rate 8 / 40.
    for part in ("Each of 30 steps", "nominally 40 examples with probability 0.2", "epsilon", "by RDP", "by PLD"):
        assert part in done.stdout, part
    assert "Warning: delta=0.1 is not below 1/40" in done.stdout  # and it went on
    # 80 examples, one query, four classes, four bytes.
    assert "A model: 30 steps of 8, 240 images; 0.0 MB of logits." in done.stdout
    (cost,) = [line for line in done.stdout.splitlines() if line.startswith("4 models: ")]
    speed, memory = re.search(r"at ([\d,]+) images/s as measured .* memory of a worker ([\d,]+) MB", cost).groups()
    assert int(speed.replace(",", "")) > 0
    assert 100 < int(memory.replace(",", "")) < 20_000  # TensorFlow alone takes some hundred megabytes
    assert done.stdout.splitlines()[-1] == "Nothing was trained: this was a dry run."


def test_a_dry_run_of_a_begun_logdir_counts_what_is_there_and_changes_nothing(archive, tmp_path):
    assert run(archive, tmp_path, "--expid=1").returncode == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = run(archive, tmp_path, "--dry_run")
    assert done.returncode == 0, done.stderr
    assert "1 of 4 models present, 3 to train." in done.stdout and "epsilon" not in done.stdout
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    private = run(archive, tmp_path, "--dry_run", "--dp", "--noise_multiplier=1")
    assert private.returncode == 2 and "differs in" in private.stderr and "dp (None there, True now)" in private.stderr


def test_a_dry_run_leaves_somebody_elses_folder_as_it_is(archive, tmp_path):
    np.save(tmp_path / "x_train.npy", np.zeros(3))
    done = run(archive, tmp_path, "--dry_run")
    assert done.returncode == 2 and "it has none, but x_train.npy" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x_train.npy"]
