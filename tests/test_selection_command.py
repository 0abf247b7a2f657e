"""Singletons from the command line: a run, its analysis, and a new mixture with new models; and what is refused."""

import csv
import json

import numpy as np
import pytest
import train_commands
from toys import make_dataset

from mia_tf.records import OVER
from mia_tf.store import Store

TINY = ["--arch=cnn2-1-max", "--epochs=4", "--batch=8", "--augment=none", "--num_experiments=4", "--pkeep=0.5"]
TINY += ["--workers=1", "--threads_per_worker=1"]


def run(module, *arguments):
    return train_commands.run(*arguments, module=f"mia_tf.{module}")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """An archive, an analyzed run on it, and the memorization of its under-represented examples by id."""
    folder = tmp_path_factory.mktemp("singletons")
    data = make_dataset(num_over=60, num_under=20, num_test=12)
    archive = folder / "toy.npz"
    np.savez(archive, x_train=data.images, y_train=data.labels, group_train=data.groups)
    for module, arguments in (("train", [f"--dataset=npz:{archive}", *TINY]), ("analyze", ["--attacks=yeom"])):
        done = run(module, f"--logdir={folder / 'run'}", *arguments)
        assert done.returncode == 0, done.stderr
    with open(folder / "run" / "analysis" / "examples.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["group"] == "under"]
    return archive, folder / "run", {row["example_id"]: float(row["memorization"]) for row in rows}


def test_singletons_make_a_new_mixture_with_new_models(earlier, tmp_path):
    archive, scores, memorization = earlier
    threshold = sorted(memorization.values())[len(memorization) // 2] - 0.01
    expected = {name for name, value in memorization.items() if value > threshold}
    arguments = [f"--dataset=npz:{archive}", f"--logdir={tmp_path / 'new'}", *TINY, "--seed=1"]
    arguments += ["--under=singletons", f"--scores_from={scores}", f"--threshold={threshold}"]
    done = run("train", *arguments)
    assert done.returncode == 0, done.stderr
    assert f"singletons: {len(expected)} of 20 under-represented with memorization above" in done.stdout
    old, new = Store.open(scores), Store.open(tmp_path / "new")
    before, after = old.dataset(), new.dataset()
    assert set(after.example_ids[after.groups != OVER]) == expected
    assert np.array_equal(after.example_ids[after.groups == OVER], before.example_ids[before.groups == OVER])
    assert len(new.models()) == 4 and all(len(model.keep) == len(after.images) for model in new.models())
    seeds = [{model.hparams()["seed"] for model in store.models()} for store in (old, new)]
    assert seeds[0].isdisjoint(seeds[1])
    config = new.config()
    assert config["under"] == "singletons" and config["threshold"] == threshold and config["singletons_digest"]
    assert str(scores) not in json.dumps(config) and str(scores) in new.about()["sources"]["selection"]
    again = run("train", *arguments)  # goes on, where nothing is left to do
    assert again.returncode == 0 and "4 of 4 models present, 0 to train." in again.stdout
    other = run("train", *arguments, "--threshold=-1")
    assert other.returncode == 2 and "it differs in singletons_digest" in other.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--seed=0"], "`seed`"),
        (["--logdir={scores}"], "`scores_from`"),
        (["--scores_from=/nowhere"], "`scores_from`"),
        (["--without=/nowhere"], "`without`"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, message, earlier, tmp_path):
    archive, scores, _ = earlier
    settings = ["--under=singletons", f"--scores_from={scores}", "--threshold=0", "--seed=1", *TINY]
    arguments = [argument.format(scores=scores) for argument in arguments]
    done = run("train", f"--dataset=npz:{archive}", f"--logdir={tmp_path / 'new'}", *settings, *arguments)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("mia_tf.train: ") and message.format(scores=scores) in line
    assert done.stdout == "" and not (tmp_path / "new").exists()
