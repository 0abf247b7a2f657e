"""Figure 7 of Choi et al.: AUROC of LiRA on the over-represented group by the number of shadow models.

    python -m experiments.figure7 --scale=cpu --data_dir=DATA

Cost: that of the runs of MNIST and CIFAR-10 alone and of the random mixtures, which the tables share: smoke 7 minutes;
cpu 1 hour for MNIST and 80 minutes for CIFAR-10, on two cores; paper 7 x 2,000 models.
The paper: over 1,000 shadow models are needed on MNIST, more than 100 on CIFAR-10. "Adversary picks challenge data from
over-represented subpopulation."
"""

from experiments import runs
from experiments.figure3 import WORDS
from experiments.reproduction import command, panels


def names(scale: str) -> list[str]:
    """The runs."""
    return ["mnist", "cifar10", *(f"{mixture}_random" for mixture in (*runs.MNIST, *runs.CIFAR10))]


def build(measured) -> command.Outcome:
    """One data set above, mixtures below."""
    # Of one data set alone all examples are over-represented.
    challenges = {"none": "all", "random": "over"}
    rows = [row for run in measured.values() for row in panels.sweep_rows(run, "auroc", challenges[run.run.selection])]
    mixtures = {"none": ("mnist", "cifar10"), "random": (*runs.MNIST, *runs.CIFAR10)}
    lines = [([(mixture, kind) for mixture in mixtures[kind]], challenges[kind]) for kind in challenges]
    words = f"Challenges: over-represented examples. {WORDS}"
    return command.Outcome({"": rows}, {"": panels.sweep_page(lines, measured, "auroc", "figure7", words)})


if __name__ == "__main__":
    command.main("figure7", __doc__, names, build)
