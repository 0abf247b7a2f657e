"""Differences that the claims are decided on, paired: both sides of the same models and examples."""

from collections.abc import Iterator

import numpy as np
from scipy.stats import rankdata

from experiments.reproduction import paper_numbers
from experiments.reproduction.measured import LIRA_SWEPT, Measured
from mia_tf.analysis.statistics import REPLICATES, offset_interval, spearman
from mia_tf.figures.ood import OOD_LABELS

_CHUNK = 100


def attack_rows(run: Measured) -> Iterator[dict]:
    """Differences of AUROC between the paper's attacks, under its names, and of each between populations."""
    names = {ours: theirs for theirs, ours in paper_numbers.ATTACKS.items()} | {run.lira: "carlini"}
    for row in run.table("comparisons"):
        populations = row["population"], row["other_population"]
        whole = not (row["num_shadow"] or row["other_num_shadow"])
        if whole and {row["attack"], row["other_attack"]} <= names.keys() and "over" not in populations:
            pair = {key: names[row[key]] for key in ("attack", "other_attack")}
            yield {**_about(run), **pair, **dict(zip(("population", "other_population"), populations, strict=True))} | (
                _difference(row)
            )


def sweep_rows(run: Measured) -> Iterator[dict]:
    """AUROC on the under-represented group with all shadow models less that with few, by how few a side."""
    for row in run.table("comparisons"):
        if row["other_num_shadow"] and (row["attack"], row["population"]) == (LIRA_SWEPT, "under"):
            yield {**_about(run), "attack": LIRA_SWEPT, "num_shadow": row["other_num_shadow"], **_difference(row)}


def correlation_rows(run: Measured) -> Iterator[dict]:
    """Spearman's correlation of memorization with the privacy score less that of each OOD score, whatever its sign.

    The 95% interval is of a bootstrap over examples, each drawn with all its numbers: the models stay.
    """
    found = run.results
    for group, mask in (("all", np.ones(len(found.groups), bool)), ("under", found.groups == 1)):
        columns = np.array([found.privacy_scores, found.memorization, *(found.ood[name] for name in OOD_LABELS)])
        columns = columns[:, mask]
        columns = columns[:, np.isfinite(columns).all(axis=0)]
        rho = np.array([spearman(columns[0], column)[0] for column in columns[1:]])
        if not np.isfinite(rho).all():
            continue
        offsets = np.sign(rho) * (_replicates(columns, np.random.default_rng(0)) - rho)
        for place, detector in enumerate(OOD_LABELS, 1):
            value = rho[0] - abs(rho[place])
            low, high = value + offset_interval((offsets[:, 0] - offsets[:, place])[:, None])[:, 0]
            numbers = {"difference": value, "ci_low": low, "ci_high": high}
            yield {**_about(run), "group": group, "detector": detector, **numbers, "n": columns.shape[1]}


def _replicates(columns: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(REPLICATES, K) Spearman's correlations of the first of (1 + K, n) columns with the others, rows drawn anew."""
    found = []
    for start in range(0, REPLICATES, _CHUNK):
        drawn = columns[:, rng.integers(0, columns.shape[1], (min(_CHUNK, REPLICATES - start), columns.shape[1]))]
        ranks = rankdata(drawn, axis=-1)
        ranks -= ranks.mean(axis=-1, keepdims=True)
        with np.errstate(invalid="ignore"):  # a replicate of one example only has no correlation
            ranks /= np.sqrt((ranks**2).sum(axis=-1, keepdims=True))
        found.append((ranks[0] * ranks[1:]).sum(axis=-1).T)
    return np.concatenate(found)


def _about(run: Measured) -> dict[str, str]:
    return {"mixture": run.run.mixture, "selection": run.run.selection}


def _difference(row: dict[str, str]) -> dict[str, float]:
    """The numbers of a row of comparisons.csv."""
    cells = row["auroc_difference"], row["ci_low"], row["ci_high"]
    return {name: float(cell or "nan") for name, cell in zip(("difference", "ci_low", "ci_high"), cells, strict=True)}
