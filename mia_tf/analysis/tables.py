"""The CSV files that other programs read: columns, cells, and a file that is whole or absent."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mia_tf.analysis.evaluation import Evaluation
from mia_tf.files import replacing
from mia_tf.records import UNDER, Examples

COLUMNS = {
    "attacks": (
        "attack",
        "population",
        "metric",
        "value",
        "ci_low",
        "ci_high",
        "num_targets",
        "num_members",
        "num_nonmembers",
        "note",
    ),
    "examples": (
        "index",
        "example_id",
        "label",
        "group",
        "n_in",
        "n_out",
        "memorization",
        "memorization_se",
        "privacy_score",
        "ood_msp",
        "ood_energy",
        "lira_evidence",
    ),
    "accuracy": ("split", "group", "mean", "ci_low", "ci_high", "num_models"),
    "curves": ("attack", "population", "fpr", "tpr"),
    "correlations": ("x", "y", "group", "spearman", "p_value", "n"),
}
"""Table -> its columns, in order. They do not change: programs elsewhere read them."""


def write_table(folder: Path, name: str, rows: Iterable[Sequence]) -> Path:
    """Writes FOLDER/NAME.csv, whole or not at all, and gives its path; NaN becomes an empty cell.

    Raises:
        OSError: the folder cannot be written; nothing is left behind.
        ValueError: a row has not one cell for each column.
    """
    path = folder / f"{name}.csv"
    columns = COLUMNS[name]
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(value) for _, value in zip(columns, row, strict=True)])
    return path


def _cell(value) -> str:
    """Ten digits of a number, which is more than any of them deserves."""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else format(value, ".10g")
    return str(value)


def attack_rows(evaluations: Mapping[tuple[str, str], Evaluation]) -> Iterator[tuple]:
    """Rows of attacks.csv, of (attack, population) -> Evaluation."""
    for (attack, population), found in evaluations.items():
        counts = found.num_targets, found.num_members, found.num_nonmembers
        for metric, values in found.metrics.items():
            yield attack, population, metric, *values, *counts, found.notes[metric]


def curve_rows(evaluations: Mapping[tuple[str, str], Evaluation]) -> Iterator[tuple]:
    """Rows of curves.csv."""
    for (attack, population), found in evaluations.items():
        for fpr, tpr in found.curve:
            yield attack, population, fpr, tpr


def example_rows(examples: Examples, columns: Mapping[str, np.ndarray]) -> Iterator[tuple]:
    """Rows of examples.csv, of the examples and their measured columns."""
    groups = np.where(examples.groups == UNDER, "under", "over")
    index = range(len(groups))
    measured = [columns[name] for name in COLUMNS["examples"][4:]]
    return zip(index, examples.example_ids, examples.labels, groups, *measured, strict=True)


def summary_lines(evaluations: Mapping[tuple[str, str], Evaluation]) -> list[str]:
    """A table for people, like table 2 of Choi et al.: AUROC and TPR at 0.1% FPR of every attack, in percent."""
    attacks = list(dict.fromkeys(attack for attack, _ in evaluations))
    populations = list(dict.fromkeys(population for _, population in evaluations))
    shown = [("auroc", "AUROC"), ("tpr_at_fpr_0.001", "TPR@0.1%FPR")]
    headings = [f"{label} {population}" for _, label in shown for population in populations]
    lines = [["attack", *headings]]
    for attack in attacks:
        cells = [evaluations[attack, population].metrics[metric] for metric, _ in shown for population in populations]
        lines.append([attack, *("-" if np.isnan(value) else _percent(value, *ends) for value, *ends in cells)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _percent(value: float, low: float, high: float) -> str:
    """A share and its interval in percent."""
    return f"{100 * value:.2f} [{100 * low:.2f}, {100 * high:.2f}]"
