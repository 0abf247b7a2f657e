"""Draws the README's figure: the ROC of three attacks on 64 random forests.

    python -m docs.images.first_figure

The forests are those of `experiments.audits.breast_cancer`, seed 0. Writes docs/images/forest_roc.png.
Cost: about a minute on one core.
"""

from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt

from experiments.audits.breast_cancer import audit
from mia_tf.figures import style

ATTACKS = {"yeom": "confidence alone (Yeom)", "lira_online_fixed": "LiRA", "rmia": "RMIA"}


def main() -> None:
    """Trains the forests, and draws the pooled rates of every attack on logarithmic axes."""
    found = audit("random forest", num_models=64, seed=0)
    curves = found.curve("all")
    with matplotlib.rc_context(style.RC):
        figure, ax = plt.subplots(figsize=(4.6, 3.2))
        for attack, title in ATTACKS.items():
            fpr, tpr = curves[attack]
            ax.plot(fpr, tpr, label=title)
        ax.plot([1e-4, 1], [1e-4, 1], color="0.6", linestyle=":", label="guessing")
        ax.set(xscale="log", yscale="log", xlim=(1e-4, 1), ylim=(1e-4, 1.1))
        ax.set(xlabel="non-members wrongly accused", ylabel="members recognised")
        ax.legend(loc="lower right")
        figure.savefig(Path(__file__).parent / "forest_roc.png", dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
