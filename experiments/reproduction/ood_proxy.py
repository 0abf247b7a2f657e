"""Discussion of Choi et al. (section 8): can an out-of-distribution score stand in for memorization?

The OOD score is taken for a detector of highly memorized examples (0.8 on MNIST, 0.5 on CIFAR-10): its AUROC, and how
many of the examples that it puts first, as many as are highly memorized, are so; over all examples, where it also tells
the groups apart, and within the under-represented group.
The paper does not say whose score it means, so three readings stand side by side. `out`: the mean over the models that
were not trained on an example, which all other figures here have. `in`: the mean over models that were. `one`: one
model's score, which is likeliest; each model in turn has a correlation or AUROC of its own, and these are averaged.
SCALE_readings.csv has the correlations with memorization and the privacy score within each group.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from experiments.reproduction import ood_readings
from experiments.reproduction.judging import share
from experiments.reproduction.markdown import MIXTURES
from experiments.reproduction.measured import Measured
from experiments.reproduction.outcome import Outcome, footnote
from experiments.reproduction.scales import SINGLETON_THRESHOLDS
from mia_tf.figures import dots, style

WORDS = (
    "Out-of-distribution scores as detectors of highly memorized examples, over all examples and within the "
    "under-represented group. Right: of the examples that a score puts first, as many as are highly memorized, the "
    "share that is so. Hollow: by chance; grey line: random order. 95% intervals. "
    f"Scores: {ood_readings.READINGS['out']}."
)
READINGS_WORDS = (
    "The papers do not say whose out-of-distribution score they mean; all three within the under-represented group. "
    "Left: AUROC as detectors of highly memorized examples. Middle, right: Spearman's correlation. Grey lines: no "
    "relation. One model: the mean over all models of each one's own number. 95% intervals."
)
_NAMES = {"ood_msp": "MSP", "ood_energy": "energy"}
_LOOKS = {"all": ("all examples", style.ALL_STYLE), "under": ("within the under-represented", style.GROUP_STYLES[1])}
_SERIES = {
    **_LOOKS,
    **{f"{name}, chance": (f"{text}, chance", replace(look, hollow=True)) for name, (text, look) in _LOOKS.items()},
}
_READING_LOOKS = {
    "out": ("mean over models not trained on it", style.GROUP_STYLES[0]),
    "in": ("mean over models trained on it", style.GROUP_STYLES[2]),
    "one": ("one model", style.GROUP_STYLES[3]),
}


def build(measured: Mapping[str, Measured]) -> Outcome:
    """Builds a row per score, reading, mixture and population; a figure of one reading, and one of all within D_U."""
    measured = {name: run for name, run in measured.items() if highly_memorized(run, run.audit.mask("all")).any()}
    if not measured:
        return Outcome({})
    rows, correlations = [], []
    for run in measured.values():
        scores = ood_readings.read(run.folder)
        rows += proxy_rows(run, scores)
        correlations += ood_readings.correlation_rows(run, scores)
    figures = {
        "": draw([row for row in rows if row["reading"] == "out"]),
        "_readings": draw_readings(rows, correlations),
    }
    for ending, words in (("", WORDS), ("_readings", READINGS_WORDS)):
        footnote(figures[ending], words, measured, "ood_proxy")
    return Outcome({"": rows, "_readings": correlations}, figures)


def draw(rows: Sequence[Mapping]) -> Figure:
    """Draws the rows of `proxy_rows`: how well scores detect, and what share of what they put first is memorized."""
    labels = _labels(rows)
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


def draw_readings(rows: Sequence[Mapping], correlations: Sequence[Mapping]) -> Figure:
    """Draws all readings within the under-represented group, of the rows of both tables."""
    under = [row for row in correlations if row["group"] == "under"]
    labels = _labels(under)
    panels = {
        "AUROC": ("auroc", 0.5, [row for row in rows if row["population"] == "under"]),
        "correlation with memorization": ("spearman", 0, [r for r in under if r["quantity"] == "memorization"]),
        "correlation with the privacy score": ("spearman", 0, [r for r in under if r["quantity"] == "privacy_score"]),
    }
    figure = style.new_figure(10.5, 1.6 + 0.45 * len(labels))
    axes = figure.subplots(1, len(panels), sharey=True)
    for ax, (label, (name, nothing, shown)) in zip(axes, panels.items(), strict=True):
        ends = ("auroc_low", "auroc_high") if name == "auroc" else ("ci_low", "ci_high")
        values = {
            ((row["mixture"], row["detector"]), row["reading"]): tuple(float(row[cell]) for cell in (name, *ends))
            for row in shown
        }
        dots.draw_dots(ax, labels, _READING_LOOKS, values)
        ax.axvline(nothing, color=style.GREY, linewidth=0.8, zorder=0)
        ax.set(xlabel=label)
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside upper center", ncols=len(_READING_LOOKS))
    return figure


def _labels(rows: Sequence[Mapping]) -> dict[tuple[str, str], str]:
    """(mixture, detector) -> what its row in a figure is called."""
    return {(row["mixture"], row["detector"]): f"{MIXTURES[row['mixture']]}, {_NAMES[row['detector']]}" for row in rows}


def highly_memorized(run: Measured, among: np.ndarray) -> np.ndarray:
    """(n,) bool of those `among` all examples whose scores are known."""
    return run.audit.column("memorization")[among] > SINGLETON_THRESHOLDS[run.run.mixture.split("_")[0]]


def proxy_rows(run: Measured, scores: ood_readings.OodScores) -> Iterator[dict]:
    """A row for each score and reading, of all examples and of the under-represented ones."""
    for population in ("all", "under"):
        for (detector, reading), table in scores.items():
            # Examples whose memorization or score is unknown are left out.
            known = run.audit.mask(population) & np.isfinite(table).all(axis=0)
            known &= np.isfinite(run.audit.column("memorization"))
            wanted = highly_memorized(run, known)
            count = int(wanted.sum())
            if not 0 < count < len(wanted):
                continue
            areas, hits = np.array([_detected(wanted, row[known]) for row in table]).T
            area = ood_readings.averaged(areas, auroc_interval, count, len(wanted) - count)
            precision = ood_readings.averaged(hits / count, _share_interval, count)
            yield {
                "mixture": run.run.mixture,
                "population": population,
                "detector": detector,
                "reading": reading,
                "num_examples": len(wanted),
                "num_memorized": count,
                **dict(zip(("auroc", "auroc_low", "auroc_high"), area, strict=True)),
                **dict(zip(("precision_at_num_memorized", "ci_low", "ci_high"), precision, strict=True)),
                "by_chance": count / len(wanted),
                "num_models": run.audit.num_models,
                "note": run.note,
            }


def _detected(wanted: np.ndarray, scores: np.ndarray) -> tuple[float, int]:
    """AUROC of scores (n,), and how many of the wanted (n,) bool are among those put first, as many as are wanted."""
    first = np.argsort(-scores, kind="stable")[: wanted.sum()]
    return roc_auc_score(wanted, scores), int(wanted[first].sum())


def _share_interval(of: float, n: int) -> tuple[float, float]:
    """95% interval of a share of n examples."""
    return share(of, n)[1:]


def auroc_interval(auroc: float, num_positive: int, num_negative: int) -> tuple[float, float]:
    """95% interval of an area under a ROC of independent examples (Hanley and McNeil, 1982)."""
    both_positive, both_negative = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    variance = auroc * (1 - auroc)
    variance += (num_positive - 1) * (both_positive - auroc**2) + (num_negative - 1) * (both_negative - auroc**2)
    half = 1.959964 * np.sqrt(variance / (num_positive * num_negative))
    return max(auroc - half, 0.0), min(auroc + half, 1.0)
