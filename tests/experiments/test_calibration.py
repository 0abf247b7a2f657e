"""The calibration of Table 1: its accuracies, its rule and its table, on a few models with known answers."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from refusals import refuses
from toys import make_dataset

from experiments import calibration
from experiments.calibration import Setting
from mia_tf.records import ModelRecord
from mia_tf.store import Store

SETTING = Setting("cnn8-3-max", 5, 256)
PAPER = {("over", "dtr"): 0.9944, ("over", "test"): 0.9860, ("under", "dtr"): 0.9007, ("under", "test"): 0.6476}
NUM_OVER, NUM_UNDER = 40, 20
MEMBERS = {0: (28, 16), 1: (28, 12)}
"""Of each model, the members of each group; they come first in their group."""
WRONG = {0: ((2, 3), (4, 1)), 1: ((0, 1), (3, 6))}
"""Of each model and group, wrong answers among members and among the others."""
TEST = {0: (0.9, 0.5), 1: (0.8, 0.6)}


def write_logdir(runs, setting=SETTING, models=(0, 1)):
    """A LOGDIR whose models' answers are counted above."""
    dataset = make_dataset(num_over=NUM_OVER, num_under=NUM_UNDER)
    config = {"arch": setting.arch, "epochs": setting.epochs, "batch": setting.batch}
    store = Store.create(setting.logdir(runs), config, lambda: dataset)
    for index in models:
        keep, wrong = np.zeros(len(dataset.labels), bool), np.zeros(len(dataset.labels), bool)
        for start, members, (among_members, among_others) in zip(
            (0, NUM_OVER), MEMBERS[index], WRONG[index], strict=True
        ):
            keep[start : start + members] = True
            wrong[start : start + among_members] = True
            wrong[start + members : start + members + among_others] = True
        answers = (dataset.labels + wrong) % dataset.num_classes
        logits = np.eye(dataset.num_classes, dtype=np.float32)[answers][:, None, None]
        metrics = dict(zip(("test_accuracy_over", "test_accuracy_under"), TEST[index], strict=True))
        store.write(ModelRecord(index, keep, logits, setting.epochs, {"num_experiments": 10}, metrics))
    return store


def test_accuracies_are_of_members_of_all_and_of_test_images(tmp_path):
    measured = calibration.model_accuracies(write_logdir(tmp_path))
    assert measured == {
        ("over", "members"): pytest.approx([26 / 28, 28 / 28]),
        ("over", "dtr"): pytest.approx([35 / 40, 39 / 40]),
        ("over", "test"): pytest.approx([0.9, 0.8]),
        ("under", "members"): pytest.approx([12 / 16, 9 / 12]),
        ("under", "dtr"): pytest.approx([15 / 20, 11 / 20]),
        ("under", "test"): pytest.approx([0.5, 0.6]),
    }


def table_of(differences, setting=SETTING):
    """Rows that differ from the paper by these fractions; members, which the paper has not, are all wrong."""
    accuracies = {key: [PAPER[key] + d] * 2 for key, d in zip(PAPER, differences, strict=True)}
    return calibration.rows(setting, {**accuracies, ("under", "members"): [0.0, 0.0]})


def test_the_deviation_is_the_largest_of_four_differences_in_points():
    assert calibration.deviation(table_of([-0.01, 0.002, 0.03, -0.045])) == pytest.approx(4.5)
    assert calibration.deviation(table_of([-0.01, 0.002, 0.05, -0.045])) == pytest.approx(5.0)
    with pytest.raises(ValueError, match="four numbers"):
        calibration.deviation(table_of([0, 0, 0, 0])[:3])


def test_the_nearest_setting_comes_first():
    far, near = replace(SETTING, epochs=1), replace(SETTING, batch=32)
    # On average `far` is nearer, and by its worst number it is not.
    table = table_of([0, 0, 0, 0.06], far) + table_of([-0.05, -0.05, 0.05, 0.05], near)
    assert calibration.ranked(table) == [(pytest.approx(5.0), near), (pytest.approx(6.0), far)]


