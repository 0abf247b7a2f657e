"""Figures 3, 7 and 8 of Choi et al.: the attacks against the number of shadow models.

RMIA, which is newer than the paper, is drawn beside LiRA.
"""

from collections.abc import Mapping, Sequence

from experiments.reproduction import comparisons, panels
from experiments.reproduction.measured import Measured
from experiments.reproduction.outcome import Outcome
from experiments.reproduction.paper_numbers import beside
from experiments.reproduction.scales import ALONE, MIXED

UNDER = {"random": "under", "singletons": "under"}
OVER = {"none": "all", "random": "over"}
"""Of one data set alone all examples are over-represented."""
BOTH = {"random": "over", "singletons": "under"}
_CHALLENGES = {
    "figure3": "under-represented examples",
    "figure7": "over-represented examples",
    "figure8": "over-represented examples of random mixtures, and highly memorized ones",
}
_WORDS = (
    "Shadow models per side: that many IN and as many OUT. All: every model but the target, not to scale. LiRA has one "
    "variance for all examples, as few models call for. Bands are 95% intervals."
)


def sweep(
    item: str, metrics: Sequence[str], challenges: Mapping[str, str], measured: Mapping[str, Measured]
) -> Outcome:
    """Builds figures 7 and 8, and the common part of figure 3: a line of panels for every selection and metric.

    Args:
        item: of paper/figures.csv.
        metrics: of `Audit.swept`.
        challenges: selection -> the population that is attacked, from the top line to the bottom one.
        measured: the runs.
    """
    rows = [
        row
        for metric in metrics
        for run in measured.values()
        if metric in set(run.audit.attacks["metric"])  # an earlier analysis may lack it
        for row in panels.sweep_rows(run, metric, challenges[run.run.selection])
    ]
    lines = [
        ([(mixture, kind) for mixture in (ALONE if kind == "none" else MIXED)], population, metric)
        for kind, population in challenges.items()
        for metric in metrics
    ]
    words = f"Challenges: {_CHALLENGES[item]}. {_WORDS}"
    return Outcome({"": rows}, draw=lambda rows: {"": panels.sweep_page(lines, rows, measured, item, words)})


def figure3(measured: Mapping[str, Measured]) -> Outcome:
    """Builds figure 3, with the paper's number beside ours, and LiRA with few models compared with all of them."""
    outcome = sweep("figure3", ("auroc",), UNDER, measured)
    compared = [row for run in measured.values() for row in comparisons.sweep_rows(run)]
    return Outcome({"": beside("figure3", outcome.tables[""]), "_comparisons": compared}, draw=outcome.draw)
