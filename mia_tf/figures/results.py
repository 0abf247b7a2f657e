"""Reads the finished numbers that `python -m mia_tf.analyze` wrote."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.files import Table
from mia_tf.records import OVER, UNDER
from mia_tf.validation import InputError

_GROUP_IDS = {"over": OVER, "under": UNDER}
METRICS = ("auroc", "tpr_at_fpr_0.001")
"""The metrics of attacks.csv that figures show."""


@dataclass(frozen=True)
class Results:
    """The finished numbers of a LOGDIR's CSVs; NaN where one could not be resolved.

    Attributes:
        curves: population -> attack -> (K,) false and (K,) true positive rates; {} where no attack could be resolved.
        metrics: metric -> (attack, population) -> (value, ci_low, ci_high).
        nonmembers: population -> number of non-members that the curves rest on.
        rows: (N,) int64, each example's row in the data set.
        memorization, privacy_scores: (N,) float64.
        groups: (N,) int64 group ids.
        num_models: models that every example was in or out of.
        models_per_side: the smaller of the median numbers of models in and out.
        ood: name of an OOD score -> (N,) float64, higher = further out of distribution.
        sweep: (metric, population) -> attack -> shadow models a side -> (value, ci_low, ci_high); {} where none was
            asked for.
        correlations: {one column of examples.csv, another} -> group id or "all" -> Spearman's (rho, p).
    """

    curves: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]
    metrics: dict[str, dict[tuple[str, str], tuple[float, float, float]]]
    nonmembers: dict[str, int]
    rows: np.ndarray
    memorization: np.ndarray
    privacy_scores: np.ndarray
    groups: np.ndarray
    num_models: int
    models_per_side: int
    ood: dict[str, np.ndarray]
    correlations: dict[frozenset[str], dict[int | str, tuple[float, float]]]
    sweep: dict[tuple[str, str], dict[str, dict[int, tuple[float, float, float]]]]

    @property
    def spearman(self) -> dict[int | str, tuple[float, float]]:
        """Group id or "all" -> (rho, p) of memorization and privacy score."""
        return self.correlations.get(frozenset({"memorization", "privacy_score"}), {})


def read_results(logdir: Path) -> Results:
    """Reads the CSVs under LOGDIR/analysis.

    Raises:
        InputError: a file or column is missing or unreadable; says which command makes it.
    """
    attacks, examples, correlations = (Table(logdir, f"{name}.csv") for name in ("attacks", "examples", "correlations"))
    curves = Table(logdir, "curves.csv", may_be_empty=True)  # where no attack could be resolved
    values = zip(*(attacks.numbers(column) for column in ("value", "ci_low", "ci_high")), strict=True)
    keys = zip(attacks.text("metric"), attacks.text("attack"), attacks.text("population"), strict=True)
    metrics = {metric: {} for metric in METRICS}
    for (metric, attack, population), triple in zip(keys, values, strict=True):
        if metric in metrics:
            metrics[metric][attack, population] = triple
    counts = zip(attacks.text("population"), attacks.numbers("num_nonmembers"), strict=True)
    n_in, n_out = examples.integers("n_in"), examples.integers("n_out")
    return Results(
        curves=_read_curves(curves),
        metrics=metrics,
        nonmembers={population: int(count) for population, count in counts if np.isfinite(count)},
        rows=examples.integers("index"),
        memorization=examples.numbers("memorization"),
        privacy_scores=examples.numbers("privacy_score"),
        groups=_group_ids(examples),
        num_models=int((n_in + n_out).max()),
        models_per_side=max(1, int(min(np.median(n_in), np.median(n_out)))),
        ood={name: examples.numbers(name) for name in ("ood_msp", "ood_energy")},
        correlations=_read_correlations(correlations),
        sweep=_read_sweep(Table(logdir, "sweep.csv")) if (logdir / "analysis" / "sweep.csv").exists() else {},
    )


def _group_ids(table: Table) -> np.ndarray:
    """The column `group` as ids."""
    cells = table.text("group")
    if unknown := set(cells) - set(_GROUP_IDS):
        raise InputError(f"Unknown group {min(unknown)!r} in {table.path}{table.remedy}")
    return np.array([_GROUP_IDS[cell] for cell in cells])


def _read_curves(table: Table) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """population -> attack -> curve, in the file's order of points."""
    attacks, populations = np.array(table.text("attack")), np.array(table.text("population"))
    fpr, tpr = table.numbers("fpr"), table.numbers("tpr")
    curves = {}
    for attack, population in dict.fromkeys(zip(attacks.tolist(), populations.tolist(), strict=True)):
        points = (attacks == attack) & (populations == population)
        curves.setdefault(population, {})[attack] = fpr[points], tpr[points]
    return curves


def _read_correlations(table: Table) -> dict[frozenset[str], dict[int | str, tuple[float, float]]]:
    """{x, y} -> group id or "all" -> (rho, p), whichever column is x."""
    columns = (table.text("x"), table.text("y"), table.text("group"))
    pairs = zip(table.numbers("spearman"), table.numbers("p_value"), strict=True)
    found = {}
    for x, y, group, pair in zip(*columns, pairs, strict=True):
        found.setdefault(frozenset({x, y}), {})[_GROUP_IDS.get(group, group)] = pair
    return found


def _read_sweep(table: Table) -> dict[tuple[str, str], dict[str, dict[int, tuple[float, float, float]]]]:
    """(metric, population) -> attack -> shadow models a side -> (value, ci_low, ci_high)."""
    keys = zip(*(table.text(column) for column in ("metric", "population", "attack")), strict=True)
    values = zip(*(table.numbers(column) for column in ("value", "ci_low", "ci_high")), strict=True)
    found = {}
    for (metric, population, attack), size, triple in zip(keys, table.integers("num_shadow"), values, strict=True):
        if metric in METRICS:
            found.setdefault((metric, population), {}).setdefault(attack, {})[int(size)] = triple
    return found
