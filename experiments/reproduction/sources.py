"""The CSVs that claims are judged on: how to read them, and the command that makes each."""

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path

from experiments import runs
from experiments.reproduction.judged_attacks import Place
from experiments.reproduction.judging import Row

THEORY = {"theory/summary.csv", "theory/learning.csv"}
"""Of the run mnist_svhn_random at the scale of the page."""
FLOW = "inverse_flow/inverse_flow.csv"
"""Of an experiment that no scale changes."""
_OTHER_EPOCHS = r"other_epochs/(\w+)_(\d+)_attacks\.csv"


def path(name: str, scale: str, ending: str = "") -> str:
    """Returns where a table or figure has its CSV, below the results."""
    return f"{name}/{scale}{ending}.csv"


def rows(results: Path, source: str) -> list[Row]:
    """Returns the rows of a CSV; none if it has not been made."""
    if not (results / source).exists():
        return []
    with open(results / source, newline="") as file:
        return list(csv.DictReader(file))


def other_epochs(results: Path, scale: str) -> list[tuple[Place, int, str, list[Row]]]:
    """Returns the runs that were repeated with other epochs: place, epochs, source and rows of attacks.csv."""
    read_rows = []
    known = runs.runs(scale)
    for file in sorted(results.glob("other_epochs/*_attacks.csv")) if scale == "cpu" else ():
        source = file.relative_to(results).as_posix()
        name, epochs = re.fullmatch(_OTHER_EPOCHS, source).groups()
        read_rows.append(((known[name].mixture, known[name].selection), int(epochs), source, rows(results, source)))
    return read_rows


def selections(source: str, compared: str) -> list[str]:
    """Returns which of the selections that "MORE - LESS" compares a CSV has numbers of."""
    both = compared.split(" - ")
    match = re.fullmatch(_OTHER_EPOCHS, source)
    return [name for name in both if not match or match[1].endswith(f"_{name}")]


def command(source: str, scale: str) -> str:
    """Returns the command that makes a CSV."""
    if source in THEORY:
        return f"python -m experiments.theory --logdir=runs/{scale}/mnist_svhn_random --out=experiments/results/theory"
    if source == FLOW:
        return "python -m experiments.inverse_flow --data_dir=DATA --seed=0"
    if match := re.fullmatch(_OTHER_EPOCHS, source):
        name, epochs = match.groups()
        logdir = f"--logdir=runs/{scale}/{name}_{epochs}"
        train = train_flags(name, scale).rpartition(" ")[0]
        return f"python -m mia_tf.train {train} --epochs={epochs} {logdir} && python -m mia_tf.analyze {logdir}"
    return f"python -m experiments {source.split('/')[0]} --scale={scale} --data_dir=DATA"


def train_flags(name: str, scale: str) -> str:
    """Returns the flags of a run as a command line has them."""
    run = runs.runs(scale)[name]
    chooser = [f"--scores_from=runs/{scale}/{run.scores_from}"] if run.selection == "singletons" else []
    text = " ".join([*run.flags, *chooser, "--data_dir=DATA", f"--logdir=runs/{scale}/{name}"])
    return text.replace(f"{runs.FLAGS}{os.sep}", "flags/")


def minutes(names: Sequence[str], scale: str) -> float | None:
    """Returns the estimated cost of runs, and of the runs that choose their examples, in minutes; None if not known."""
    known = runs.runs(scale)
    wanted = [known[name] for name in names]
    costs = [known[name].minutes for name in {*names, *(run.scores_from for run in wanted if run.scores_from)}]
    return None if not costs or None in costs else sum(costs)
