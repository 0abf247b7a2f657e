"""The look that all figures share: sizes, colours, legends and the footnote."""

import io
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import ScaledTranslation

from mia_tf.files import replacing

RC: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,  # TrueType, which journals accept and readers can search
    "image.interpolation": "nearest",
}
"""Settings to draw and save under: `with matplotlib.rc_context(style.RC)`. Figures print at their own size."""
_KINDS = {"png": {"dpi": 150}, "pdf": {"dpi": 300, "metadata": {"CreationDate": None}}}
"""Kind of file -> how it is saved."""

# Okabe and Ito's colours without yellow, which is too pale for a line on white.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
GREY = "#707070"
UNRESOLVED = "not resolved"


@dataclass(frozen=True)
class GroupStyle:
    """How one group or population is drawn everywhere; hollow markers are of numbers that others measured."""

    colour: str
    marker: str
    linestyle: str | tuple
    hatch: str
    hollow: bool = False


ALL_STYLE = GroupStyle(BLACK, "o", "-", "")
GROUP_STYLES = (
    GroupStyle(BLUE, "o", "-", ""),
    GroupStyle(VERMILLION, "D", "--", "////"),
    GroupStyle(GREEN, "^", ":", "...."),
    GroupStyle(PURPLE, "s", "-.", "\\\\\\\\"),
    GroupStyle(SKY, "v", (0, (5, 1.5, 1, 1.5)), "++"),
    GroupStyle(ORANGE, "P", (0, (9, 2)), "xx"),
)
"""Indexed by group id; the first two are the over- and the under-represented group."""
MOST_GROUPS = len(GROUP_STYLES)
"""Groups that one panel tells apart."""


def group_style(group: int) -> GroupStyle:
    """The look of a group by its id; from MOST_GROUPS on they repeat."""
    return GROUP_STYLES[group % MOST_GROUPS]


def literal(text: str) -> str:
    """A user's text as it is drawn: without markup between dollar signs, and in legends also if it begins with _.

    Bytes of a path that are no text are drawn as escapes.
    """
    text = text.encode("utf-8", "backslashreplace").decode().replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


@dataclass(frozen=True)
class AttackStyle:
    """How one attack is named and drawn everywhere."""

    label: str
    colour: str
    linestyle: str | tuple


_DOTTED, _DASHED, _DASHDOT, _LONG, _DASHDOTDOT = (
    (0, (1, 1)),
    (0, (4, 1.5)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (9, 2)),
    (0, (5, 1.5, 1, 1.5, 1, 1.5)),
)
_ATTACKS = {
    "yeom": AttackStyle("Yeom", BLACK, _DASHDOT),
    "shokri": AttackStyle("Shokri", GREEN, _LONG),
    "song": AttackStyle("Song", PURPLE, _DASHDOT),
    "song_entropy": AttackStyle("Song, plain entropy", PURPLE, _DOTTED),
    "sablayrolles": AttackStyle("Sablayrolles", SKY, _DASHDOTDOT),
    "sablayrolles_offline": AttackStyle("Sablayrolles offline", SKY, _DOTTED),
    "lira_online": AttackStyle("LiRA online", BLUE, _DASHED),
    "lira_online_fixed": AttackStyle("LiRA online, fixed variance", BLUE, "-"),
    "lira_offline": AttackStyle("LiRA offline", ORANGE, _DASHED),
    "lira_offline_fixed": AttackStyle("LiRA offline, fixed variance", ORANGE, "-"),
    "lira_offline_two_sided": AttackStyle("LiRA offline, two-sided", ORANGE, _DOTTED),
    "rmia": AttackStyle("RMIA", VERMILLION, _DASHDOT),
    "rmia_offline": AttackStyle("RMIA offline", VERMILLION, _DOTTED),
    "label_only": AttackStyle("Label only", GREY, _DASHED),
    "label_only_gap": AttackStyle("Label only, gap", GREY, _DOTTED),
    "quantile_regression": AttackStyle("Quantile regression", GREEN, _DOTTED),
    "trajectory_lira": AttackStyle("LiRA on epochs", SKY, _LONG),
    "trajectory_rmia": AttackStyle("RMIA on epochs", VERMILLION, _LONG),
}
_COLOURS = (GREEN, PURPLE, VERMILLION, BLUE, BLACK, SKY)
# Neighbours differ in their dashes too.
_FURTHER = [*zip(_COLOURS, (_DOTTED, _LONG) * 3, strict=True), *zip(_COLOURS, (_LONG, _DOTTED) * 3, strict=True)]


def attack_styles(names: Iterable[str]) -> dict[str, AttackStyle]:
    """The style of each attack, in the fixed order of all figures.

    An attack named above always looks the same; others follow in the order of their names.
    """
    names = set(names)
    styles = {name: style for name, style in _ATTACKS.items() if name in names}
    for position, name in enumerate(sorted(names - set(_ATTACKS))):
        styles[name] = AttackStyle(name.replace("_", " "), *_FURTHER[position % len(_FURTHER)])
    return styles


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches that lays itself out."""
    return Figure(figsize=(width, height), layout="constrained")


def footnote(figure: Figure, text: str) -> None:
    """Writes `text` under everything else and makes the figure higher by it. Line breaks in it stay."""
    columns = int(figure.get_figwidth() * 14.5)  # characters of 8 pt that fit an inch, with some to spare
    lines = "\n".join(textwrap.fill(line, columns) for line in text.splitlines())
    figure.set_figheight(figure.get_figheight() + 0.14 * (lines.count("\n") + 1))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=8, color=GREY)


def save(figure: Figure, folder: Path, name: str) -> Iterator[Path]:
    """Writes FOLDER/NAME.png and FOLDER/NAME.pdf; yields each path once its file is complete."""
    for kind, options in _KINDS.items():
        path = folder / f"{name}.{kind}"
        drawn = io.BytesIO()  # not the file: on a full disk matplotlib's PDF ends with an error that does not say so
        figure.savefig(drawn, format=kind, **options)
        with replacing(path) as temporary:
            temporary.write_bytes(drawn.getbuffer())
        yield path


def remove(folder: Path, name: str) -> None:
    """Removes what `save` wrote, if it did."""
    for kind in _KINDS:
        (folder / f"{name}.{kind}").unlink(missing_ok=True)


def legend_below(ax: Axes, **options) -> Legend:
    """Puts the legend under the axis label, where it hides no data, and returns it."""
    label_height = 36 / 72  # tick labels and axis label, in inches
    anchor = ax.transAxes + ScaledTranslation(0, -label_height, ax.figure.dpi_scale_trans)
    options = {"loc": "upper center", "handlelength": 3.5, "borderpad": 0, "borderaxespad": 0, **options}
    return ax.legend(bbox_to_anchor=(0.5, 0), bbox_transform=anchor, **options)


def percent_axis(axis) -> None:
    """Labels a logarithmic axis of rates in percent, whole decades only."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
