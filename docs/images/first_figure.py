"""Draws the README's figure: the ROC of three attacks on 64 random forests.

    python -m docs.images.first_figure

The forests are those of `experiments.audits.breast_cancer`, seed 0. Writes docs/images/forest_roc.png.
Cost: about a minute on one core.
"""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt

from experiments.audits.breast_cancer import audit
from mia_tf.figures import style

ATTACKS = {"yeom": "confidence alone (Yeom)", "lira_online_fixed": "LiRA", "rmia": "RMIA"}


def draw(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Draws the rates of the ATTACKS on logarithmic axes; `curves` are those of `Audit.curve`."""
    with matplotlib.rc_context(style.RC):
        figure, ax = plt.subplots(figsize=(4.6, 3.6), layout="constrained")
        for attack, look in style.attack_styles(ATTACKS).items():
            fpr, tpr = curves[attack]
            line = {"color": look.colour, "linestyle": look.linestyle, "drawstyle": "steps-post"}  # as `figures.roc`
            ax.plot(fpr, tpr, label=ATTACKS[attack], **line)
        ax.plot([1e-4, 1], [1e-4, 1], color="0.6", linestyle=":", label="guessing")
        ax.set(xscale="log", yscale="log", xlim=(1e-4, 1), ylim=(1e-4, 1.1))
        ax.set(xlabel="non-members wrongly accused", ylabel="members recognised")
        style.percent_axis(ax.xaxis)
        style.percent_axis(ax.yaxis)
        figure.legend(loc="outside upper center", ncols=2)
        figure.savefig(path, dpi=110, bbox_inches="tight")
        plt.close(figure)


def main() -> None:
    """Trains the forests, and draws the figure."""
    forests = audit("random forest", num_models=64, seed=0)
    draw(forests.curve("all"), Path(__file__).parent / "forest_roc.png")


if __name__ == "__main__":
    main()
