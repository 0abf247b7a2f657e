"""Every table and figure, from runs of invented models to its CSV and figure."""

import csv
import shutil
import sys
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from fabricated import MODELS, fabricate
from refusals import refuses

from experiments import __main__ as command
from experiments import claims, commands, memorized_alone, runs
from experiments.reproduction import defence, outcome
from experiments.reproduction.catalogue import CATALOGUE
from experiments.reproduction.outcome import RESULTS
from mia_tf.analyze import analyze
from mia_tf.store import Store

ARCHITECTURES = runs.architectures("smoke")
RUNS = ("mnist", "mnist_again", "mnist_svhn_random", "mnist_svhn_singletons", "mnist_svhn_onion", "mnist_svhn_control")
WITHOUT_NETWORKS = ["yeom", "sablayrolles", "song", "lira_online", "lira_online_fixed", "rmia"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of invented runs and the folder of all that was made of them."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(RUNS):
        attacks = WITHOUT_NETWORKS if name == "mnist_again" else None
        fabricate(folder, name, seed, strength=6.0 if "singletons" in name else 3.0, attacks=attacks)
    fabricate(folder, "mnist_svhn_private", RUNS.index("mnist_svhn_random"), strength=0.1)
    source = folder / "smoke" / "mnist_svhn_random"
    for seed, name in enumerate(ARCHITECTURES, 10):
        fabricate(folder, name, seed)
    for target, shadow in (ARCHITECTURES, ARCHITECTURES[::-1]):
        analyze(folder / "smoke" / target, ["lira_online_fixed"], shadow_logdir=folder / "smoke" / shadow)
    # The other mixtures take the same models: what is tested of them is that they are drawn at all.
    for name in ("mnist_cifar10_random", "cifar10_cifar100_random", "cifar10_mislabeled_random"):
        shutil.copytree(source, folder / "smoke" / name)
    shutil.copytree(folder / "smoke" / "mnist", folder / "smoke" / "cifar10")
    results = folder / "results"
    results.mkdir()
    shutil.copy(RESULTS / "README.md", results)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "PAGE_SCALES", ("smoke",))
        command.main(["all", f"--runs={folder}", f"--results={results}", "--present", "--scale=smoke"])
    return folder, results


