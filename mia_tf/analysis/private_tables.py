"""Memorization, attacks, accuracy and bounds on epsilon of runs with and without differential privacy, as tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.analysis import group_memorization, tables
from mia_tf.analysis.group_memorization import GroupMean
from mia_tf.analysis.private_runs import GUARANTEE, Run
from mia_tf.analysis.study import Findings, Progress, group_masks, study
from mia_tf.shadow import signals

_SETTINGS = ("arch", "lr", "batch", "epochs", "augment", "weight_decay", "pkeep")
COLUMNS = {
    "memorization": (
        *("run", "group", "n", "mean", "ci_low", "ci_high", "minus_plain", "minus_plain_low", "minus_plain_high"),
        *("median", "q05", "q95", "std", "standard_error", "share_above_0", "note"),
    ),
    "memorization_bins": ("run", "group", "low", "high", "examples"),
    "attacks": ("run", *tables.COLUMNS["attacks"]),
    "accuracy": ("run", *tables.COLUMNS["accuracy"]),
    "epsilon": ("run", *tables.COLUMNS["epsilon"][:-1], "epsilon_rdp", "epsilon_pld", "note"),
    "runs": ("run", "num_models", *_SETTINGS, *GUARANTEE),
}
"""Table -> its columns, in order; those after the run mean what they mean in the tables of an analysis, and
memorization.csv has `GroupMean` and `group_memorization.spread`."""


@dataclass(frozen=True)
class Comparison:
    """What was found of each run, by its label; the first was trained without differential privacy.

    Attributes:
        runs: label -> Run.
        findings: label -> Findings of its models.
        means: label -> group -> mean memorization; replicates are of equal draws, so that they can be subtracted.
        delta: of the bounds on epsilon, the accountant's and the attacks'.
    """

    runs: Mapping[str, Run]
    findings: Mapping[str, Findings]
    means: Mapping[str, Mapping[str, GroupMean]]
    delta: float

    @property
    def plain(self) -> str:
        """The label of the run without differential privacy."""
        return next(iter(self.runs))

    @property
    def memorization(self) -> dict[str, np.ndarray]:
        """Label -> (N,) estimates, NaN where an example is in all models or in none."""
        return {label: found.columns["memorization"] for label, found in self.findings.items()}

    @property
    def models_per_side(self) -> int:
        """The smaller of the median numbers of models that an example is in and out of."""
        columns = self.findings[self.plain].columns
        return max(1, int(min(np.median(columns["n_in"]), np.median(columns["n_out"]))))


def measure(runs: Mapping[str, Run], attacks: Sequence[str], seed: int, folder: Path, progress: Progress) -> Comparison:
    """Analyzes every run by itself.

    Args:
        runs: label -> Run, as `read_runs` gives them.
        attacks, seed, folder, progress: as for `study.study`.

    Raises:
        InputError: too few models, or models that do not fit together or hold NaN.
    """
    delta = list(runs.values())[-1].hparams["delta"]
    findings, means = {}, {}
    for label, run in runs.items():
        findings[label] = study(run.models, run.examples, attacks, None, seed, folder, progress, delta=delta)
        means[label] = _group_means(run, seed)
    return Comparison(runs, findings, means, delta)


def _group_means(run: Run, seed: int) -> dict[str, GroupMean]:
    """Group -> its mean memorization."""
    labels = run.examples.labels
    correct = np.column_stack([signals.correct(model.read_logits()[:, 0], labels) for model in run.models])
    keep = np.column_stack([model.keep for model in run.models])
    masks = group_masks(run.examples.groups)
    return {name: group_memorization.mean_memorization(correct[mask], keep[mask], seed) for name, mask in masks.items()}


def rows(found: Comparison, edges: np.ndarray) -> dict[str, list[tuple]]:
    """Rows of every table of COLUMNS; `edges` are those of the bins of memorization."""
    return {
        "memorization": list(_memorization_rows(found)),
        "memorization_bins": list(_bin_rows(found, edges)),
        "attacks": [
            (label, *row) for label, each in found.findings.items() for row in tables.attack_rows(each.evaluations)
        ],
        "accuracy": [(label, *row) for label, each in found.findings.items() for row in each.accuracy],
        "epsilon": list(_epsilon_rows(found)),
        "runs": list(_run_rows(found.runs)),
    }


def _memorization_rows(found: Comparison) -> Iterator[tuple]:
    for label, each in found.findings.items():
        for group, mask in group_masks(found.runs[label].examples.groups).items():
            mean = found.means[label][group]
            less = (np.nan,) * 3 if label == found.plain else mean.minus(found.means[found.plain][group])
            spread = group_memorization.spread(
                *(each.columns[name][mask] for name in ("memorization", "memorization_se"))
            )
            reach = group_memorization.RESOLVED_ERRORS * spread["standard_error"]
            note = f"one example's value is known to about {reach:.2g} either way" if np.isfinite(reach) else ""
            count, *rest = spread.values()
            yield label, group, count, mean.value, *mean.interval(), *less, *rest, note


def _bin_rows(found: Comparison, edges: np.ndarray) -> Iterator[tuple]:
    for label, values in found.memorization.items():
        for group, mask in group_masks(found.runs[label].examples.groups).items():
            counts, _ = np.histogram(values[mask & np.isfinite(values)], edges)
            yield from ((label, group, *cells) for cells in zip(edges[:-1], edges[1:], counts, strict=True))


def _epsilon_rows(found: Comparison) -> Iterator[tuple]:
    for label, each in found.findings.items():
        upper = [found.runs[label].epsilon(accountant) for accountant in ("rdp", "pld")]
        for row in tables.epsilon_rows(each.bounds, found.delta):
            yield label, *row[:-1], *upper, row[-1]


def _run_rows(runs: Mapping[str, Run]) -> Iterator[tuple]:
    for label, run in runs.items():
        settings = [run.hparams.get(name) for name in (*_SETTINGS, *GUARANTEE)]
        yield label, len(run.models), *("" if value is None else value for value in settings)


def lines(found: Comparison, rows: Mapping[str, list[tuple]]) -> Iterator[str]:
    """Short tables for people, of the rows."""
    yield "mean memorization [95%]"
    for label, group, _, *values, _ in rows["memorization"]:
        less = "" if np.isnan(values[3]) else f"; minus {found.plain}: " + _interval(values[3:6])
        yield f"  {label}, {group}: {_interval(values[:3])}{less}"
    yield "accuracy [95%]"
    for label, split, group, *values, _ in rows["accuracy"]:
        yield f"  {label}, {split}, {group}: {_interval(values)}"
    for label, each in found.findings.items():
        yield f"attacks {label}"
        yield from tables.summary_lines(each.evaluations)
        yield from tables.epsilon_lines(each.bounds, found.delta)
        run = found.runs[label]
        if run.private:
            yield _verdict(run, {key: bound.epsilon_lower for key, bound in each.bounds.items()})


def _verdict(run: Run, lower: Mapping[tuple[str, str], float]) -> str:
    """The accountant's bounds, and which of the attacks' contradict them."""
    upper = {name: run.epsilon(name) for name in ("rdp", "pld")}
    above = [f"{attack} ({population})" for (attack, population), e in lower.items() if e > min(upper.values())]
    bounds = ", ".join(f"{epsilon:.3f} by {name.upper()}" for name, epsilon in upper.items())
    kept = "ABOVE it: " + ", ".join(above) if above else "every lower bound is under it"
    return " ".join(filter(None, (f"The accountant: epsilon at most {bounds}; {kept}.", run.hparams.get("note"))))


def _interval(values: Sequence[float]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*values)
