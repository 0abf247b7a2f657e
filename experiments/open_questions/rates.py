"""What the pages of the open questions share: AUROC beside TPR at 0.1% FPR as dots, and the files that they write."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from mia_tf.analysis.tables import write_rows
from mia_tf.figures import attacks as drawn_attacks
from mia_tf.figures import style
from mia_tf.figures.dots import draw_dots

SMALLEST = 1e-4
"""The left end of the axis of rates."""


def draw(names: Mapping, series: Mapping, values: Callable[[str], Mapping], height: float, words: str) -> Figure:
    """Returns a figure of two panels, AUROC and the TPR at 0.1% FPR.

    Args:
        names, series: as `figures.dots.draw_dots` takes them.
        values: metric -> the values that `draw_dots` takes.
        height: of the figure, in inches.
        words: the footnote.
    """
    figure = style.new_figure(9.6, height)
    axes = figure.subplots(1, 2, sharey=True)
    for ax, metric in zip(axes, ("auroc", "tpr_at_fpr_0.001"), strict=True):
        if metric != "auroc":
            ax.set_xscale("log", nonpositive="clip")
            ax.set_xlim(SMALLEST, 1)
            style.percent_axis(ax.xaxis)
        draw_dots(ax, names, series, values(metric), smallest=SMALLEST)
        ax.axvline(drawn_attacks.chance(metric), color=style.GREY, linewidth=0.8, zorder=0)
        ax.set(xlabel=drawn_attacks.label(metric))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    style.footnote(figure, words)
    return figure


def write(
    name: str, columns: Sequence[str], by_record: Mapping[str, Sequence[tuple]], draw_record: Callable, out: Path
) -> None:
    """Writes OUT/NAME.csv, and OUT/NAME_RECORD.png for each record; prints the CSV's path.

    Args:
        name: of the page.
        columns: of the CSV.
        by_record: name of a record -> its rows.
        draw_record: rows as dicts -> Figure.
        out: the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    for record, rows in by_record.items():
        with matplotlib.rc_context(style.RC):
            figure = draw_record([dict(zip(columns, row, strict=True)) for row in rows])
            figure.savefig(out / f"{name}_{record}.png", dpi=150)
    print(write_rows(out / f"{name}.csv", columns, [row for rows in by_record.values() for row in rows]))
