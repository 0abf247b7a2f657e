"""What the train command says and decides before it trains on few data."""

import dataclasses
import json
import os

import numpy as np
import pytest
from refusals import refuses
from train_commands import TINY, run

from mia_tf.config import DataConfig, ExperimentConfig, TrainingConfig
from mia_tf.dry_run import rehearse
from mia_tf.preparation import _say_share, settle, with_default_batch
from mia_tf.run_options import RunOptions
from mia_tf.store import Store
from mia_tf.subsets import membership
from mia_tf.training.executors import sharing

UNTRAINED = [argument for argument in TINY if not argument.startswith("--batch")]


def _archive(path, count=300, copies=0):
    pictures = np.random.default_rng(0).integers(0, 256, (count, 8, 8), np.uint8)
    pictures[1 : 2 * copies : 2] = pictures[: 2 * copies : 2]
    np.savez(path, x_train=pictures / np.float32(255), y_train=np.resize(["cat", "dog"], count))
    return path


@pytest.mark.parametrize(
    "count, pkeep, batch",
    [(2000, 0.5, 256), (600, 0.5, 256), (300, 0.5, 32), (300, 0.9, 32), (80, 0.5, 8), (10, 0.5, 1)],
)
def test_a_default_batch_leaves_four_steps_an_epoch(count, pkeep, batch):
    config = ExperimentConfig(num_experiments=4, pkeep=pkeep)
    smallest = membership(config, count).sum(axis=1).min()
    settled = with_default_batch(config, count)
    assert settled.training.batch == batch
    assert settled == dataclasses.replace(config, training=settled.training)
    assert {256: smallest >= 256, 1: smallest < 8}.get(batch, 4 * batch <= smallest < 8 * batch)


def test_a_batch_that_was_given_stays_and_a_begun_logdir_needs_no_data(tmp_path, monkeypatch, capsys):
    path = _archive(tmp_path / "own.npz")
    training = TrainingConfig(arch="cnn2-1-max", augment="none")
    config = ExperimentConfig(data=DataConfig(dataset=f"npz:{path}"), training=training, num_experiments=4)
    kept, load_dataset = settle(config, tmp_path / "run", batch_given=True)
    assert kept == config and capsys.readouterr().out == ""
    with refuses("batch", 256):
        load_dataset()
    settled, load_dataset = settle(config, tmp_path / "run", batch_given=False)
    smallest = membership(config, 300).sum(axis=1).min()
    note = f"--batch=32, not the default of 256: a model may have no more than {smallest} examples.\n"
    assert settled.training.batch == 32 and capsys.readouterr().out == note
    Store.create(tmp_path / "run", settled.to_dict(), load_dataset)
    path.unlink()
    assert settle(config, tmp_path / "run", batch_given=False)[0] == settled and capsys.readouterr().out == note


def test_a_plan_that_grows_keeps_its_default_batch(tmp_path):
    """The default once followed from the models of the day: 4 had 256, and 200 would have had 32, and were refused."""
    config = ExperimentConfig(
        data=DataConfig(dataset=f"npz:{_archive(tmp_path / 'own.npz', 560)}"),
        training=TrainingConfig(arch="cnn2-1-max", augment="none"),
        num_experiments=4,
        subsets="bernoulli",
    )
    assert membership(config, 560).sum(axis=1).min() > 256
    settled, load_dataset = settle(config, tmp_path / "run", batch_given=False)
    Store.create(tmp_path / "run", settled.to_dict(), load_dataset)
    grown, _ = settle(dataclasses.replace(config, num_experiments=200), tmp_path / "run", batch_given=False)
    assert grown.training.batch == settled.training.batch
    assert Store.check(tmp_path / "run", grown.to_dict())


def test_a_plan_says_how_much_models_train_on(capsys):
    _say_share(ExperimentConfig(num_experiments=4, pkeep=0.7), missing=4)
    assert (
        "each model trains on 50% of the examples: of 4 models 2 train on an example, not 70%"
        in capsys.readouterr().out
    )
    for count, plan in ((64, "balanced"), (4, "bernoulli")):
        _say_share(ExperimentConfig(num_experiments=count, pkeep=0.7, subsets=plan), missing=4)
    assert capsys.readouterr().out == ""


