"""`python -m experiments.figure4_dp` on fabricated LOGDIRs."""

import csv

import pytest
import train_commands
from dp_helpers import GUARANTEE, make_keep, make_pool, write_run

from mia_tf.analysis.dp_comparison import COLUMNS

STAND_IN = "Rendered digits stand in for SVHN."
FIGURES = ("figure4", "accuracy", "attacks", "epsilon")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """LOGDIRs: plain, dp, and dp of another rate."""
    folder = tmp_path_factory.mktemp("figure4")
    dataset = make_pool(STAND_IN)
    keep = make_keep(dataset)
    write_run(folder / "plain", dataset, keep, gain=3.0)
    write_run(folder / "dp", dataset, keep, gain=0.0, **GUARANTEE)
    write_run(folder / "tuned", dataset, keep, gain=0.3, lr=0.5, **GUARANTEE)
    return folder


def command(folder, *arguments):
    arguments = [argument.replace("DIR", str(folder)) for argument in arguments]
    return train_commands.run(*arguments, module="experiments.figure4_dp")


def test_every_table_and_figure_is_written(folder):
    ended = command(
        folder, "--plain=DIR/plain", "--dp=DIR/dp", "--dp=DIR/tuned", "--out=DIR/out", "--attacks=yeom,rmia"
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert STAND_IN in ended.stdout and "every lower bound is under it" in ended.stdout
    out = folder / "out"
    columns = {**COLUMNS, "memorization_bins": ("run", "group", "low", "high", "examples")}
    names = {f"{name}.csv" for name in columns} | {f"{n}.{kind}" for n in FIGURES for kind in ("png", "pdf")}
    assert {path.name for path in out.iterdir()} == names
    assert all(str(out / name) in ended.stdout for name in names)
    tables = {}
    for name, header in columns.items():
        with open(out / f"{name}.csv", newline="") as file:
            rows = tables[name] = list(csv.DictReader(file))
        assert tuple(rows[0]) == header
        runs = ["without DP", "DP, lr 0.1", "DP, lr 0.5"]
        assert list(dict.fromkeys(row["run"] for row in rows)) == (runs[1:] if name == "differences" else runs)
        if header[-1] == "note":
            assert all("stand-in data" in row["note"] for row in rows)
    assert [row["epsilon_rdp"] for row in tables["runs"]] == ["", "3.188", "3.188"]
    assert [row["lr"] for row in tables["runs"]] == ["0.1", "0.1", "0.5"]
    bins = [row for row in tables["memorization_bins"] if (row["run"], row["group"]) == ("without DP", "under")]
    assert sum(int(row["examples"]) for row in bins) == 60
    assert [row["high"] for row in bins[:-1]] == [row["low"] for row in bins[1:]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--plain=DIR/plain", "--out=DIR/none"], "`dp` must be given"),
        (["--plain=DIR/dp", "--dp=DIR/dp", "--out=DIR/none"], "`plain` must have been trained without"),
        (["--plain=DIR/plain", *["--dp=DIR/dp"] * 2, "--out=DIR/none"], "`dp` must name at least one LOGDIR trained"),
        (
            ["--plain=DIR/plain", "--dp=DIR/dp", *["--dp_label=A"] * 2, "--out=DIR/none"],
            "`dp_label` must be given once",
        ),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(folder, arguments, message):
    ended = command(folder, *arguments)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("experiments.figure4_dp: ") and message in line
    assert not (folder / "none").exists()
