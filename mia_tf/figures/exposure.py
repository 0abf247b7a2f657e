"""How often an attack recognises the records: the distribution of their exposure."""

import numpy as np
from matplotlib.axes import Axes

from mia_tf.figures.memorization import histogram_edges
from mia_tf.figures.privacy_scores import draw_group_histograms


def draw_exposure(
    ax: Axes, exposure: np.ndarray, groups: np.ndarray, names: tuple[str, ...], models_per_side: int
) -> None:
    """Draws how many records of each group have which exposure.

    Args:
        ax: where to draw.
        exposure: (N,) float in [0, 1]; NaN if it is not known.
        groups: (N,) group ids.
        names: what the groups are called, by group id.
        models_per_side: a typical number of models that a record is in: exposure is a multiple of its inverse.
    """
    draw_group_histograms(ax, exposure, groups, names, histogram_edges(exposure, models_per_side))
    ax.set(title="Exposure", xlabel="share of the models trained on a record that give it away")