def rows(results, name, ending=""):
    with open(results / name / f"smoke{ending}.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_has_a_csv_and_a_figure(made, name):
    _, results = made
    assert rows(results, name)
    pictures = list((results / name).glob("smoke*.png"))
    assert pictures
    for picture in pictures:
        pixels = matplotlib.image.imread(picture)[..., :3]
        assert pixels.std() > 0.01  # an empty page has none


def test_a_table_has_the_papers_numbers_beside_those_of_the_analysis(made):
    folder, results = made
    table = rows(results, "table2")
    with open(folder / "smoke" / "mnist_svhn_random" / "analysis" / "attacks.csv", newline="") as file:
        analysis = {(row["attack"], row["population"], row["metric"]): row for row in csv.DictReader(file)}
    (lira,) = [
        row
        for row in table
        if (row["attack"], row["mixture"], row["selection"]) == ("carlini", "mnist_svhn", "random")
        and (row["population"], row["metric"]) == ("under", "auroc")
    ]
    assert lira["our_attack"] == "lira_online_fixed"  # too few models for a variance of each example's own
    assert float(lira["paper"]) == 0.95
    ours = analysis["lira_online_fixed", "under", "auroc"]
    for own, theirs in (("ours", "value"), ("ci_low", "ci_low"), ("ci_high", "ci_high")):
        assert float(lira[own]) == pytest.approx(float(ours[theirs]), rel=1e-5)
    assert (lira["num_models"], lira["num_over"], lira["num_under"]) == (str(MODELS), "120", "24")
    assert lira["note"] == "stand-in data"


def test_numbers_of_the_paper_stay_where_nothing_was_run(made):
    _, results = made
    table = rows(results, "table2")
    assert len([row for row in table if row["attack"]]) == 35 * 2 * 3
    absent = [row for row in table if row["mixture"] == "mnist_augmnist"]
    assert len(absent) == 90 and all(row["paper"] and not row["ours"] for row in absent)
    alone = [row for row in rows(results, "table3") if row["mixture"] == "cifar10" and row["attack"]]
    under = [row for row in alone if row["population"] == "under"]
    assert under and not any(row["ours"] for row in under) and any(row["ours"] for row in alone)
    assert all("not measured" in row["note"] for row in under)


def test_memorized_examples_of_a_data_set_alone_are_attacked_with_other_models(made):
    folder, results = made
    chosen = pd.read_csv(folder / "smoke" / "mnist" / "analysis" / "examples.csv")["memorization"] > 0.4
    attacked = pd.read_csv(folder / "smoke" / "mnist_again" / "analysis" / "examples.csv")
    assert ((attacked["group"] == "under") == chosen).all()
    table = pd.read_csv(results / "table2" / "smoke.csv").query("mixture == 'mnist' and metric == 'auroc'")
    under = table.query("population == 'under'")
    assert set(under["note"]) == {"chosen by other models; stand-in data"} and set(under["selection"]) == {"none"}
    assert set(under["num_under"]) == {chosen.sum()} and "rmia" in set(under["our_attack"])
    assert set(table.query("population == 'all'")["num_under"]) == {0}
    (row,) = (
        pd.read_csv(results / "claims" / "smoke.csv").query("claim == 'alone' and case == 'carlini'").to_dict("records")
    )
    measured = pd.read_csv(folder / "smoke" / "mnist_again" / "analysis" / "comparisons.csv")
    whole = measured[measured["num_shadow"].isna() & measured["other_num_shadow"].isna()]
    pair = "attack == other_attack == 'lira_online_fixed' and population == 'under' and other_population == 'all'"
    assert row["value"] == pytest.approx(whole.query(pair)["auroc_difference"].item(), abs=1e-5)
    assert row["paper"] == pytest.approx(0.89 - 0.52) and row["selection"] == "again" and str(row["seed"]) == "12"
    # Of these models no example is memorized more than another, so what chance chose is not easier to attack.
    assert row["ci_low"] < 0 < row["ci_high"]
    page = (results / "README.md").read_text()
    assert f"| MNIST | alone, memorized, by other models | {120 - chosen.sum()} | {chosen.sum()} | 12 | " in page


def test_what_chooses_is_of_the_same_examples_and_of_other_models(made):
    folder, _ = made
    again, chooser = (folder / "smoke" / name for name in ("mnist_again", "mnist"))
    with refuses("threshold", 1.0):
        memorized_alone.analyze(again, chooser, 1.0)
    with refuses("chosen_by", chooser):  # its own models
        memorized_alone.analyze(chooser, chooser, 0.4)
    svhn = folder / "smoke" / "mnist_svhn_random"
    with refuses("chosen_by", svhn):
        memorized_alone.analyze(again, svhn, 0.4)


def test_attacks_that_the_paper_does_not_have_follow_without_a_number_of_its(made):
    _, results = made
    more = [row for row in rows(results, "table2") if not row["attack"]]
    assert {"rmia", "lira_offline", "song_entropy"} <= {row["our_attack"] for row in more}
    assert not any(row["paper"] for row in more)


def test_the_onion_compares_examples_that_stay_in_both(made):
    _, results = made
    by_group = {row["group"]: row for row in rows(results, "privacy_onion")}
    assert (by_group["over"]["n"], by_group["under"]["n"]) == ("120", "24")
    for row in by_group.values():  # both are drawn alike
        assert float(row["ci_low"]) < 0 < float(row["ci_high"])
        change = float(row["memorization_without"]) - float(row["memorization_control"])
        assert float(row["change"]) == pytest.approx(change, abs=1e-5)


def test_figure_4_has_less_memorization_with_privacy(made):
    _, results = made
    by_run = {(row["run"], row["group"]): row for row in rows(results, "figure4")}
    assert float(by_run["without DP", "under"]["mean"]) > 0.3 > float(by_run["DP-SGD", "under"]["ci_high"])
    assert float(by_run["DP-SGD", "under"]["minus_plain_high"]) < 0
    assert {row["note"].split("; ")[-1] for row in rows(results, "figure4", "_attacks")} == {"stand-in data"}


def test_figure_4_states_the_guarantee_and_what_the_paper_says(made):
    folder, _ = made
    options = SimpleNamespace(runs=folder, scale="smoke")
    figures = defence.build(outcome.finished(options, runs.defence("smoke"))).figures
    assert list(figures) == ["", "_accuracy", "_attacks", "_epsilon"]
    for figure in figures.values():
        words = figure.get_supxlabel().replace("\n", " ")
        assert "DP-SGD: epsilon 3.19 by RDP and 2.93 by PLD" in words
        assert "The paper: DP-SGD at epsilon 3.2 (noise 1.3, clip 1, 100 epochs)" in words


def test_the_onion_is_nothing_without_its_control(made, tmp_path):
    folder, _ = made
    shutil.copytree(folder / "smoke" / "mnist_svhn_onion", tmp_path / "smoke" / "mnist_svhn_onion")
    command.main(["privacy_onion", "--present", f"--runs={tmp_path}", f"--results={tmp_path / 'out'}"])
    assert not list((tmp_path / "out" / "privacy_onion").iterdir())


def test_table_1_has_the_accuracy_on_members_and_on_all_training_images(made):
    folder, results = made
    store = Store(folder / "smoke" / "mnist_svhn_random")
    under, labels = store.examples().groups == 1, store.examples().labels
    right = [(model.read_logits()[:, 0].argmax(axis=1) == labels)[under] for model in store.models()]
    members = [one[model.keep[under]].mean() for one, model in zip(right, store.models(), strict=True)]
    by_split = {(r["split"], r["group"]): r for r in rows(results, "table1") if r["mixture"] == "mnist_svhn"}
    assert float(by_split["pool", "under"]["ours"]) == pytest.approx(np.mean(right), abs=1e-6)  # six digits are written
    assert float(by_split["members", "under"]["ours"]) == pytest.approx(np.mean(members), abs=1e-6)
    assert by_split["pool", "under"]["paper"] == "0.9007" and by_split["members", "under"]["paper"] == ""


def test_all_examples_of_one_data_set_are_over_represented(made):
    _, results = made
    alone = [row for row in rows(results, "table1") if row["mixture"] == "mnist" and row["ours"]]
    assert {(row["split"], row["group"]) for row in alone} == {(s, "over") for s in ("members", "pool", "test")}
    assert {(row["num_over"], row["num_under"]) for row in alone} == {("120", "0")}
    assert {row["group"] for row in rows(results, "figure6") if row["selection"] == "none"} == {"over"}


def test_the_onion_compares_accuracy_on_the_same_test_images(made):
    _, results = made
    by_group = {row["group"]: row for row in rows(results, "privacy_onion", "_accuracy")}
    assert by_group.keys() == {"over", "under"}
    for row in by_group.values():  # every invented model has the same
        numbers = [float(row[key]) for key in ("accuracy_without", "accuracy_control", "change", "ci_low", "ci_high")]
        assert numbers == pytest.approx([0.5, 0.5, 0, 0, 0])
    assert "| test accuracy, under | 0.500 | 0.500 | +0.000 [+0.000, +0.000] |" in (results / "README.md").read_text()


def test_every_architecture_is_attacked_with_every_one(made):
    _, results = made
    table = rows(results, "lira_figure12")
    assert len(table) == 3 * len(ARCHITECTURES) ** 2 and {row["attack"] for row in table} == {"lira_online_fixed"}


def test_sweeps_end_with_all_models(made):
    _, results = made
    table = [row for row in rows(results, "figure3") if row["attack"] == "lira_online_fixed"]
    assert {row["num_shadow"] for row in table} == {"1", "2", "all"}
    assert {row["population"] for row in table} == {"under"}
    challenges = {
        "figure7": {("none", "all"), ("random", "over")},
        "figure8": {("random", "over"), ("singletons", "under")},
    }
    for name, expected in challenges.items():
        assert {(row["selection"], row["population"]) for row in rows(results, name)} == expected
    both = {"tpr_at_fpr_0.001", "tpr_at_fpr_0.001_per_target"}
    assert {row["metric"] for row in rows(results, "figure8")} == both


def test_figure_2_is_of_random_examples_and_of_singletons(made):
    _, results = made
    assert {row["selection"] for row in rows(results, "figure2")} == {"random", "singletons"}
    assert {row["selection"] for row in rows(results, "figure2", "_comparisons")} == {"random", "singletons"}
    assert (results / "figure2" / "smoke_examples_mnist_svhn.png").exists()


def test_the_page_has_the_numbers_of_the_csvs(made):
    _, results = made
    text = (results / "README.md").read_text()
    assert "| MNIST + SVHN | singletons | 120 | 24 | 12 | stand-in data |" in text
    numbers = {
        row["metric"]: [float(row[key] or "nan") for key in ("ours", "ci_low", "ci_high")]
        for row in rows(results, "table2")
        if (row["attack"], row["selection"], row["population"]) == ("carlini", "singletons", "under")
        and row["mixture"] == "mnist_svhn"
    }
    value, low, high = numbers["auroc"]
    assert f"{value:.3f} [{low:.3f}, {high:.3f}] (1.00)" in text
    assert "| TPR at 0.1% FPR pooled, all | under | per target, all | under |" in text
    value, low, high = (100 * number for number in numbers["tpr_at_fpr_0.001_per_target"])
    assert f"{value:.2f}% [{low:.2f}, {high:.2f}] (100%) |" in text
    assert claims.page(text, results, ("smoke",)) == text


def test_what_no_claim_is_about_can_be_made_alone(made, tmp_path):
    folder, _ = made
    for name in ARCHITECTURES:
        shutil.copytree(folder / "smoke" / name, tmp_path / "runs" / "smoke" / name)
    command.main(["all", f"--runs={tmp_path / 'runs'}", f"--results={tmp_path}", "--present", "--scale=smoke"])
    assert rows(tmp_path, "lira_figure12") and not (tmp_path / "claims").exists()


def test_the_page_is_of_one_scale_and_names_what_was_not_run(made, tmp_path):
    _, results = made
    missing = claims.missing(results, "smoke")
    assert not {*RUNS, *ARCHITECTURES, "cifar10_mislabeled_random", "cifar10"} & set(missing)
    assert {"mnist_augmnist_random", "mnist_svhn_subpopulation", "cifar10_cinic10_random"} <= set(missing)
    assert f"Not run at this scale: `{missing[0]}`" in (results / "README.md").read_text()
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    (tmp_path / "README.md").write_text("of another scale")
    claims.main(["--scale=smoke", f"--results={tmp_path}"])
    assert (tmp_path / "README.md").read_text() == "of another scale"


def test_the_committed_page_is_that_of_the_committed_csvs():
    text = (RESULTS / "README.md").read_text()
    assert claims.page(text, RESULTS, claims.PAGE_SCALES) == text


@pytest.mark.parametrize("names", [["figure5"], ["figure1", "figure5"]])
def test_what_could_not_be_made_is_named_at_the_end_and_the_exit_code_is_1(made, tmp_path, monkeypatch, names):
    folder, _ = made
    tried = []

    def make(_, names):
        tried.extend(names)
        return {name: 2 for name in names if "augmnist" in name}

    monkeypatch.setattr(runs, "make", make)
    with pytest.raises(SystemExit) as ended:
        command.main([*names, f"--runs={folder}", "--scale=smoke", f"--results={tmp_path}"])
    assert ended.value.code == "Not made, or not whole: mnist_augmnist_random"  # a message's exit code is 1
    assert tried.count("mnist_augmnist_random") == 1  # not again for the next figure
    assert rows(tmp_path, "figure5")


def test_without_runs_the_command_says_which_are_missing(tmp_path, monkeypatch, capsys):
    arguments = ["figure1", "--present", f"--runs={tmp_path}", f"--results={tmp_path}"]
    monkeypatch.setattr(sys, "argv", [command.__file__, *arguments])
    with pytest.raises(SystemExit, match="2"):
        commands.run(command.main)
    passed_over, line = capsys.readouterr().err.splitlines()
    assert passed_over == "figure1: none of its runs is there"
    assert line.startswith("experiments: ")
    assert "python -m experiments.runs --scale=smoke mnist_augmnist_random mnist_svhn_random" in line


def test_spearman_intervals_cover():
    """Bonett and Wright's interval holds the correlation of normal pairs 95% of the time."""
    from scipy.stats import spearmanr

    from mia_tf.figures.strength import spearman_interval

    rng = np.random.default_rng(0)
    truth, covered = 6 / np.pi * np.arcsin(0.7 / 2), 0  # Spearman's of normals with correlation 0.7
    for _ in range(400):
        x = rng.normal(size=60)
        y = 0.7 * x + np.sqrt(1 - 0.49) * rng.normal(size=60)
        low, high = spearman_interval(spearmanr(x, y).statistic, 60)
        covered += low <= truth <= high
    assert 0.91 < covered / 400 < 0.98  # 0.95 with a standard error of 0.011
    assert np.isnan(spearman_interval(0.5, 3)).all() and np.isnan(spearman_interval(np.nan, 50)).all()
