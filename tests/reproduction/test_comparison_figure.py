"""Ours beside the paper's, as drawn."""

import matplotlib
import numpy as np
import pytest
from figure_helpers import drawn_texts, layout_faults

from experiments.reproduction import comparison_figure as comparison
from experiments.reproduction.comparison_figure import Pair
from mia_tf.figures import style


def draw(pairs, **options):
    with matplotlib.rc_context(style.RC):
        figure = style.new_figure(6, 3)
        ax = figure.subplots()
        comparison.draw_comparison(ax, pairs, "AUROC", **options)
        figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure, ax


def points(ax):
    """Label of the legend -> (x of its points, the rows they are in, whether they are hollow)."""
    handles, labels = ax.get_legend_handles_labels()
    return {
        label: (
            handle.get_xdata().tolist(),
            np.round(handle.get_ydata()).tolist(),
            handle.get_markerfacecolor() == "white",
        )
        for handle, label in zip(handles, labels, strict=True)
    }


def test_pairs_of_a_label_share_a_row_and_both_numbers_are_where_they_belong():
    pairs = [
        Pair("Yeom", "all", (0.52, 0.5, 0.54), (0.5, np.nan, np.nan)),
        Pair("Yeom", "under", (0.8, 0.7, 0.9), (0.77, np.nan, np.nan)),
        Pair("LiRA", "under", None, (0.9, np.nan, np.nan)),
    ]
    figure, ax = draw(pairs)
    drawn = points(ax)
    assert drawn == {
        "all examples, paper": ([0.5], [0], True),
        "all examples, ours": ([0.52], [0], False),
        "under-represented, paper": ([0.77, 0.9], [0, 1], True),
        "under-represented, ours": ([0.8], [0], False),
    }
    assert [text.get_text() for text in ax.get_yticklabels()] == ["Yeom", "LiRA"]
    assert layout_faults(figure) == []
    assert {"AUROC", "Yeom", "LiRA"} <= {text for text, _ in drawn_texts(figure)}


def test_rates_below_the_smallest_are_drawn_at_the_edge():
    _, ax = draw([Pair("Song", "under", (0.0, 0.0, 0.02), (0.0286, np.nan, np.nan))], logarithmic=True)
    assert np.isnan(points(ax)["under-represented, ours"][0]).all()
    assert points(ax)["under-represented, paper"][0] == [0.0286]
    (triangle,) = [line for line in ax.lines if line.get_marker() == "<"]
    assert triangle.get_xdata().tolist() == [comparison.SMALLEST_RATE] == [ax.get_xlim()[0]]


@pytest.mark.parametrize("papers", [0.965, 0.02, 0.0])
def test_words_for_what_is_not_resolved_hide_no_dot_of_their_row(papers):
    pairs = [
        Pair("LiRA", "all", (0.0135, 0.0103, 0.0169), (0.0107, np.nan, np.nan)),
        Pair("LiRA", "under", (np.nan, np.nan, np.nan), (papers, np.nan, np.nan)),
    ]
    figure, ax = draw(pairs, logarithmic=True)
    figure.canvas.draw()
    (words,) = ax.texts
    box = words.get_window_extent()
    for line in ax.lines:
        for x, _ in ax.transData.transform(line.get_xydata()):
            assert not box.x0 <= x <= box.x1, line.get_label()
