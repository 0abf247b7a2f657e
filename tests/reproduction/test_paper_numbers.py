"""What the papers report, read as numbers."""

import numpy as np
import pytest

from experiments.reproduction import paper_numbers, removal


def number(table, **about):
    (row,) = [row for row in paper_numbers.attack_numbers(table) if about.items() <= row.items()]
    return row["paper"]


@pytest.mark.parametrize("table, rows", [("table2", 35), ("table3", 35), ("table5", 15)])
def test_attack_tables_are_whole(table, rows):
    numbers = paper_numbers.attack_numbers(table)
    assert len(numbers) == 4 * rows
    assert {row["attack"] for row in numbers} == {*paper_numbers.ATTACKS, "carlini"}
    for row in numbers:
        assert (0.5 if row["metric"] == "auroc" else 0) <= row["paper"] <= 1
    keys = [tuple(row[key] for key in ("attack", "mixture", "selection", "population", "metric")) for row in numbers]
    assert len(set(keys)) == len(keys)


def test_numbers_that_the_papers_text_repeats():
    """Section 7.1 names these of tables 2 and 3."""
    shokri = {"attack": "shokri", "mixture": "mnist_augmnist", "selection": "random"}
    assert number("table2", **shokri, population="all", metric="auroc") == 0.51
    assert number("table2", **shokri, population="all", metric="tpr_at_fpr_0.001") == 0.002
    assert number("table2", **shokri, population="under", metric="auroc") == 0.72
    assert number("table2", **shokri, population="under", metric="tpr_at_fpr_0.001") == 0.007
    mast = {"attack": "sablayrolles", "mixture": "mnist_svhn", "population": "under"}
    assert number("table2", **mast, selection="singletons", metric="tpr_at_fpr_0.001") == 0.9755
    assert number("table2", **mast, selection="subpopulation", metric="tpr_at_fpr_0.001") == 0.26
    assert number("table2", **mast, selection="random", metric="auroc") == 0.81
    for table in ("table2", "table3", "table5"):  # section 7: LiRA on singletons, AUROC 1.0 and TPR over 96%
        for row in paper_numbers.attack_numbers(table):
            if (row["attack"], row["selection"], row["population"]) == ("carlini", "singletons", "under"):
                assert row["paper"] >= (1 if row["metric"] == "auroc" else 0.96)


def test_accuracies_are_shares_and_a_missing_group_has_none():
    numbers = paper_numbers.accuracy_numbers("table1")
    assert len(numbers) == 2 * 2 + 5 * 4
    (row,) = [
        row for row in numbers if row["mixture"] == "mnist_svhn" and (row["split"], row["group"]) == ("test", "under")
    ]
    assert (row["paper"], row["paper_pm"]) == (0.6476, 0.0131)
    assert len(paper_numbers.accuracy_numbers("table4")) == 20


def test_what_is_said_of_figures():
    assert [row["value"] for row in paper_numbers.statements("figure3")] == ["1", "5", "50"]
    with pytest.raises(KeyError, match="figure99"):
        paper_numbers.statements("figure99")


def test_the_most_memorized_tenth_leaves_and_its_control_has_as_many_of_each_group():
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1], (150, 50))
    memorization = rng.uniform(0, 0.3, 200) + 0.3 * groups
    memorization[160] = np.nan
    onion = removal.removed(memorization, groups, "onion", rng)
    assert len(onion) == 20
    assert np.nanmin(memorization[onion]) >= np.nanmax(np.delete(memorization, onion))
    control = removal.removed(memorization, groups, "control", rng)
    assert len(set(control.tolist())) == 20
    assert np.count_nonzero(groups[control]) == np.count_nonzero(groups[onion])
    assert set(control.tolist()) != set(onion.tolist())
    again = removal.removed(memorization, groups, "control", np.random.default_rng(3))
    assert (again == removal.removed(memorization, groups, "control", np.random.default_rng(3))).all()


def test_a_row_of_a_figure_has_what_the_paper_says_of_it():
    row = {"metric": "tpr_at_fpr_0.001", "target": "resnet34"}
    rows = [{**row, "shadow": name} for name in ("resnet34", "resnet50", "vgg16")]
    assert [row["paper"] for row in paper_numbers.beside("lira_figure12", rows)] == ["0.05", "0.04", ""]
    row = {"selection": "singletons", "attack": "lira_online_fixed"}
    rows = [{**row, "num_shadow": 1}, {**row, "num_shadow": "all"}]
    assert [row["paper"] for row in paper_numbers.beside("figure3", rows)] == ["1", ""]
    assert paper_numbers.beside("figure1", [{"x": "privacy_score"}]) == [
        {"x": "privacy_score", "paper": "at most 0.551"}
    ]
