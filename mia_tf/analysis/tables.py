"""The tables of an audit as DataFrames, and the CSV files that other programs read."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mia_tf.analysis import per_target
from mia_tf.analysis.epsilon import EpsilonBound
from mia_tf.analysis.evaluation import Evaluation
from mia_tf.analysis.statistics import CONFIDENCE
from mia_tf.files import read_csv, replacing
from mia_tf.records import ALL
from mia_tf.shadow.shadow_models import ShadowModels

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
        "exposure",
        "exposure_low",
        "exposure_high",
        "rank",
        "models_needed",
    ),
    "accuracy": ("split", "group", "mean", "ci_low", "ci_high", "num_models"),
    "curves": ("attack", "population", "fpr", "tpr"),
    "correlations": ("x", "y", "group", "spearman", "p_value", "n", "note"),
}
"""Table -> columns of its CSV, in order. Columns are added at the end, never renamed: other programs read them."""
_FAMILIES = ("yeom", "shokri", "sablayrolles", "song", "lira", "rmia", "label_only", "quantile", "trajectory")
"""The attacks' names begin like this. The order is that of table 2 of Choi et al.; then come RMIA, the attacks on
labels alone, and the attacks that see x or several epochs."""


_KINDS = {
    **dict.fromkeys(("attack", "other_attack", "population", "other_population", "metric", "note", "split"), "text"),
    **dict.fromkeys(("example_id", "label", "group", "x", "y"), "text"),
    **dict.fromkeys(("index", "n_in", "n_out", "n", "num_models", "num_targets"), "integer"),
    **dict.fromkeys(("num_members", "num_nonmembers"), "integer"),
    **dict.fromkeys(("num_shadow", "other_num_shadow", "models_needed", "rank"), "maybe_integer"),
    **dict.fromkeys(("privacy_score", "ood_msp", "ood_energy", "lira_evidence", "threshold"), "number"),
}
"""Column -> its kind for `files.read_csv`; the others are finite, as rates are. num_shadow is missing if all models
are used, models_needed if the memorization is unknown, and rank if the attack says nothing of an example."""
_RECORDS = {"index": "row", "example_id": "id"}
"""Column of examples.csv -> column of `Audit.records`."""


def table(name: str, rows: Iterable[Sequence]) -> pd.DataFrame:
    """The rows of a table of COLUMNS as a DataFrame."""
    return _with_missing(pd.DataFrame(list(rows), columns=list(COLUMNS[name])))


def attack_table(evaluations: Mapping[tuple[str, int | None, str], Evaluation], stand_in: str) -> pd.DataFrame:
    """The attacks that have all shadow models, of (attack, shadow models per side, population) -> Evaluation."""
    complete = {
        (name, population): evaluation for (name, size, population), evaluation in evaluations.items() if size is None
    }
    return _noted(table("attacks", attack_rows(complete)), stand_in)


def sweep_table(
    evaluations: Mapping[tuple[str, int | None, str], Evaluation], attacks: Sequence[str], stand_in: str
) -> pd.DataFrame:
    """The attacks that have some of the shadow models, attack by attack."""
    rows = [
        (*row[:2], size, *row[2:])
        for wanted in attacks
        for (name, size, population), evaluation in evaluations.items()
        if name == wanted and size is not None
        for row in attack_rows({(name, population): evaluation})
    ]
    return _noted(table("sweep", rows), stand_in)


def curve_table(evaluations: Mapping[tuple[str, int | None, str], Evaluation]) -> pd.DataFrame:
    """The ROC curves of the attacks that have all shadow models."""
    rows = [
        (name, population, fpr, tpr)
        for (name, size, population), evaluation in evaluations.items()
        if size is None
        for fpr, tpr in evaluation.curve
    ]
    return table("curves", rows)


def epsilon_table(bounds: Mapping[tuple[str, str], EpsilonBound], delta: float | None, stand_in: str) -> pd.DataFrame:
    """The bounds on epsilon, of (attack, population) -> EpsilonBound."""
    return _noted(table("epsilon", epsilon_rows(bounds, delta)), stand_in)


def record_table(shadows: ShadowModels, columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """One row per example, in the order of the record."""
    labels = shadows.labels if shadows.classes is None else np.array(shadows.classes)[shadows.labels]
    groups = np.full(len(labels), ALL) if shadows.groups is None else shadows.groups
    about = {"index": np.arange(len(labels)), "example_id": shadows.ids, "label": labels, "group": groups}
    values = {**about, **columns}
    return _with_missing(pd.DataFrame({_RECORDS.get(name, name): values[name] for name in COLUMNS["examples"]}))


def _with_missing(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table, whose whole numbers may be missing."""
    maybe = [column for column in frame if _KINDS.get(column) == "maybe_integer"]
    return frame.astype(dict.fromkeys(maybe, "Int64"))


