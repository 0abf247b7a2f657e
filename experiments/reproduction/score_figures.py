"""Figures 1, 2, 5, 6, 9 and 10 of Choi et al.: privacy scores, memorization and out-of-distribution scores."""

from collections.abc import Callable, Mapping, Sequence, Set

from matplotlib.axes import Axes

from experiments.reproduction import comparisons, panels
from experiments.reproduction.measured import Measured
from experiments.reproduction.outcome import Outcome
from experiments.reproduction.paper_numbers import beside
from mia_tf.figures import ood, style

KINDS = ("random", "singletons")
"""Selections of D_U: a line of panels each."""
LEVELS = {
    "privacy_score": {"share_above_1": 1, "share_above_2": 2},
    "memorization": {"share_above_0.5": 0.5, "share_above_0.8": 0.8},
}
"""Column of examples.csv -> the levels whose shares a table has."""
LIMIT = 0.6
"""Of memorization: the paper says that all of CIFAR-10 + CIFAR-100 lies under it."""
_OOD_WORDS = {"ood_msp": ood.MSP_WORDS, "ood_energy": ood.WORDS}
_FIGURE2_WORDS = {
    "random": "random under-represented examples.",
    "singletons": "highly memorized examples, as section 4.2 can be read.",
}
_FIGURE6_WORDS = (
    "Memorization: the share of the models trained on an example (IN) that classify it correctly, less that share "
    "of the others (OUT)."
)
_HEIGHT = 3.5


def against_ood(
    item: str,
    column: str,
    detector: str,
    measured: Mapping[str, Measured],
    above: Callable[[Axes, Measured], None] | None = None,
) -> Outcome:
    """Builds figures 1, 5, 9 and 10: a quantity against an out-of-distribution score.

    A line of panels for random D_U, and one for highly memorized D_U. The tables have the correlations, and with MSP
    also the distributions, which are the same with the energy score.

    Args:
        item: of paper/figures.csv.
        column: "privacy_score" or "memorization".
        detector: "ood_msp" or "ood_energy".
        measured: the runs.
        above: draws the panels of one more line above.
    """
    shown = list(measured.values())
    draw = panels.draw_ood(detector, column)
    lines = [([run for run in shown if run.run.selection == kind], draw) for kind in KINDS]
    if above:
        lines.insert(0, (shown, above))
    tables = {"": [row for run in shown for row in panels.correlation_rows(run, column, detector)]}
    if detector == "ood_msp":
        tables["_distribution"] = _distributions(measured, column, LEVELS[column])
    return Outcome(tables, {"": panels.page(lines, item, _OOD_WORDS[detector], _HEIGHT)})


def figure1(measured: Mapping[str, Measured]) -> Outcome:
    """Builds figure 1: histograms of the privacy scores above, and the paper's limit beside the correlations."""
    outcome = against_ood("figure1", "privacy_score", "ood_msp", measured, panels.draw_histogram)
    return Outcome({**outcome.tables, "": beside("figure1", outcome.tables[""])}, outcome.figures)


def figure2(measured: Mapping[str, Measured]) -> Outcome:
    """Builds figure 2: memorization against privacy score, and a page of examples for every mixture with random D_U.

    Section 4.2 reads as if the paper's figure showed mixtures of singletons: D_U shrinks to the sizes of table 4, and
    then the correlation is measured. The caption does not say so. Both are drawn: random D_U above, singletons below.
    """
    shown = list(measured.values())
    rows = [row for run in shown for row in panels.correlation_rows(run, "memorization", "privacy_score")]
    compared = [row for run in shown for row in comparisons.correlation_rows(run)]
    lines = [([run for run in shown if run.run.selection == kind], panels.draw_memorization) for kind in KINDS]
    figures = {"": panels.page(lines, "figure2", _figure2_words({run.run.selection for run in shown}), _HEIGHT)}
    figures |= {f"_examples_{run.run.mixture}": panels.examples_page(run) for run in lines[0][0]}
    return Outcome({"": rows, "_comparisons": compared}, figures)


def _figure2_words(kinds: Set[str]) -> str:
    """What the panels of figure 2 show: each selection that was run, from the top line down."""
    words = [text for kind, text in _FIGURE2_WORDS.items() if kind in kinds]
    places = ("Above: ", "Below: ") if len(words) > 1 else ("Shown: ",)
    return " ".join(place + text for place, text in zip(places, words, strict=True))


def figure6(measured: Mapping[str, Measured]) -> Outcome:
    """Builds figure 6: a histogram of memorization for every mixture."""
    levels = {"share_above_0.5": 0.5, "share_above_0.6": 0.6, "share_above_0.8": 0.8}
    rows = _distributions(measured, "memorization", levels)
    words = f"{_FIGURE6_WORDS} {verdict(rows)}".strip()
    figure = panels.page([(list(measured.values()), _draw_with_limit)], "figure6", words, _HEIGHT)
    return Outcome({"": beside("figure6", rows)}, {"": figure})


def _distributions(measured: Mapping[str, Measured], column: str, levels: dict[str, float]) -> list[dict]:
    return [row for run in measured.values() for row in panels.distribution_rows(run, column, levels)]


def _draw_with_limit(ax: Axes, run: Measured) -> None:
    """Draws a histogram by group, and the level that the paper says all of CIFAR-10 + CIFAR-100 lies under."""
    if run.run.mixture == "cifar10_cifar100":
        ax.axvline(LIMIT, color=style.BLACK, linestyle=(0, (1, 1)), label=f"the paper: all under {LIMIT:g}")
    panels.draw_memorization_histogram(ax, run)


def verdict(rows: Sequence[Mapping]) -> str:
    """Returns whether all of CIFAR-10 + CIFAR-100 falls under 0.6, for the footnote; "" if that was not run."""
    mixed = [row["share_above_0.6"] for row in rows if row["mixture"] == "cifar10_cifar100"]
    if not mixed:
        return ""
    over, under = mixed
    shares = f"{over:.0%} of CIFAR-10 and {under:.0%} of CIFAR-100 lie above 0.6"
    return f"{'Confirmed' if max(mixed) == 0 else 'Not confirmed'} here: {shares}."
