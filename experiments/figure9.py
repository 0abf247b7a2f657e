"""Figure 9 of Choi et al.: memorization against the MSP out-of-distribution score (Hendrycks et al.).

    python -m experiments.figure9 --scale=cpu --data_dir=DATA

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
    draw = panels.draw_ood("ood_msp", "memorization")
    lines = [
        ([run for run in measured.values() if run.run.selection == kind], draw) for kind in ("random", "singletons")
    ]
    rows = [row for run in measured.values() for row in panels.correlation_rows(run, "memorization", "ood_msp")]
    levels = {"share_above_0.5": 0.5, "share_above_0.8": 0.8}
    spread = [row for run in measured.values() for row in panels.distribution_rows(run, "memorization", levels)]
    return command.Outcome({"": rows, "_distribution": spread}, {"": panels.page(lines, "figure9", ood.MSP_WORDS, 3.5)})


if __name__ == "__main__":
    command.main("figure9", __doc__, names, build)
