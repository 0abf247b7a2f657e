"""Figure 1 of Choi et al.: privacy scores of both groups, and how they go with the MSP out-of-distribution score.

    python -m experiments.figure1 --scale=cpu --data_dir=DATA

Cost: that of the three random runs, which table 1 shares: smoke 3 minutes, cpu 40 minutes on two cores, paper 3 x 2,000
models.
The paper: most under-represented examples have higher privacy scores, but many lie below 2; Spearman's correlation with
the MSP score is below 0.4 or at most 0.551. Writes the correlations, and the distributions beside them.
"""

from experiments import runs
from experiments.reproduction import command, panels
from experiments.reproduction.paper_numbers import beside
from mia_tf.figures import ood


def names(scale: str) -> list[str]:
    """The runs."""
    return [f"{mixture}_random" for mixture in runs.MNIST]


def build(measured) -> command.Outcome:
    """Histograms above, privacy score against MSP score below."""
    shown = list(measured.values())
    lines = [(shown, panels.draw_histogram), (shown, panels.draw_ood("ood_msp", "privacy_score"))]
    correlations = [row for run in shown for row in panels.correlation_rows(run, "privacy_score", "ood_msp")]
    levels = {"share_above_1": 1, "share_above_2": 2}
    spread = [row for run in shown for row in panels.distribution_rows(run, "privacy_score", levels)]
    figure = panels.page(lines, "figure1", ood.MSP_WORDS, 3.5)
    return command.Outcome({"": beside("figure1", correlations), "_distribution": spread}, {"": figure})


if __name__ == "__main__":
    command.main("figure1", __doc__, names, build)
