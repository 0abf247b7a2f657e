"""Figure 3 of Choi et al.: AUROC of LiRA on the under-represented group by the number of shadow models.

    python -m experiments.figure3 --scale=cpu --data_dir=DATA

Cost: that of the random and singletons' runs, which the tables share: smoke 15 minutes; cpu 2.5 hours for the
MNIST mixtures and 3 for CIFAR-10's, on two cores; paper 10 x 2,000 models.
The paper: less than 50 shadow models do as well as 2,000 on random data; on highly memorized data 5 do, and one per
side reaches AUROC 1.0 (figure 3d). RMIA, which is newer than the paper, is drawn beside LiRA.
"""

from experiments import runs
from experiments.reproduction import command, comparisons, panels
from experiments.reproduction.paper_numbers import beside

CHALLENGES = "Challenges: under-represented examples."
WORDS = (
    "Shadow models per side: that many IN and as many OUT. All: every model but the target, not to scale. LiRA has one "
    "variance for all examples, as few models call for. Bands are 95% intervals."
)
KINDS = ("random", "singletons")


def names(scale: str) -> list[str]:
    """The runs."""
    return [f"{mixture}_{kind}" for kind in KINDS for mixture in (*runs.MNIST, *runs.CIFAR10)]


def build(measured) -> command.Outcome:
    """Random under-represented data above, highly memorized below."""
    rows = [row for run in measured.values() for row in panels.sweep_rows(run, "auroc", "under")]
    compared = [row for run in measured.values() for row in comparisons.sweep_rows(run)]
    lines = [([(mixture, kind) for mixture in (*runs.MNIST, *runs.CIFAR10)], "under") for kind in KINDS]
    figure = panels.sweep_page(lines, measured, "auroc", "figure3", f"{CHALLENGES} {WORDS}")
    return command.Outcome({"": beside("figure3", rows), "_comparisons": compared}, {"": figure})


if __name__ == "__main__":
    command.main("figure3", __doc__, names, build)
