"""A score of the examples against how far out of distribution they lie (Choi et al., Figures 1b, 5, 9 and 10)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from mia_tf.figures import scatter
from mia_tf.figures.strength import SIGNIFICANT, strength
from mia_tf.shadow.ood import OVER_OUT

OOD_LABELS = {
    "ood_msp": "MSP score, mean over OUT models",
    "ood_energy": "energy score, mean over OUT models",
}
"""Column of examples.csv -> what it is; higher = further out of distribution."""
WORDS = (
    "Spearman's correlation, in the words of Choi et al.: weak below 0.4, moderate below 0.6, strong from there on; "
    "two words if the 95% interval spans them. "
    f"Out-of-distribution scores: {OVER_OUT} (OUT); higher = further out. "
    "MSP: 1 - largest softmax probability; energy: -logsumexp(logits), in nats."
)
"""What a reader must know, for the footnote."""
MSP_WORDS = f"{WORDS} MSP scores under 1e-8 are drawn there."
"""The same where MSP scores are drawn."""
_SMALLEST = 1e-8
"""Left end of the logarithmic axis at most."""


def draw_against_ood(
    ax: Axes,
    detector: str,
    ood: np.ndarray,
    scores: np.ndarray,
    label: str,
    groups: np.ndarray,
    names: Sequence[str],
    spearman: Mapping[int | str, tuple[float, float]],
) -> None:
    """Draws one point an example, with the rank correlations and the paper's words for them in the legend.

    Args:
        ax: where to draw.
        detector: a key of OOD_LABELS; MSP goes on a logarithmic axis, as most examples are near 0.
        ood: (N,) float OOD scores; NaN if it is missing.
        scores: (N,) float, what is set against them; NaN likewise.
        label: what the scores are.
        groups: (N,) group ids.
        names: what the groups are called, by group id.
        spearman: group id or "all" -> (rho, p); NaN, or absent, if it could not be resolved.
    """
    if detector == "ood_msp":
        ax.set_xscale("log", nonpositive="clip")
        ood = np.maximum(ood, _SMALLEST)
    known = np.isfinite(ood + scores)
    counts = {group: np.count_nonzero(known & (groups == group)) for group in np.unique(groups)}
    counts["all"] = np.count_nonzero(known)
    scatter.draw_groups(ax, ood, scores, groups, names, lambda group: _words(spearman, group, counts[group]))
    ax.set(xlabel=OOD_LABELS[detector], ylabel=label)
    scatter.legend_below(ax)


def _words(spearman: Mapping[int | str, tuple[float, float]], key: int | str, n: int) -> str:
    """One rank correlation of n points, its p-value and its strength."""
    rho, p_value = spearman.get(key, (np.nan, np.nan))
    if np.isnan(rho):
        return "correlation not resolved"
    p_text = "p < 0.001" if p_value < SIGNIFICANT else f"p = {p_value:.3f}"
    return f"correlation {rho:.2f} ({p_text}), {strength(rho, p_value, n)}"
