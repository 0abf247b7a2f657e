"""A table that is made anew loses no number of a run that is elsewhere."""

import csv

import pytest

from experiments.reproduction.kept_rows import with_kept


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
