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
    compared = run.audit.comparisons
    whole = compared["num_shadow"].isna() & compared["other_num_shadow"].isna()
    for row in compared[whole].itertuples():
        populations = {"population": row.population, "other_population": row.other_population}
        if {row.attack, row.other_attack} <= names.keys() and "over" not in populations.values():
            pair = {"attack": names[row.attack], "other_attack": names[row.other_attack]}
            yield {**_about(run), **pair, **populations, **_difference(row)}


def sweep_rows(run: Measured) -> Iterator[dict]:
    """AUROC on the under-represented group with all shadow models minus that with few, by how few per side."""
    compared = run.audit.comparisons
    chosen = (compared["attack"] == LIRA_SWEPT) & (compared["population"] == "under")
    for row in compared[chosen & compared["other_num_shadow"].notna()].itertuples():
        yield {**_about(run), "attack": LIRA_SWEPT, "num_shadow": row.other_num_shadow, **_difference(row)}


def correlation_rows(run: Measured) -> Iterator[dict]:
    """Spearman's correlation of memorization with the privacy score less that of each OOD score, whatever its sign.

    The 95% interval is of a bootstrap over examples, each drawn with all its numbers: the models stay.
    """
    names = "privacy_score", "memorization", *OOD_LABELS
    for group in ("all", "under"):
        columns = np.array([run.audit.column(name) for name in names])[:, run.audit.mask(group)]
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
    correlations = []
    for start in range(0, REPLICATES, _CHUNK):
        drawn = columns[:, rng.integers(0, columns.shape[1], (min(_CHUNK, REPLICATES - start), columns.shape[1]))]
        ranks = rankdata(drawn, axis=-1)
        ranks -= ranks.mean(axis=-1, keepdims=True)
        with np.errstate(invalid="ignore"):  # a replicate of one example only has no correlation
            ranks /= np.sqrt((ranks**2).sum(axis=-1, keepdims=True))
        correlations.append((ranks[0] * ranks[1:]).sum(axis=-1).T)
    return np.concatenate(correlations)


def _about(run: Measured) -> dict[str, str]:
    return {"mixture": run.run.mixture, "selection": run.run.selection}


def _difference(row) -> dict[str, float]:
    """The numbers of a row of `Audit.comparisons`."""
    return {"difference": row.auroc_difference, "ci_low": row.ci_low, "ci_high": row.ci_high}