def _noted(frame: pd.DataFrame, stand_in: str) -> pd.DataFrame:
    """The same table; if data stand in for the real ones, its notes say so."""
    if stand_in:
        frame["note"] = [f"{note}; stand-in data" if note else "stand-in data" for note in frame["note"]]
    return frame


def attack_rows(evaluations: Mapping[tuple[str, str], Evaluation]) -> Iterator[tuple]:
    """Rows of attacks.csv, of (attack, population) -> Evaluation."""
    for (attack, population), evaluation in evaluations.items():
        counts = evaluation.num_targets, evaluation.num_members, evaluation.num_nonmembers
        for metric, values in evaluation.metrics.items():
            yield attack, population, metric, *values, *counts, evaluation.notes[metric]


def epsilon_rows(bounds: Mapping[tuple[str, str], EpsilonBound], delta: float | None) -> Iterator[tuple]:
    """Rows of epsilon.csv, of (attack, population) -> EpsilonBound."""
    for (attack, population), result in bounds.items():
        counts = result.num_members, result.num_nonmembers
        bound = delta, result.epsilon_lower, CONFIDENCE, result.threshold, result.tpr, result.fpr
        yield attack, population, *bound, *counts, result.note


def csv_text(name: str, frame: pd.DataFrame) -> str:
    """A table as its CSV: ten digits of a number, which is more than any of them deserves; NaN is an empty cell."""
    if name == "examples":
        frame = frame.rename(columns={column: written for written, column in _RECORDS.items()})
    return frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")


def read_table(folder: Path, name: str, remedy: str = "", argument: str = "folder") -> pd.DataFrame:
    """Reads a table from its CSV.

    Args:
        folder: where its CSV is.
        name: of COLUMNS.
        remedy: an error message ends with it.
        argument: the parameter or flag that gave the folder, which an InputError names.

    Raises:
        InputError: the file is missing or unreadable, or has other columns or cells.
    """
    columns = {column: _KINDS.get(column, "finite") for column in COLUMNS[name]}
    frame = read_csv(folder / f"{name}.csv", columns, remedy, argument)
    return frame.rename(columns=_RECORDS) if name == "examples" else frame


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence], note: str = "") -> Path:
    """Writes a CSV, whole or not at all, and returns its path; NaN becomes an empty cell.

    A `note` is added to the note of every row, in tables whose last column is that.

    Raises:
        OSError: the folder cannot be written; nothing is left behind.
        ValueError: a row has not one cell for each column.
    """
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            if note and columns[-1] == "note":
                row = (*row[:-1], "; ".join(filter(None, (row[-1], note))))
            writer.writerow([_cell(value) for _, value in zip(columns, row, strict=True)])
    return path


def _cell(value) -> str:
    """Ten digits of a number, which is more than any of them deserves; nothing for None."""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else format(value, ".10g")
    return "" if value is None else str(value)


def rate_of(metric: str) -> float:
    """The false positive rate in the name of a metric, such as 0.001 in "tpr_at_fpr_0.001_per_target"."""
    return float(metric.removeprefix("tpr_at_fpr_").removesuffix("_per_target"))


def shown_metrics(frame: pd.DataFrame) -> list[str]:
    """The metrics of a table that summaries and figures show.

    These are AUROC and the true positive rate at 0.1% false positives, by one threshold and per target; if it was not
    measured there, that at the lowest rate that was.
    """
    names = frame["metric"].unique().tolist()
    rates = [name for name in names if name.startswith("tpr_at_fpr_")]
    usual = [name for name in rates if rate_of(name) == per_target.LEVEL]
    lowest = [name for name in rates if rate_of(name) == min(map(rate_of, rates))]
    return [name for name in names if name == "auroc" or name in (usual or lowest)]


def in_order(attacks: Iterable[str]) -> list[str]:
    """Names of attacks, each once, as all tables list them; those of no family last, in the order given."""

    def place(name: str) -> int:
        return next((rank for rank, family in enumerate(_FAMILIES) if name.startswith(family)), len(_FAMILIES))

    return sorted(dict.fromkeys(attacks), key=place)
