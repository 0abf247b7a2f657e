"""Figure 10 of Choi et al.: memorization against the energy out-of-distribution score (Liu et al.).

    python -m experiments.figure10 --scale=cpu --data_dir=DATA

Cost: that of the random and singletons' runs of the MNIST mixtures, which the tables share: smoke 9 minutes; cpu 2
hours on two cores; paper 6 x 2,000 models.
The paper: no correlation, and a clearer separation of the groups with highly memorized D_U (second row); its numbers
stand in the figure only.
"""

from experiments import runs
from experiments.reproduction import command, panels
from mia_tf.figures import ood


def names(scale: str) -> list[str]:
    """The runs."""
    return [f"{mixture}_{kind}" for kind in ("random", "singletons") for mixture in runs.MNIST]


def build(measured) -> command.Outcome:
    """Random D_U above, highly memorized D_U below."""
    draw = panels.draw_ood("ood_energy", "memorization")
    lines = [
        ([run for run in measured.values() if run.run.selection == kind], draw) for kind in ("random", "singletons")
    ]
    rows = [row for run in measured.values() for row in panels.correlation_rows(run, "memorization", "ood_energy")]
    return command.Outcome({"": rows}, {"": panels.page(lines, "figure10", ood.WORDS, 3.5)})


if __name__ == "__main__":
    command.main("figure10", __doc__, names, build)
