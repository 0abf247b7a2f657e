"""Discussion of Choi et al. (section 8): can an out-of-distribution score stand in for memorization?

    python -m experiments.ood_proxy --scale=cpu --data_dir=DATA

The OOD score is taken for a detector of highly memorized examples (0.8 on MNIST, 0.5 on CIFAR-10): its AUROC, and how
many of the examples that it puts first, as many as are highly memorized, are so; over all examples, where it also tells
the groups apart, and within the under-represented group.
Cost: that of the random runs, which table 1 shares: smoke 5 minutes; cpu 40 minutes for the MNIST mixtures and 1 hour
for CIFAR-10's, on two cores; paper 5 x 2,000 models.
The paper: no correlation, so they cannot; it has no number of this.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from experiments import runs
from experiments.reproduction import command
from experiments.reproduction.markdown import MIXTURES
from experiments.reproduction.measured import Measured
from mia_tf.figures import dots, style
from mia_tf.figures.ood import OOD_LABELS

WORDS = (
    "Out-of-distribution scores as detectors of highly memorized examples, over all examples and within the "
    "under-represented group. Right: of the examples that a score puts first, as many as are highly memorized, the "
    "share that is so. Hollow: by chance; grey line: random order. 95% intervals."
)
_NAMES = {"ood_msp": "MSP", "ood_energy": "energy"}
_LOOKS = {"all": ("all examples", style.ALL_STYLE), "under": ("within the under-represented", style.GROUP_STYLES[1])}
_SERIES = {
    **_LOOKS,
    **{f"{name}, chance": (f"{text}, chance", replace(look, hollow=True)) for name, (text, look) in _LOOKS.items()},
}


def names(scale: str) -> list[str]:
    """The runs."""
    return [f"{mixture}_random" for mixture in (*runs.MNIST, *runs.CIFAR10)]


def build(found) -> command.Outcome:
    """A row for each score, mixture and population, and one figure."""
    found = {name: run for name, run in found.items() if highly_memorized(run, run.audit.mask("all")).any()}
    if not found:
        return command.Outcome({})
    rows = [row for run in found.values() for row in proxy_rows(run)]
    figure = draw(rows)
    command.footnote(figure, WORDS, found, "ood_proxy")
    return command.Outcome({"": rows}, {"": figure})


def draw(rows: Sequence[Mapping]) -> Figure:
    """Draws the rows of `proxy_rows`: how well scores detect, and what share of what they put first is memorized."""
    labels = {
        (row["mixture"], row["detector"]): f"{MIXTURES[row['mixture']]}, {_NAMES[row['detector']]}" for row in rows
    }
    auroc, precision = {}, {}
    for row in rows:
        key = (row["mixture"], row["detector"]), row["population"]
        auroc[key] = tuple(float(row[name]) for name in ("auroc", "auroc_low", "auroc_high"))
        precision[key] = tuple(float(row[name]) for name in ("precision_at_num_memorized", "ci_low", "ci_high"))
        precision[key[0], f"{key[1]}, chance"] = float(row["by_chance"]), np.nan, np.nan
    figure = style.new_figure(9.6, 1.6 + 0.45 * len(labels))
    left, right = figure.subplots(1, 2, sharey=True)
    dots.draw_dots(left, labels, _SERIES, auroc)
    left.axvline(0.5, color=style.GREY, linewidth=0.8, zorder=0)
    left.set(xlabel="AUROC", title="Highly memorized against other examples")
    dots.draw_dots(right, labels, _SERIES, precision)
    right.set(xlabel="share that is highly memorized", title="The examples that a score puts first", xlim=(-0.03, 1.03))
    figure.legend(*right.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def highly_memorized(run: Measured, among: np.ndarray) -> np.ndarray:
    """(n,) bool of those `among` all examples whose scores are known."""
    return run.audit.column("memorization")[among] > runs.SINGLETON_THRESHOLDS[run.run.mixture.split("_")[0]]


def proxy_rows(run: Measured) -> Iterator[dict]:
    """A row for each score, of all examples and of the under-represented ones."""
    for population in ("all", "under"):
        for detector in OOD_LABELS:
            wanted, scores = _labelled_scores(run, detector, population)
            count = int(wanted.sum())
            if not 0 < count < len(wanted):
                continue
            first = np.argsort(-scores, kind="stable")[:count]
            hits = int(wanted[first].sum())
            interval = binomtest(hits, count).proportion_ci(method="exact")
            auroc = roc_auc_score(wanted, scores)
            low, high = auroc_interval(auroc, count, len(wanted) - count)
            yield {
                "mixture": run.run.mixture,
                "population": population,
                "detector": detector,
                "num_examples": len(wanted),
                "num_memorized": count,
                "auroc": auroc,
                "auroc_low": low,
                "auroc_high": high,
                "precision_at_num_memorized": hits / count,
                "ci_low": interval.low,
                "ci_high": interval.high,
                "by_chance": count / len(wanted),
                "num_models": run.audit.num_models,
                "note": run.note,
            }


def _labelled_scores(run: Measured, detector: str, population: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool, which examples of a population are highly memorized, and (n,) float, their OOD scores.

    Examples whose memorization or score is unknown are left out.
    """
    scores = run.audit.column(detector)
    known = run.audit.mask(population) & np.isfinite(scores) & np.isfinite(run.audit.column("memorization"))
    return highly_memorized(run, known), scores[known]


def auroc_interval(auroc: float, num_positive: int, num_negative: int) -> tuple[float, float]:
    """95% interval of an area under a ROC of independent examples (Hanley and McNeil, 1982)."""
    both_positive, both_negative = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    variance = auroc * (1 - auroc)
    variance += (num_positive - 1) * (both_positive - auroc**2) + (num_negative - 1) * (both_negative - auroc**2)
    half = 1.959964 * np.sqrt(variance / (num_positive * num_negative))
    return max(auroc - half, 0.0), min(auroc + half, 1.0)


if __name__ == "__main__":
    command.main("ood_proxy", __doc__, names, build)
