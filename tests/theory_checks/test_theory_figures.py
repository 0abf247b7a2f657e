"""The figures of the theory: what is drawn is what was given."""

import matplotlib
import numpy as np
import pytest
from figure_helpers import layout_faults

from experiments.theory_checks.drawing import (
    draw_distance,
    draw_learning_curves,
    draw_models_needed,
    draw_predicted_numbers,
)
from mia_tf.figures import style

NAMES = ("MNIST", "SVHN")
GROUPS = np.array([0, 0, 0, 1, 1])


@pytest.fixture
def ax():
    with matplotlib.rc_context(style.RC):
        yield style.new_figure(4.5, 4.2).subplots()


def _legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_distance_draws_points_and_the_line_of_equality(ax):
    memorization, distance = np.array([0, 0.2, 0.4, 0.9, np.nan]), np.array([0.1, 0.1, 0.5, 0.7, 0.2])
    draw_distance(ax, memorization, distance, GROUPS, NAMES, "$H^2$", "a title")
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xydata(), [[0, 0], [1, 1]])
    points = np.concatenate([c.get_offsets() for c in ax.collections[1:]])  # the first is the shading
    np.testing.assert_array_equal(points[:4], np.column_stack([memorization, distance])[:4])
    assert _legend(ax)[1] == "SVHN (1 example, 1 not resolved)"
    assert layout_faults(ax.figure) == []


def test_learning_curves_draw_measurement_and_prediction(ax):
    models = (1, 2, 4)
    measured = {"0": (np.array([0, 0.1, 0.2]), np.zeros(3), np.full(3, 0.3)), "0 to 0.25": (np.full(3, 0.5),) * 3}
    predicted = {"0": np.array([0.1, 0.2, 0.3]), "0 to 0.25": np.full(3, 0.6)}
    draw_learning_curves(ax, models, measured, predicted)
    drawn = [line.get_ydata().tolist() for line in ax.lines if len(line.get_ydata())]
    assert drawn == [[0, 0.1, 0.2], [0.1, 0.2, 0.3], [0.5] * 3, [0.6] * 3]
    assert _legend(ax) == ["0", "0 to 0.25", "predicted by the normal fits"]
    assert len({line.get_color() for line in ax.lines[:4:2]}) == 2
    assert layout_faults(ax.figure) == []


def test_predicted_numbers_draw_unreached_bins_hollow_above_all(ax):
    inverse = {"$H^2$": (np.array([2.0, 8]), np.array([2, np.inf])), "memorization": (np.array([3.0]), np.array([4]))}
    draw_predicted_numbers(ax, inverse, 9, 0.5)
    reached, unreached = ax.lines[:2]
    np.testing.assert_array_equal(reached.get_xydata(), [[2, 2]])
    assert unreached.get_markerfacecolor() == "none" and unreached.get_ydata()[0] > 9
    assert "> 9" in [label.get_text() for label in ax.get_yticklabels()]
    assert layout_faults(ax.figure) == []


def test_models_needed_draws_the_shares_decided(ax):
    needed = {0.05: np.array([1, 4, np.inf, np.nan]), 0.25: np.array([1, 1, 2, 4.0])}
    draw_models_needed(ax, (1, 2, 4), needed, "SVHN")
    drawn = [line.get_ydata().tolist() for line in ax.lines if len(line.get_ydata())]
    assert drawn == [[0.25, 0.25, 0.5], [0.5, 0.75, 1]]
    # What only more than the cap decides is decidable still.
    assert _legend(ax) == ["error 0.05: 75.0% decidable at all", "error 0.25: 100.0% decidable at all"]
    assert layout_faults(ax.figure) == []
