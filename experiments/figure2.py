"""Figure 2 of Choi et al.: memorization and privacy score, and examples of low, middle and high memorization.

    python -m experiments.figure2 --scale=cpu --data_dir=DATA

Section 4.2 reads as if the paper's figure showed mixtures of singletons: D_U shrinks to the sizes of table 4, and then
the correlation is measured. The caption does not say so. Both are drawn: random D_U above, singletons below.
Cost: that of the random and singletons' runs of the MNIST mixtures, which the tables share: smoke 9 minutes; cpu 2
hours on two cores; paper 6 x 2,000 models.
The paper: memorization correlates better with the privacy score than OOD scores do; its numbers stand in the figure
only.
"""

from experiments import runs
from experiments.reproduction import command, comparisons, panels

KINDS = ("random", "singletons")
WORDS = "Above: random under-represented examples. Below: highly memorized ones, as section 4.2 can be read."


def names(scale: str) -> list[str]:
    """The runs."""
    return [f"{mixture}_{kind}" for kind in KINDS for mixture in runs.MNIST]


def build(measured) -> command.Outcome:
    """Memorization against privacy score, and a page of examples for every mixture with random D_U."""
    shown = list(measured.values())
    rows = [row for run in shown for row in panels.correlation_rows(run, "memorization", "privacy_score")]
    compared = [row for run in shown for row in comparisons.correlation_rows(run)]
    lines = [([run for run in shown if run.run.selection == kind], panels.draw_memorization) for kind in KINDS]
    figures = {"": panels.page(lines, "figure2", WORDS, 3.5)}
    figures |= {f"_examples_{run.run.mixture}": panels.examples_page(run) for run in lines[0][0]}
    return command.Outcome({"": rows, "_comparisons": compared}, figures)


if __name__ == "__main__":
    command.main("figure2", __doc__, names, build)
