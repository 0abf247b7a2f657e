"""A table that is made anew loses no number of a run that is elsewhere."""

import csv

import pytest
from matplotlib.figure import Figure

from experiments.reproduction import attack_tables
from experiments.reproduction.kept_rows import with_kept
from experiments.reproduction.outcome import Outcome
from experiments.reproduction.outcome import write as write_outcome


def row(mixture, selection, ours, **more):
    return {"mixture": mixture, "selection": selection, "ours": ours, **more}


def write(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_rows_of_runs_that_are_not_there_are_kept_in_their_order(tmp_path):
    old = [row("a", "random", "0.1"), row("a", "singletons", "0.2"), row("b", "random", ""), row("c", "random", "0.4")]
    new = [row("a", "random", "", note=""), row("b", "random", 0.3, note="x"), row("c", "random", 0.5, note="")]
    merged, places = with_kept(write(tmp_path / "cpu.csv", old), new, {("b", "random"), ("c", "random")})
    assert places == [("a", "random"), ("a", "singletons")]
    assert [(r["mixture"], r["selection"], r["ours"], r["note"]) for r in merged] == [
        ("a", "random", "0.1", ""), ("a", "singletons", "0.2", ""), ("b", "random", 0.3, "x"), ("c", "random", 0.5, ""),
    ]  # fmt: skip


def test_a_rate_that_is_not_resolved_is_kept(tmp_path):
    old = [row("a", "random", "", num_models="64"), row("b", "random", "", num_models="")]
    merged, _ = with_kept(write(tmp_path / "cpu.csv", old), [row("c", "random", 0.1, num_models=8)], {("c", "random")})
    assert [r["mixture"] for r in merged] == ["a", "c"]


def test_a_difference_is_kept_only_if_neither_side_is_made_anew(tmp_path):
    old = [row("a", "singletons - random", "0.1"), row("a", "private - plain", "0.2")]
    _, places = with_kept(write(tmp_path / "cpu.csv", old), [row("a", "random", 0.3)], {("a", "random")})
    assert places == [("a", "private - plain")]


def test_a_table_of_one_selection_goes_by_the_mixture(tmp_path):
    old = [{"mixture": name, "ours": "0.1"} for name in "ab"]
    new = [{"mixture": "a", "ours": 0.2}, {"mixture": "b", "ours": ""}]
    merged, places = with_kept(write(tmp_path / "cpu.csv", old), new, {("a", "random")})
    assert [r["ours"] for r in merged] == [0.2, "0.1"] and places == [("b", "")]


@pytest.mark.parametrize("new", [[], [{"run": "plain", "mean": 1}], [row("a", "random", 1)]])
def test_nothing_is_kept_where_there_was_nothing(tmp_path, new):
    assert with_kept(tmp_path / "cpu.csv", new, {("a", "random")}) == (new, [])


def test_the_papers_numbers_beside_a_kept_run_are_kept_too(tmp_path):
    old = [row("a", "random", 0.1), row("a", "random", ""), row("b", "random", ""), row("c", "random", "")]
    new = [row("a", "random", ""), row("a", "random", ""), row("b", "random", 0.2), row("c", "random", "")]
    merged, _ = with_kept(write(tmp_path / "cpu.csv", old), new, {("b", "random")})
    assert [(one["mixture"], str(one["ours"])) for one in merged] == [("a", "0.1"), ("a", ""), ("b", "0.2"), ("c", "")]


def test_a_figure_of_the_rows_shows_the_kept_ones_and_others_are_left_as_they_are(tmp_path):
    write(tmp_path / "smoke.csv", [row("a", "random", 0.1)])
    drawn = []

    def draw(rows):
        drawn.extend(rows)
        return {"_rows": Figure()}

    outcome = Outcome({"": [row("b", "random", 0.2)]}, {"_runs": Figure()}, draw)
    write_outcome(lambda _measured: outcome, {}, tmp_path, "smoke")
    assert [each["mixture"] for each in drawn] == ["a", "b"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["smoke.csv", "smoke_rows.png"]


def test_kept_rows_of_attacks_are_drawn_and_said_to_be_of_an_earlier_run():
    about = {"population": "under", "num_models": "64", "num_over": "10000", "num_under": "39", "note": "a sample"}
    ours = {"attack": "carlini", "metric": "auroc", "paper": "0.99", "ci_low": "0.7", "ci_high": "0.8"}
    kept = row("mnist_svhn", "subpopulation", "0.75", **about, **ours)
    missing = row("mnist_svhn", "singletons", "", **about | {"num_models": ""}, **ours)
    rate = {**kept, "metric": "tpr_at_fpr_0.001", "ours": "", "ci_low": "", "ci_high": ""}
    figure = attack_tables._figure("table2", [kept, rate, missing], "mnist_svhn", {})
    panel, of_rates = figure.axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["LiRA, subpopulation"]
    assert {0.75, 0.99} <= {x for line in panel.lines for x in line.get_xdata()}
    assert "not resolved" in [text.get_text() for text in of_rates.texts]
    words = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert "Of earlier runs: MNIST + SVHN (subpopulation), 64 models, 10,000 + 39 examples, a sample." in words


def test_a_metric_that_an_earlier_run_lacks_leaves_its_lines_empty():
    """Panels share their lines; fewer of them in the last one once moved all others out of the figure."""
    about = {"attack": "yeom", "population": "all", "paper": "0.6", "note": "", "metric": "auroc"}
    ours = {"ci_low": "0.7", "ci_high": "0.8", "num_models": "64", "num_over": "5000", "num_under": "88"}
    rows = [row("mnist_svhn", kind, "0.75", **about, **ours) for kind in ("random", "singletons")]
    rates = [{**one, "metric": "tpr_at_fpr_0.001"} for one in rows]
    figure = attack_tables._figure("table2", [*rows, *rates[:1]], "mnist_svhn", {})
    labels = [[text.get_text() for text in panel.get_yticklabels()] for panel in figure.axes]
    assert labels[0] == ["Yeom, random", "Yeom, singletons"] and figure.axes[1].get_ylim() == (1.5, -0.5)
    assert "Empty lines: earlier runs without this rate." in " ".join(text.get_text() for text in figure.texts).replace(
        "\n", " "
    )
