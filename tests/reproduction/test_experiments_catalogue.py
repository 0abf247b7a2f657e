"""The catalogue of tables and figures: each entry is whole, and every command that a page names exists."""

import csv
import importlib.util
import re
import runpy
import sys
from pathlib import Path

import pytest

from experiments import __main__ as command
from experiments import runs
from experiments.reproduction.catalogue import CATALOGUE, ENTRIES
from experiments.reproduction.outcome import RESULTS
from experiments.reproduction.paper_numbers import table

REPOSITORY = Path(__file__).parents[2]


def test_every_entry_has_runs_at_every_scale_a_title_a_papers_statement_and_its_line_in_the_list(capsys):
    assert len(CATALOGUE) == len(ENTRIES) == len({entry.title for entry in ENTRIES})
    assert {row["item"] for row in table("figures")} == set(CATALOGUE)
    for scale in runs.SCALES:
        command.main(["--list", f"--scale={scale}"])
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == list(CATALOGUE)
        for entry, line in zip(ENTRIES, lines, strict=True):
            wanted = entry.runs(scale)
            assert wanted and set(wanted) <= set(runs.runs(scale)) and len(set(wanted)) == len(wanted)
            assert entry.title and "\n" not in entry.title and f"{entry.title} ({len(wanted)} runs, " in line
            assert entry.paper.endswith(".")


def test_what_an_entry_costs_counts_each_run_once_and_the_runs_that_choose_its_examples():
    known = runs.runs("cpu")
    names = {"mnist_svhn_candidates", "mnist_svhn_onion", "mnist_svhn_control"}
    assert set(CATALOGUE["privacy_onion"].runs("cpu")) == names
    minutes = sum(known[name].minutes for name in names)
    assert CATALOGUE["privacy_onion"].cost("cpu") == f"3 runs, about {minutes:g} min on two cores"
    singletons = CATALOGUE["table4"].runs("cpu")
    minutes = sum(known[name].minutes for name in (*singletons, *(known[name].scores_from for name in singletons)))
    assert CATALOGUE["table4"].cost("cpu") == f"5 runs, about {minutes:g} min on two cores"
    assert CATALOGUE["table1"].cost("paper") == "7 runs, cost not measured"


def test_a_name_with_list_tells_all_that_is_known_of_it(capsys):
    command.main(["figure6", "--list", "--scale=cpu", "figure5"])
    text = capsys.readouterr().out
    heads = [f"{name}: {CATALOGUE[name].title}" for name in ("figure6", "figure5")]
    assert [line for line in text.splitlines() if line[0] != " "] == heads
    assert "The paper: CIFAR-10 alone: long-tailed." in text
    assert "At --scale=cpu: 3 runs, about 81 min on two cores: cifar10, cifar10_augcifar10_random" in text


@pytest.mark.parametrize("names, message", [([], "Name a table or figure"), (["figure11"], "Received: name=figure11")])
def test_a_wrong_name_is_one_line(capsys, names, message):
    with pytest.raises(SystemExit, match="2"):
        command.main(names)
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_the_earlier_name_makes_all(tmp_path, monkeypatch, capsys):
    arguments = ["--scale=smoke", "--present", f"--runs={tmp_path}", f"--results={tmp_path}"]
    monkeypatch.setattr(sys, "argv", ["everything", *arguments])
    runpy.run_module("experiments.everything", run_name="__main__", alter_sys=True)
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [f"{name}: none of its runs is there" for name in CATALOGUE]


def test_every_command_that_is_named_exists():
    pages = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *RESULTS.rglob("*.md")]
    pages += [*(REPOSITORY / "experiments").rglob("*.py"), *(REPOSITORY / "flags").glob("*.flags")]
    texts = [page.read_text() for page in pages]
    for file in (RESULTS / "claims").glob("*.csv"):
        with open(file, newline="") as opened:
            texts += {row["command"] for row in csv.DictReader(opened)}
    named = {match for text in texts for match in re.findall(r"python -m experiments(?:\.([\w.]+)| +(\w+))", text)}
    assert {"claims", "runs"} <= {module for module, _ in named}
    for module, name in named:
        assert importlib.util.find_spec(f"experiments.{module}") if module else name in (*CATALOGUE, "all")
