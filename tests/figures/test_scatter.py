import numpy as np
import pytest
from figure_helpers import drawn_texts, layout_faults

from mia_tf.figures import scatter, style


@pytest.mark.parametrize(
    "name, words, lines", [("SVHN", "strong", 1), ("CIFAR-10, singletons", "p = 0.535, not significant", 2)]
)
def test_a_long_entry_of_the_legend_has_two_lines_and_stays_beside_the_next_panel(name, words, lines):
    figure = style.new_figure(6.8, 3.4)
    for ax in figure.subplots(1, 2):
        points = np.arange(4.0), np.arange(4.0), np.array([0, 0, 1, 1])
        scatter.draw_groups(ax, *points, ("MNIST", name), lambda group: rf"$\rho$ = -0.04, {words}")
        scatter.legend_below(ax)
    entries = [text for text, _ in drawn_texts(figure) if name in text]
    assert len(entries) == 2 and all(len(text.splitlines()) == lines for text in entries)
    assert layout_faults(figure) == []
