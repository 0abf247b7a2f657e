"""The CSV files that other programs read: columns, cells, and a file that is whole or absent."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mia_tf.analysis.epsilon import EpsilonBound
from mia_tf.analysis.evaluation import Evaluation
from mia_tf.analysis.statistics import CONFIDENCE
from mia_tf.files import replacing, replacing_all
from mia_tf.records import UNDER, Examples

_MEASURED = ("metric", "value", "ci_low", "ci_high", "num_targets", "num_members", "num_nonmembers", "note")
COLUMNS = {
    "attacks": ("attack", "population", *_MEASURED),
    "sweep": ("attack", "population", "num_shadow", *_MEASURED),
    "comparisons": (
        "attack",
        "other_attack",
        "population",
        "other_population",
        "num_shadow",
        "other_num_shadow",
        "auroc_difference",
        "ci_low",
        "ci_high",
    ),
    "epsilon": (
        "attack",
        "population",
        "delta",
        "epsilon_lower",
        "confidence",
        "threshold",
        "tpr",
        "fpr",
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
_FAMILIES = ("yeom", "shokri", "sablayrolles", "song", "lira", "rmia")
"""The attacks' names begin so, in the order of table 2 of Choi et al., then RMIA."""


def write_tables(folder: Path, tables: Mapping[str, Iterable[Sequence]], note: str = "") -> list[Path]:
    """Writes FOLDER/NAME.csv of the rows of every NAME, of COLUMNS, or of none; gives their paths.

    Other tables of COLUMNS, of an earlier analysis, are removed. `note` and errors are those of `write_rows`.
    """
    paths = [folder / f"{name}.csv" for name in tables]
    with replacing_all(paths) as temporaries:
        for temporary, (name, rows) in zip(temporaries, tables.items(), strict=True):
            _write(temporary, COLUMNS[name], rows, note)
    for name in COLUMNS.keys() - tables.keys():
        (folder / f"{name}.csv").unlink(missing_ok=True)
    return paths


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence], note: str = "") -> Path:
    """Writes a CSV, whole or not at all, and gives its path; NaN becomes an empty cell.

    A `note` is added to the note of every row, in tables whose last column is that.

    Raises:
        OSError: the folder cannot be written; nothing is left behind.
        ValueError: a row has not one cell for each column.
    """
    with replacing(path) as temporary:
        _write(temporary, columns, rows, note)
    return path


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence], note: str) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            if note and columns[-1] == "note":
                row = (*row[:-1], "; ".join(filter(None, (row[-1], note))))
            writer.writerow([_cell(value) for _, value in zip(columns, row, strict=True)])


def _cell(value) -> str:
    """Ten digits of a number, which is more than any of them deserves; nothing for None."""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else format(value, ".10g")
    return "" if value is None else str(value)


def in_order(attacks: Iterable[str]) -> list[str]:
    """Names of attacks, each once, as all tables list them; those of no family last, in the order given."""

    def place(name: str) -> int:
        return next((rank for rank, family in enumerate(_FAMILIES) if name.startswith(family)), len(_FAMILIES))

    return sorted(dict.fromkeys(attacks), key=place)


def attack_rows(evaluations: Mapping[tuple[str, str], Evaluation]) -> Iterator[tuple]:
    """Rows of attacks.csv, of (attack, population) -> Evaluation."""
    for (attack, population), found in evaluations.items():
        counts = found.num_targets, found.num_members, found.num_nonmembers
        for metric, values in found.metrics.items():
            yield attack, population, metric, *values, *counts, found.notes[metric]


def sweep_rows(sweep: Mapping[tuple[str, int, str], Evaluation]) -> Iterator[tuple]:
    """Rows of sweep.csv, of (attack, num_shadow, population) -> Evaluation."""
    for (attack, num_shadow, population), found in sweep.items():
        for row in attack_rows({(attack, population): found}):
            yield *row[:2], num_shadow, *row[2:]


def curve_rows(evaluations: Mapping[tuple[str, str], Evaluation]) -> Iterator[tuple]:
    """Rows of curves.csv."""
    for (attack, population), found in evaluations.items():
        for fpr, tpr in found.curve:
            yield attack, population, fpr, tpr


def epsilon_rows(bounds: Mapping[tuple[str, str], EpsilonBound], delta: float) -> Iterator[tuple]:
    """Rows of epsilon.csv, of (attack, population) -> EpsilonBound."""
    for (attack, population), found in bounds.items():
        counts = found.num_members, found.num_nonmembers
        bound = delta, found.epsilon_lower, CONFIDENCE, found.threshold, found.tpr, found.fpr
        yield attack, population, *bound, *counts, found.note


def example_rows(examples: Examples, columns: Mapping[str, np.ndarray]) -> Iterator[tuple]:
    """Rows of examples.csv, of the examples and their measured columns."""
    groups = np.where(examples.groups == UNDER, "under", "over")
    index = range(len(groups))
    measured = [columns[name] for name in COLUMNS["examples"][4:]]
    return zip(index, examples.example_ids, examples.labels, groups, *measured, strict=True)


def summary_lines(evaluations: Mapping[tuple[str, str], Evaluation]) -> list[str]:
    """A table for people, like table 2 of Choi et al.: AUROC and TPR at 0.1% FPR of every attack, in percent."""
    return _metric_lines(
        ["attack"], {((attack,), population): found for (attack, population), found in evaluations.items()}
    )


def sweep_lines(sweep: Mapping[tuple[str, int, str], Evaluation]) -> list[str]:
    """The same for people by number of shadow models a side, as figures 3 and 8 of Choi et al. draw it."""
    headings = ["attack", "shadow models a side"]
    return _metric_lines(
        headings, {((attack, str(k)), population): found for (attack, k, population), found in sweep.items()}
    )


def _metric_lines(headings: list[str], evaluations: Mapping[tuple[tuple[str, ...], str], Evaluation]) -> list[str]:
    """Lines of a table of two metrics, by (first cells, population); without the over-represented, as in the papers."""
    rows = dict.fromkeys(row for row, _ in evaluations)
    populations = [name for name in dict.fromkeys(population for _, population in evaluations) if name != "over"]
    shown = [("auroc", "AUROC"), ("tpr_at_fpr_0.001", "TPR@0.1%FPR")]
    lines = [[*headings, *(f"{label} {population}" for _, label in shown for population in populations)]]
    for row in rows:
        cells = [evaluations[row, population].metrics[metric] for metric, _ in shown for population in populations]
        lines.append([*row, *("-" if np.isnan(value) else _percent(value, *ends) for value, *ends in cells)])
    return _aligned(lines)


def epsilon_lines(bounds: Mapping[tuple[str, str], EpsilonBound], delta: float) -> list[str]:
    """The bounds on epsilon for people."""
    populations = list(dict.fromkeys(population for _, population in bounds))
    lines = [["attack", *(f"epsilon at least, {population}" for population in populations)]]
    for attack in dict.fromkeys(attack for attack, _ in bounds):
        found = [bounds[attack, population].epsilon_lower for population in populations]
        lines.append([attack, *("-" if np.isnan(value) else f"{value:.3f}" for value in found)])
    assumed = f"Each at delta = {delta:g} with 95% confidence by itself, the pairs taken for independent trials."
    return [*_aligned(lines), assumed]


def _aligned(lines: list[list[str]]) -> list[str]:
    """Cells as columns of one width."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _percent(value: float, low: float, high: float) -> str:
    """A share and its interval in percent."""
    return f"{100 * value:.2f} [{100 * low:.2f}, {100 * high:.2f}]"
