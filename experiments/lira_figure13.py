"""Figure 13 of Carlini et al. (LiRA): privacy scores of examples ever further from CIFAR-10.

    python -m experiments.lira_figure13 --scale=cpu --data_dir=DATA

CIFAR-10 with CINIC-10 (other photographs of the same things), with CIFAR-100 images under random labels, and with
CIFAR-10's own test images under random labels. CINIC-10 is a folder of images that a user downloads.
Cost: smoke 3 minutes; cpu 27 minutes a mixture on two cores; paper 3 x 2,000 models (LiRA: ResNets on 51,000 examples).
The paper: mean privacy scores rise in this order; CIFAR-10's own lie tightly around 0.
"""

from experiments import runs
from experiments.reproduction import command, panels


def names(scale: str) -> list[str]:
    """The runs."""
    return [f"{mixture}_random" for mixture in runs.SHIFTS]


def build(found) -> command.Outcome:
    """A histogram for every mixture, in the order of their shift."""
    shown = list(found.values())
    levels = {"share_above_1": 1, "share_above_2": 2}
    rows = [row for run in shown for row in panels.distribution_rows(run, "privacy_score", levels)]
    return command.Outcome({"": rows}, {"": panels.page([(shown, panels.draw_histogram)], "lira_figure13", "", 3.5)})


if __name__ == "__main__":
    command.main("lira_figure13", __doc__, names, build)
