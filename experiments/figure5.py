"""Figure 5 of Choi et al.: privacy scores against the energy out-of-distribution score (figure 1 has MSP's).

    python -m experiments.figure5 --scale=cpu --data_dir=DATA

Cost: that of the three random runs, which table 1 shares: smoke 3 minutes, cpu 40 minutes on two cores, paper 3 x 2,000
models.
The paper: similar trends as in figure 1; its numbers stand in the figure only.
"""

from experiments import runs
from experiments.reproduction import command, panels
from mia_tf.figures import ood


def names(scale: str) -> list[str]:
    """The runs."""
    return [f"{mixture}_random" for mixture in runs.MNIST]


def build(measured) -> command.Outcome:
    """Privacy score against energy score."""
    shown = list(measured.values())
    rows = [row for run in shown for row in panels.correlation_rows(run, "privacy_score", "ood_energy")]
    lines = [(shown, panels.draw_ood("ood_energy", "privacy_score"))]
    return command.Outcome({"": rows}, {"": panels.page(lines, "figure5", ood.WORDS, 3.5)})


if __name__ == "__main__":
    command.main("figure5", __doc__, names, build)
