"""Figure 6 of Choi et al.: distribution of memorization on CIFAR-10 alone and with its under-represented groups.

    python -m experiments.figure6 --scale=cpu --data_dir=DATA

Cost: smoke 3 minutes; cpu 80 minutes on two cores; paper 3 x 2,000 models.
The paper: long-tailed on CIFAR-10 alone; mixed with CIFAR-100 all examples fall under 0.6.
"""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from experiments import runs
from experiments.reproduction import command, panels
from experiments.reproduction.measured import Measured
from experiments.reproduction.paper_numbers import beside
from mia_tf.figures import style

LIMIT = 0.6
WORDS = (
    "Memorization: the share of the models trained on an example (IN) that classify it correctly, less that share "
    "of the others (OUT)."
)


def names(scale: str) -> list[str]:
    """The runs."""
    return ["cifar10", *(f"{mixture}_random" for mixture in runs.CIFAR10)]


def build(measured) -> command.Outcome:
    """A histogram for every mixture."""
    shown = list(measured.values())
    levels = {"share_above_0.5": 0.5, "share_above_0.6": 0.6, "share_above_0.8": 0.8}
    rows = [row for run in shown for row in panels.distribution_rows(run, "memorization", levels)]
    words = f"{WORDS} {verdict(rows)}".strip()
    figure = panels.page([(shown, _draw)], "figure6", words, 3.5)
    return command.Outcome({"": beside("figure6", rows)}, {"": figure})


def _draw(ax: Axes, run: Measured) -> None:
    """A histogram by group, and the level that the paper says all of CIFAR-10 + CIFAR-100 lies under."""
    panels.draw_memorization_histogram(ax, run)
    if run.run.mixture == "cifar10_cifar100":
        ax.axvline(LIMIT, color=style.BLACK, linestyle=(0, (1, 1)), label=f"the paper: all under {LIMIT:g}")
        style.legend_below(ax)


def verdict(rows: Sequence[Mapping]) -> str:
    """Returns whether all of CIFAR-10 + CIFAR-100 falls under 0.6, for the footnote; "" if that was not run."""
    mixed = [row["share_above_0.6"] for row in rows if row["mixture"] == "cifar10_cifar100"]
    if not mixed:
        return ""
    over, under = mixed
    shares = f"{over:.0%} of CIFAR-10 and {under:.0%} of CIFAR-100 lie above 0.6"
    return f"{'Confirmed' if max(mixed) == 0 else 'Not confirmed'} here: {shares}."


if __name__ == "__main__":
    command.main("figure6", __doc__, names, build)
