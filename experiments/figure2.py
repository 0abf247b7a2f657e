"""Figure 2 of Choi et al.: memorization and privacy score, and examples of low, middle and high memorization.

    python -m experiments.figure2 --scale=cpu --data_dir=DATA

Cost: that of the three random runs, which table 1 shares: smoke 3 minutes, cpu 40 minutes on two cores, paper 3 x 2,000
models.
The paper: memorization correlates better with the privacy score than OOD scores do; its numbers stand in the figure
only.
"""

from experiments import runs
from experiments.reproduction import command, comparisons, panels


def names(scale: str) -> list[str]:
    """The runs."""
    return [f"{mixture}_random" for mixture in runs.MNIST]


def build(found) -> command.Outcome:
    """Memorization against privacy score, and a page of examples for every mixture."""
    shown = list(found.values())
    rows = [row for run in shown for row in panels.correlation_rows(run, "memorization", "privacy_score")]
    compared = [row for run in shown for row in comparisons.correlation_rows(run)]
    figures = {"": panels.page([(shown, panels.draw_memorization)], "figure2", "", 3.5)}
    figures |= {f"_examples_{run.run.mixture}": panels.examples_page(run) for run in shown}
    return command.Outcome({"": rows, "_comparisons": compared}, figures)


if __name__ == "__main__":
    command.main("figure2", __doc__, names, build)
