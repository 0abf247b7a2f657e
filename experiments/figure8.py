"""Figure 8 of Choi et al.: true positive rate of LiRA at 0.1% false positives by the number of shadow models.

    python -m experiments.figure8 --scale=cpu --data_dir=DATA

Cost: that of the runs of figure 3: smoke 15 minutes; cpu 2.5 hours for the MNIST mixtures and 3 for
CIFAR-10's, on two cores; paper 10 x 2,000 models.
The paper: its numbers stand in the figure only. "Challenge data is either from over-represented subpopulations, or HM
[highly memorized] samples": the former above, of the random mixtures, the latter below.
"""

from experiments import runs
from experiments.figure3 import WORDS
from experiments.reproduction import command, panels

CHALLENGES = "Challenges: over-represented examples of random mixtures, and highly memorized ones."


def names(scale: str) -> list[str]:
    """The runs."""
    return [f"{mixture}_{kind}" for kind in ("random", "singletons") for mixture in (*runs.MNIST, *runs.CIFAR10)]


def build(measured) -> command.Outcome:
    """Over-represented examples above, highly memorized ones below."""
    metric = "tpr_at_fpr_0.001"
    challenges = {"random": "over", "singletons": "under"}
    mixtures = (*runs.MNIST, *runs.CIFAR10)
    lines = [([(mixture, kind) for mixture in mixtures], population) for kind, population in challenges.items()]
    rows = [row for run in measured.values() for row in panels.sweep_rows(run, metric, challenges[run.run.selection])]
    figure = panels.sweep_page(lines, measured, metric, "figure8", f"{CHALLENGES} {WORDS}")
    return command.Outcome({"": rows}, {"": figure})


if __name__ == "__main__":
    command.main("figure8", __doc__, names, build)
