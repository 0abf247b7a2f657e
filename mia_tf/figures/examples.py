"""The images at memorization near 0, 0.5 and 1, one row per class (Choi et al., Figure 2b)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mia_tf.figures import style

LEVELS = (0.0, 0.5, 1.0)
WITHIN = 0.15
"""An example is near a level when its memorization is within this of it."""
PER_LEVEL = 3
MAX_CLASSES = 20
"""More rows than this fit no page."""
_SIZE, _GAP, _ROW = 0.9, 0.45, 1.3  # image side, space between levels and row height, in columns
INCHES_PER_COLUMN = 0.56


def choose_examples(
    memorization: np.ndarray, labels: np.ndarray, num_classes: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws random examples near each level, as the paper does.

    Args:
        memorization: (N,) float; NaN is near nothing.
        labels: (N,) int.
        num_classes: how many classes to choose for.
        rng: decides which.

    Returns:
        (num_classes, len(LEVELS), PER_LEVEL) int64 positions in `memorization`, by rising
        memorization; -1 at the end where too few examples are near.
    """
    chosen = np.full((num_classes, len(LEVELS), PER_LEVEL), -1, np.int64)
    for label in range(num_classes):
        for column, level in enumerate(LEVELS):
            near = np.flatnonzero((labels == label) & (np.abs(memorization - level) <= WITHIN))
            picked = rng.choice(near, min(PER_LEVEL, len(near)), replace=False)
            chosen[label, column, : len(picked)] = picked[np.argsort(memorization[picked], kind="stable")]
    return chosen


def figure_size(num_classes: int) -> tuple[float, float]:
    """Width and height in inches that `draw_examples` needs, with labels and legend but no footnote."""
    return _centre(len(LEVELS) * PER_LEVEL) * INCHES_PER_COLUMN + 0.9, num_classes * _ROW * INCHES_PER_COLUMN + 0.8


def draw_examples(
    ax: Axes,
    chosen: np.ndarray,
    images: np.ndarray,
    memorization: np.ndarray,
    groups: np.ndarray,
    names: Sequence[str],
    classes: Sequence[str | int],
) -> None:
    """Draws the chosen images, each with its memorization under it and a frame that tells its group.

    Args:
        ax: where to draw.
        chosen: (classes, levels, columns) int64 rows of the arrays below; -1 leaves a dash.
        images: (N, H, W, C) uint8, grey or RGB.
        memorization: (N,) float.
        groups: (N,) group ids.
        names: what the groups are called, by group id.
        classes: what the classes are called, by label.
    """
    num_classes, num_levels, per_level = chosen.shape
    for label in range(num_classes):
        for cell, row in enumerate(chosen[label].ravel()):
            x, y = _centre(cell), label * _ROW
            if row < 0:
                ax.text(x, y, "\N{EN DASH}", ha="center", va="center", fontsize=9, color=style.GREY)
                continue
            _draw_image(ax, images[row], x, y, style.group_style(groups[row]))
            number = f"{memorization[row]:z.2f}".replace("-", "\N{MINUS SIGN}")
            ax.text(x, y + _SIZE / 2 + 0.06, number, ha="center", va="top", fontsize=8)
    for level, value in zip(range(num_levels), LEVELS, strict=True):
        middle = _centre(level * per_level + (per_level - 1) / 2)
        ax.text(middle, -0.65, f"memorization near {value:g}", ha="center", va="bottom", fontsize=9)
    for group in np.unique(groups):
        look = style.group_style(group)
        ax.plot([], [], color=look.colour, linestyle=look.linestyle, linewidth=1.5, label=names[group])
    ax.set(xlim=(-0.6, _centre(num_levels * per_level - 1) + 0.6), ylim=((num_classes - 1) * _ROW + 0.8, -1.05))
    ax.set(xticks=[], yticks=_ROW * np.arange(num_classes), yticklabels=classes, ylabel="class")
    ax.set_aspect("equal")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, borderpad=0)


def _centre(cell: float) -> float:
    """The x of a cell, counted from the left over all levels."""
    return cell + _GAP * (cell // PER_LEVEL)


def _draw_image(ax: Axes, image: np.ndarray, x: float, y: float, look: style.GroupStyle) -> None:
    """One image of any shape, as large as its cell allows, in its group's frame."""
    height, width = np.array(image.shape[:2]) * (_SIZE / 2 / max(image.shape[:2]))
    # Images of other than three channels are shown by the mean of them.
    shown = image if image.shape[-1] == 3 else image.mean(-1)
    ax.imshow(shown, cmap="gray", vmin=0, vmax=255, extent=(x - width, x + width, y + height, y - height))
    corner = (x - width, y - height)
    ax.add_patch(
        Rectangle(
            corner, 2 * width, 2 * height, fill=False, edgecolor=look.colour, linestyle=look.linestyle, linewidth=1.5
        )
    )
