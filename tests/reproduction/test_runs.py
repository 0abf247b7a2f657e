"""The named runs: what they are, what is there of them, and how they are made."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from absl import flags
from fabricated import MODELS, fabricate
from refusals import refuses

from experiments import runs
from mia_tf import train
from mia_tf.analyze import analyze
from mia_tf.shadow.sweep import Sweep
from mia_tf.subsets import membership

REPOSITORY = Path(__file__).parents[2]


def options(tmp_path, scale="smoke", **changes):
    return argparse.Namespace(
        **{"scale": scale, "runs": tmp_path, "data_dir": None, "workers": None, "threads_per_worker": None, **changes}
    )


@pytest.fixture(autouse=True)
def sizes_without_models(request, monkeypatch):
    """Most tests make no models; two shadow models per side stand for what these would allow."""
    if "allows" not in request.node.name:
        monkeypatch.setattr(runs, "_sizes", lambda folder, wanted: wanted[:2])


def config(*arguments):
    values = flags.FlagValues()
    flags.DEFINE_multi_string("flagfile", [], "", flag_values=values)
    train.define_flags(values)
    values(["train", *values.read_flags_from_files(arguments)])
    return train.read_config(values)[0]


def test_the_random_run_of_mnist_with_svhn_is_the_committed_flagfile():
    run = runs.runs("cpu")["mnist_svhn_random"]
    assert config(*run.flags) == config(f"--flagfile={REPOSITORY / 'flags' / 'mnist_svhn_cpu.flags'}")


@pytest.mark.parametrize("scale", runs.SCALES)
def test_no_run_is_attacked_with_the_models_that_chose_its_examples(scale):
    known = runs.runs(scale)
    chosen = [run for run in known.values() if run.scores_from]
    assert {run.selection for run in chosen} == {"singletons", "again", *runs.REMOVALS} and len(chosen) == 9
    for run in chosen:
        other = known[run.scores_from]
        choosers = ("none",) if run.selection == "again" else ("random", "candidates")
        assert other.mixture == run.mixture and other.selection in choosers
        seeds = [flag for each in (run, other) for flag in each.flags if flag.startswith("--seed=")]
        assert len(set(seeds)) == 2


def test_singletons_are_memorized_above_the_thresholds_of_section_6():
    known = runs.runs("paper")
    assert "--threshold=0.8" in known["mnist_cifar10_singletons"].flags
    assert "--threshold=0.5" in known["cifar10_cifar100_singletons"].flags


def test_subpopulations_are_clusters_of_the_mixture_at_the_scale_of_the_paper_alone():
    for scale, clustered in (("smoke", "under"), ("cpu", "under"), ("full", "under"), ("paper", "mixture")):
        configured = [config(*run.flags).data for run in runs.runs(scale).values() if run.selection == "subpopulation"]
        assert len(configured) == 5 and {data.clustered for data in configured} == {clustered}


def test_at_the_scale_of_the_paper_nothing_is_said_of_the_number_of_examples():
    for run in runs.runs("paper").values():
        numbers = [flag for flag in run.flags if flag.startswith("--num_under")]
        assert numbers == [], run.name
        assert not any(flag.startswith("--num_over") for flag in run.flags)


@pytest.mark.parametrize("scale", runs.SCALES)
def test_every_run_is_a_configuration_that_train_accepts(scale, tmp_path):
    configs = {}
    for run in runs.runs(scale).values():
        chooser = [f"--scores_from={tmp_path}"] if run.selection == "singletons" else []
        configs[run.name] = config(*run.flags, *chooser)
        assert configs[run.name].data.dataset == run.mixture
    different = {
        (each.data, each.training.arch, each.training.privacy, each.seed, each.num_experiments)
        for each in configs.values()
    }
    assert len(different) == len(configs)


@pytest.mark.parametrize("scale", runs.SCALES)
def test_the_private_run_is_of_the_subsets_of_the_one_it_is_compared_with(scale):
    plain, private = (config(*runs.runs(scale)[name].flags) for name in runs.defence(scale))
    assert private.training.privacy is not None and plain.training.privacy is None
    assert plain.data == private.data and plain.seed == private.seed
    assert (membership(plain, 50) == membership(private, 50)).all()


def test_list_tells_what_is_there_and_what_it_costs():
    done = subprocess.run(
        [sys.executable, "-m", "experiments.runs", "--scale=cpu", "--list", "--runs=/nowhere"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(runs.runs("cpu"))
    assert all("missing" in line and "min on two cores" in line for line in lines)


def test_a_run_that_does_not_exist_is_refused_by_name():
    done = subprocess.run(
        [sys.executable, "-m", "experiments.runs", "mnist_svnh_random"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 2 and "Received: name=mnist_svnh_random" in done.stderr


def test_making_trains_and_analyzes_what_it_is_chosen_by_first(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(runs, "_call", called.append)
    monkeypatch.setattr(runs, "present", lambda folder: 8)
    assert runs.make(options(tmp_path, workers=2), ["mnist_svhn_singletons"]) == {}
    assert [command[0] for command in called] == ["mia_tf.train", "mia_tf.analyze"] * 2
    scores, singletons = called[0], called[2]
    pool = tmp_path / "smoke" / "mnist_svhn_candidates"
    assert f"--logdir={pool}" in scores and f"--scores_from={pool}" in singletons
    assert "--workers=2" in scores and "--under=singletons" in singletons


def test_a_data_set_alone_is_attacked_with_other_models_than_the_choosers(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(runs, "_call", called.append)
    monkeypatch.setattr(runs, "present", lambda folder: 8)
    folder, chooser = (tmp_path / "paper" / name for name in ("mnist_again", "mnist"))
    runs.make(options(tmp_path, "paper"), ["mnist_again"])
    assert [command[0] for command in called] == ["mia_tf.train", "mia_tf.analyze", "mia_tf.train", called[-1][0]]
    chosen, again = config(*called[0][1:]), config(*called[2][1:])
    assert chosen.data == again.data and chosen.seed != again.seed  # the same examples in other subsets
    assert not (membership(chosen, 50) == membership(again, 50)).all()
    assert called[-1][0] == "experiments.memorized_alone"
    assert {f"--logdir={folder}", f"--chosen_by={chooser}", "--threshold=0.4"} <= set(called[-1])
    monkeypatch.setattr(runs, "analyzed", lambda folder: 8)
    for age, made in enumerate((folder, chooser)):
        (made / "analysis").mkdir(parents=True)
        (made / "analysis" / "audit.json").touch()
        os.utime(made / "analysis" / "audit.json", (1000 - age, 1000 - age))
    called.clear()
    runs.make(options(tmp_path, "paper"), ["mnist_again"])
    assert [command[0] for command in called] == ["mia_tf.train"] * 2
    os.utime(chooser / "analysis" / "audit.json", (1001, 1001))  # with more models
    runs.make(options(tmp_path, "paper"), ["mnist_again"])
    assert called[-1][0] == "experiments.memorized_alone"


@pytest.mark.parametrize("scale", runs.SCALES)
def test_every_run_is_analyzed_with_numbers_of_shadow_models_that_it_allows(scale, tmp_path, monkeypatch):
    wanted = runs.SCALES[scale].num_shadow
    for run in runs.runs(scale).values():
        chooser = [f"--scores_from={tmp_path}"] if run.selection == "singletons" else []
        keep = membership(config(*run.flags, *chooser), 20).T
        monkeypatch.setattr(runs.ShadowModels, "open", lambda folder, keep=keep: SimpleNamespace(members=keep.T))
        sizes = runs._sizes(tmp_path, wanted)
        assert Sweep(sizes, keep, 0).sizes == sizes and sizes == list(wanted[: len(sizes)]) and sizes, run.name
        for more in wanted[len(sizes) :]:
            with refuses("num_shadow", more):
                Sweep([more], keep, 0)


def test_a_run_that_lost_a_model_is_analyzed_and_told(tmp_path, monkeypatch, capsys):
    called, complete = [], {}
    chooser = tmp_path / "smoke" / "mnist_svhn_candidates"

    def call(command):
        called.append(command)
        folder = next(Path(flag.removeprefix("--logdir=")) for flag in command if flag.startswith("--logdir="))
        complete[folder] = complete.get(folder, 0) + (command[0] == "mia_tf.analyze")
        return 1 if command[0] == "mia_tf.train" and folder == chooser else 0

    monkeypatch.setattr(runs, "_call", call)
    monkeypatch.setattr(runs, "present", lambda folder: 7)
    monkeypatch.setattr(runs, "analyzed", lambda folder: 7 * complete.get(folder, 0))
    assert runs.make(options(tmp_path), ["mnist_svhn_candidates"]) == {"mnist_svhn_candidates": 1}
    assert "mnist_svhn_candidates lacks models (exit code 1)" in capsys.readouterr().err
    assert runs.make(options(tmp_path), ["mnist_svhn_singletons"]) == {}
    assert [command[0] for command in called] == [
        "mia_tf.train", "mia_tf.analyze", "mia_tf.train", "mia_tf.train", "mia_tf.analyze"
    ]  # fmt: skip


def test_smoke_uses_real_data_only_where_they_are_given(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(runs, "_call", called.append)
    monkeypatch.delenv("MIA_TF_DATA", raising=False)
    runs.make(options(tmp_path), ["mnist_svhn_random"])
    assert config(*called[0][1:]).data.data_source == "embedded"
    runs.make(options(tmp_path, data_dir="/data"), ["mnist_svhn_random"])
    assert config(*called[-1][1:]).data.data_source == "auto"


def test_what_cannot_be_made_is_told_and_the_rest_is_made(tmp_path, monkeypatch, capsys):
    called = []

    def call(command):
        called.append(command)
        return 2 if "--dataset=mnist_cifar10" in command else 0

    monkeypatch.setattr(runs, "_call", call)
    wanted = ["mnist_cifar10_singletons", "mnist_svhn_random"]
    assert runs.make(options(tmp_path), wanted) == {"mnist_cifar10_singletons": 2}
    assert "mnist_cifar10_singletons could not be made (exit code 2)" in capsys.readouterr().err
    assert len(called) == 2  # neither the singletons nor their analysis without the run that they are chosen by


@pytest.mark.parametrize("code", [130, 143])
def test_an_interrupt_ends_all(code, tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(runs, "_call", lambda command: called.append(command) or code)
    with pytest.raises(SystemExit, match=str(code)):
        runs.make(options(tmp_path), ["mnist_svhn_random", "mnist"])
    assert len(called) == 1


def test_the_exit_code_is_that_of_the_command():
    assert runs._call(["mia_tf.analyze", "--logdir=/nowhere"]) == 2


def test_architectures_attack_one_another_and_each_pair_once(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(runs, "_call", called.append)
    monkeypatch.setattr(runs, "present", lambda folder: 8)
    monkeypatch.setattr(runs, "analyzed", lambda folder: 8)
    first, second = runs.architectures("smoke")
    for target, shadow in ((first, second), (second, first)):
        folder = runs.crossed(tmp_path / "smoke" / target, tmp_path / "smoke" / shadow)
        assert folder.name == f"shadow_{shadow}"
    runs.make(options(tmp_path), [first])
    crossed = [(Path(c[1].split("=")[1]).name, Path(c[2].split("=")[1]).name) for c in called if "analyze" in c[0]]
    assert crossed == [(first, second), (second, first)]
    folder = runs.crossed(tmp_path / "smoke" / first, tmp_path / "smoke" / second)
    folder.mkdir(parents=True)
    (folder / "attacks.csv").touch()
    called.clear()
    runs.make(options(tmp_path), [second])
    assert [command[0] for command in called] == ["mia_tf.train", "mia_tf.analyze"]


def test_an_attack_by_another_run_is_made_again_once_either_has_been_analyzed_anew(tmp_path):
    target, shadow = tmp_path / "one", tmp_path / "two"
    tables = [runs.crossed(target, shadow), target / "analysis", shadow / "analysis"]
    for age, folder in enumerate(tables):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "attacks.csv").touch()
        os.utime(folder / "attacks.csv", (1000 - age, 1000 - age))
    assert runs._is_crossed(target, shadow) and not runs._is_crossed(shadow, target)
    os.utime(shadow / "analysis" / "attacks.csv", (1001, 1001))
    assert not runs._is_crossed(target, shadow)


def test_an_analysis_without_the_sweep_or_of_an_earlier_version_counts_for_none(tmp_path):
    assert runs.analyzed(tmp_path) == runs.present(tmp_path / "nowhere") == 0
    fabricate(tmp_path, "mnist")
    folder = tmp_path / "smoke" / "mnist"
    assert runs.analyzed(folder) == runs.present(folder) == MODELS
    (folder / "analysis" / "sweep.csv").unlink()
    assert runs.analyzed(folder) == 0
    analyze(folder, ["yeom", "rmia"], num_shadow=(1,))
    assert runs.analyzed(folder) == MODELS
    (folder / "analysis" / "audit.json").unlink()
    assert runs.analyzed(folder) == 0
