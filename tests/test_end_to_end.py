"""Train, analyze and plot on the embedded digits, as `make demo` does, at the smallest scale that shows the effect."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags
from train_commands import AWKWARD, escaped

from mia_tf import train
from mia_tf.store import Store

REPOSITORY = Path(__file__).parents[1]
FLAGFILES = sorted((REPOSITORY / "flags").glob("*.flags"))


def run(module, *arguments):
    command = [sys.executable, "-m", f"mia_tf.{module}", *map(str, arguments)]
    terminal = {**os.environ, "PYTHONIOENCODING": "ascii"}
    return subprocess.run(command, cwd=REPOSITORY, env=terminal, capture_output=True, text=True, timeout=1800)


def table(logdir, name):
    with open(logdir / "analysis" / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A LOGDIR of 12 small models with an awkward name, and what each command printed to an ASCII terminal."""
    logdir = tmp_path_factory.mktemp("demo") / AWKWARD
    scale = ["--num_over=300", "--num_under=60", "--num_experiments=12", "--epochs=25", "--batch=16", "--workers=2"]
    trained = run("train", "--flagfile=flags/demo.flags", f"--logdir={logdir}", *scale, "--threads_per_worker=1")
    assert trained.returncode == 0, trained.stderr
    analyzed = run("analyze", f"--logdir={logdir}")
    assert analyzed.returncode == 0, analyzed.stderr
    plotted = run("plot", f"--logdir={logdir}")
    assert plotted.returncode == 0, plotted.stderr
    return logdir, trained, analyzed, plotted


def test_members_are_remembered_and_the_under_represented_more(demo):
    logdir, *_ = demo
    accuracy = {(row["split"], row["group"]): float(row["mean"]) for row in table(logdir, "accuracy")}
    assert accuracy["train", "over"] > 0.9 > accuracy["out", "under"]
    auroc = {(row["attack"], row["population"]): row for row in table(logdir, "attacks") if row["metric"] == "auroc"}
    for attack in ("lira_online_fixed", "yeom"):
        assert float(auroc[attack, "under"]["ci_low"]) > 0.5  # the attack works at all
        assert float(auroc[attack, "under"]["value"]) > float(auroc[attack, "all"]["value"])
    memorization = {"over": [], "under": []}
    for row in table(logdir, "examples"):
        memorization[row["group"]].append(float(row["memorization"]))
    over, under = (sum(values) / len(values) for values in memorization.values())
    assert under > over > 0


def test_the_stand_in_is_said_everywhere(demo):
    logdir, trained, analyzed, _ = demo
    sentence = Store.open(logdir).about()["stand_in"]
    assert sentence.endswith("Rendered house numbers stand in for SVHN: they are not photographs.")
    assert sentence in trained.stdout and sentence in analyzed.stdout
    assert all(row["note"].endswith("stand-in data") for row in table(logdir, "attacks"))


def test_the_terminal_shows_our_lines_only(demo):
    logdir, trained, analyzed, plotted = demo
    for done in (trained, analyzed, plotted):
        printed = done.stdout + done.stderr
        for noise in ("oneDNN", "cuda", "CUDA", "retracing", "Warning:", "WARNING", "absl", "I0000", "Traceback"):
            assert noise not in printed, printed
    assert escaped(logdir) in trained.stdout and escaped(logdir) in analyzed.stdout
    figures = {"roc", "attacks", "privacy_scores", "memorization", "memorization_histogram", "examples"}
    drawn = {Path(line).stem for line in plotted.stdout.splitlines() if line.endswith(".png")}
    assert figures <= drawn == {Path(line).stem for line in plotted.stdout.splitlines() if line.endswith(".pdf")}


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda p: p.stem)
def test_flagfiles_are_valid_and_state_their_command(path):
    values = flags.FlagValues()
    train.define_flags(values)
    values(["train", f"--flagfile={path}"])
    config, _ = train.read_config(values)
    clipped = config.training.privacy.l2_norm_clip if config.training.privacy else config.training.clip_norm
    assert clipped == 1.0  # what keeps every model from diverging
    assert f"--flagfile=flags/{path.name}" in path.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in FLAGFILES if not p.stem.startswith("dp_")], ids=lambda p: p.stem)
def test_every_flagfile_learns_with_none_of_64_models_lost(path, tmp_path):
    done = run("train", f"--flagfile={path}", "--num_experiments=64", f"--logdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    models = Store.open(tmp_path).models()
    assert len(models) == 64
    assert not any(model.metrics()["at_chance"] for model in models)
    assert min(model.metrics()["train_accuracy_over"] for model in models) > 0.95