def test_a_row_has_the_mean_and_its_interval_in_bounds_and_the_paper_s_number():
    row, sure = calibration.rows(SETTING, {("over", "test"): [0.80, 0.82], ("over", "members"): [0.9, 1.0]})
    reach = 12.7062 * 0.01  # Student's t with one degree of freedom, times sd / sqrt(2)
    assert row[:5] == ("cnn8-3-max", 5, 256, "over", "test")
    assert row[5:] == (
        pytest.approx(0.81),
        pytest.approx(0.81 - reach, abs=1e-5),
        pytest.approx(0.81 + reach),
        2,
        0.986,
    )
    assert sure.ci_high == 1 and sure.paper is None


def test_the_table_has_every_complete_setting_and_no_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(calibration, "OUT", tmp_path / "results")
    later, unfinished = Setting("cnn8-3-mean", 1, 256), replace(SETTING, epochs=16)
    write_logdir(tmp_path / "runs", later)
    write_logdir(tmp_path / "runs")
    write_logdir(tmp_path / "runs", unfinished, models=[0])
    calibration.report(tmp_path / "runs")
    with open(tmp_path / "results" / "calibration.csv", newline="") as file:
        table = list(csv.DictReader(file))
    columns = ["arch", "epochs", "batch", "group", "split", "accuracy", "ci_low", "ci_high", "num_models", "paper"]
    assert list(table[0]) == columns
    assert [(row["arch"], row["epochs"]) for row in table] == [("cnn8-3-max", "5")] * 6 + [("cnn8-3-mean", "1")] * 6
    keys = [(group, split) for group in ("over", "under") for split in ("members", "dtr", "test")]
    assert [(row["group"], row["split"]) for row in table] == keys * 2
    assert float(table[4]["accuracy"]) == pytest.approx((15 / 20 + 11 / 20) / 2)  # SVHN, all of D^tr
    assert [row["paper"] for row in table[:6]] == ["", "0.9944", "0.986", "", "0.9007", "0.6476"]
    assert (tmp_path / "results" / "calibration.png").stat().st_size > 10_000
    assert "25.1 points from Table 1: cnn8-3-max, 5 epochs, batch 256" in capsys.readouterr().out


def test_only_missing_settings_are_trained_each_on_seven_in_ten(tmp_path, monkeypatch):
    (tmp_path / "mnist.npz").touch()
    (tmp_path / "svhn.npz").touch()
    write_logdir(tmp_path / "runs")
    commands = []

    def train(command, check):
        commands.append(dict(part.removeprefix("--").split("=") for part in command[3:]))
        write_logdir(tmp_path / "runs", Setting(commands[-1]["arch"], int(commands[-1]["epochs"]), 256))

    monkeypatch.setattr(calibration, "OUT", tmp_path / "results")
    monkeypatch.setattr(calibration.subprocess, "run", train)
    arguments = [f"--data_dir={tmp_path}", f"--runs={tmp_path / 'runs'}", "--archs", "cnn8-3-max", "cnn8-3-mean"]
    monkeypatch.setattr("sys.argv", ["calibration", *arguments, "--epochs", "5", "--workers=1"])
    calibration.main()
    (command,) = commands
    assert (command["arch"], command["epochs"], command["batch"]) == ("cnn8-3-mean", "5", "256")
    assert (command["pkeep"], command["num_experiments"], command["expid"]) == ("0.7", "10", "0-1")
    assert (command["augment"], command["queries"], command["workers"]) == ("none", "1", "1")


def test_a_folder_without_the_data_is_refused_before_any_training(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "train", lambda *_: pytest.fail("trained"))
    monkeypatch.setattr("sys.argv", ["calibration", f"--data_dir={tmp_path}"])
    with refuses("data_dir", tmp_path, "must be a folder with mnist.npz"):
        calibration.main()