def test_a_model_that_a_plan_grows_by_has_as_many_examples_as_the_batch(tmp_path):
    """Only the data of a new LOGDIR were once held against the batch."""
    data = DataConfig(dataset=f"npz:{_archive(tmp_path / 'own.npz', 60)}")
    plan = ExperimentConfig(data=data, num_experiments=8, subsets="bernoulli")
    sizes = membership(plan, 60).sum(axis=1)
    batch = int(sizes[0])
    assert sizes.min() < batch
    training = TrainingConfig(arch="cnn2-1-max", augment="none", batch=batch)
    config = dataclasses.replace(plan, training=training, num_experiments=1)
    settled, load_dataset = settle(config, tmp_path / "run", batch_given=True)
    Store.create(tmp_path / "run", settled.to_dict(), load_dataset)
    settle(config, tmp_path / "run", batch_given=True)
    with refuses("batch", batch, f"training set of {sizes.min()} examples"):
        settle(dataclasses.replace(config, num_experiments=8), tmp_path / "run", batch_given=True)


def test_a_rehearsal_measures_with_the_memory_that_the_workers_get(tmp_path, monkeypatch):
    """JAX once measured with 0.75 of a GPU's memory, whatever the number of workers."""
    name, shares = "XLA_PYTHON_CLIENT_MEM_FRACTION", []
    monkeypatch.setenv(name, "")

    def cost(*_):
        shares.append(os.environ[name])
        return 1.0, 1

    monkeypatch.setattr(sharing, "cost", cost)
    data = DataConfig(dataset=f"npz:{_archive(tmp_path / 'own.npz')}")
    training = TrainingConfig(arch="cnn2-1-max", augment="none", batch=32)
    config = ExperimentConfig(data=data, training=training, num_experiments=4)
    options = RunOptions(tmp_path / "run", workers=2, threads_per_worker=1)
    rehearse(config, options, config.to_dict(), batch_given=True)
    assert shares == ["0.450"]


def test_a_small_archive_is_trained_with_the_defaults_and_all_is_said_before(tmp_path):
    path, logdir = _archive(tmp_path / "own.npz", copies=2), tmp_path / "run"
    arguments = [f"--dataset=npz:{path}", f"--logdir={logdir}", "--num_experiments=3", *UNTRAINED]
    rehearsed = run(*arguments, "--dry_run")
    assert rehearsed.returncode == 0, rehearsed.stderr
    notes = [
        "x_train: float32 from 0 to 1 rounded to 256 levels.",
        "2 classes, named cat, dog.",
        "4 of 300 examples have the pixels of another example, 4 of them under different labels: a model without one "
        "of them may have trained on its copy, so their memorization is understated.",
        "warning: --num_experiments=3, but mia_tf.analyze needs 4 models, unless they are the targets of a "
        "--shadow_logdir.",
    ]
    assert rehearsed.stdout.startswith("--batch=16, not the default of 256")  # of three models, two thirds are out
    assert all(line in rehearsed.stdout.splitlines() for line in notes), rehearsed.stdout
    assert not logdir.exists()
    trained = run(*arguments)
    assert trained.returncode == 0, trained.stderr
    assert all(line in trained.stdout.splitlines() for line in notes)
    assert trained.stdout.endswith(f"Next: python -m mia_tf.analyze --logdir={logdir} --shadow_logdir=OTHER\n")
    assert json.loads((logdir / "config.json").read_text())["batch"] == 16
    sources = json.loads((logdir / "dataset.json").read_text())["sources"]
    assert [sources[key] for key in ("pixels", "classes", "copies")] == notes[:3]
    assert Store(logdir).models()[0].hparams()["batch"] == 16 and Store(logdir).models()[0].logits_shape()[2] == 2
    again = run(*arguments)
    assert again.returncode == 0 and "3 of 3 models present, 0 to train." in again.stdout
    assert "warning" not in again.stdout
    given = run(*arguments, "--batch=256")
    assert given.returncode == 2 and "it differs in batch (16 there, 256 now)" in given.stderr
    elsewhere = run(*arguments, "--batch=256", f"--logdir={tmp_path / 'other'}")
    assert elsewhere.returncode == 2 and "`batch` must not exceed the smallest model's" in elsewhere.stderr
    assert not (tmp_path / "other").exists()
