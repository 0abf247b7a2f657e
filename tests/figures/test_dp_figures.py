"""Figures of training with and without differential privacy (DP)."""

import numpy as np
import pytest
from figure_helpers import drawn_texts, layout_faults
from matplotlib.colors import to_hex
from refusals import refuses

from mia_tf.figures import dp_runs as draw
from mia_tf.figures import frontier, style
from mia_tf.figures.dots import draw_dots

NAMES = ("MNIST", "SVHN")
LABELS = ["without DP", "DP, lr 0.1", "DP, lr 0.5"]
SERIES = draw.run_series(LABELS)


def test_every_run_has_a_look_of_its_own():
    looks = [look for _, look in draw.run_series([str(i) for i in range(draw.MAX_RUNS)]).values()]
    assert len({look.colour for look in looks}) == len({look.marker for look in looks}) == draw.MAX_RUNS
    with refuses("labels", advice="must be at most 4"):
        draw.run_series([str(i) for i in range(draw.MAX_RUNS + 1)])


def test_distributions_share_bins_and_lose_no_example():
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1], [300, 40])
    values = {label: rng.uniform(-0.6, 1, 340) for label in LABELS}
    values[LABELS[1]][:3] = np.nan
    figure = style.new_figure(9.6, 3.6)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    edges = np.linspace(-1.1, 1.1, 12)
    draw.draw_distributions(panels, values, groups, NAMES, edges)
    for ax, (label, drawn) in zip(panels, values.items(), strict=True):
        assert ax.get_title() == label and ax.get_xlim() == (-1.1, 1.1)
        for group, patch in enumerate(ax.patches[::2]):
            counts, _ = np.histogram(drawn[groups == group], edges)
            np.testing.assert_array_equal(patch.get_data().values, counts)
    assert "MNIST (297 examples, 3 not resolved)" in [text for text, _ in drawn_texts(figure)]
    assert layout_faults(figure) == []


def test_means_and_accuracies_lie_in_their_rows():
    rng = np.random.default_rng(1)
    groups = {"all": "all", "over": "MNIST", "under": "SVHN"}
    means = {(g, label): (v := rng.uniform(0, 0.5), v - 0.1, v + 0.1) for g in groups for label in LABELS}
    rates = {((s, g), label): (0.9, 0.8, 0.95) for s in ("train", "out", "test") for g in groups for label in LABELS}
    figure = style.new_figure(7.2, 3.8)
    left, right = figure.subplots(1, 2)
    draw.draw_means(left, means, SERIES, groups)
    draw.draw_accuracies(right, rates, SERIES, groups)
    assert [tick.get_text() for tick in left.get_yticklabels()] == list(groups.values())
    assert right.get_yticklabels()[5].get_text() == "non-members, SVHN"
    for label in LABELS:
        (line,) = (line for line in left.get_lines() if line.get_label() == label)
        np.testing.assert_array_equal(line.get_xdata(), [means[g, label][0] for g in groups])
        np.testing.assert_array_equal(np.round(line.get_ydata()), [0, 1, 2])
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    assert layout_faults(figure) == []


def test_bounds_of_both_kinds_are_where_they_should_be():
    lower = {(attack, label): 0.5 for attack in ("yeom", "rmia") for label in LABELS}
    lower["rmia", LABELS[2]] = np.nan
    figure = style.new_figure(5, 4)
    ax = figure.subplots()
    draw.draw_epsilons(ax, lower, {"at most, RDP": 3.188, "at most, PLD": 2.934}, SERIES)
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert list(lines["at most, RDP"].get_xdata()) == [3.188, 3.188]
    assert lines["at most, RDP"].get_linestyle() != lines["at most, PLD"].get_linestyle()
    assert [text.get_text() for text in ax.texts] == ["not resolved"]
    assert ax.get_xlim()[1] > 3.188
    assert layout_faults(figure) == []


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_dots_of_a_row_lie_apart_and_within_it(count):
    series = draw.run_series([str(i) for i in range(count)])
    ax = style.new_figure(4, 3).subplots()
    draw_dots(ax, {"a": "A", "b": "B"}, series, {(row, name): (0.5, 0.4, 0.6) for row in "ab" for name in series})
    heights = np.array([line.get_ydata() for line in ax.get_lines()])
    assert heights.shape == (count, 2)
    assert (np.abs(heights - [0, 1]) < 0.5).all()
    np.testing.assert_allclose(heights.mean(axis=0), [0, 1], atol=1e-12)
    assert (np.diff(heights, axis=0) > 0.15).all()
    assert [to_hex(line.get_color()).upper() for line in ax.get_lines()] == [look.colour for _, look in series.values()]


def test_a_frontier_names_every_point_and_covers_none():
    bounds = [np.nan, np.inf, 1e6, 1e4, 100.0, 10.0, 3.0]
    places = [(0.97, 0.8), (0.96, 0.7), (0.96, 0.701), (0.955, 0.7), (0.9, 0.6), (0.5, 0.51), (0.1, 0.5)]
    points = [
        frontier.Point(epsilon, (x, x - 0.01, x + 0.01), (y, y - 0.02, y + 0.02))
        for epsilon, (x, y) in zip(bounds, places, strict=True)
    ]
    points.append(frontier.Point(1.0, (0.1, 0.1, 0.1), (np.nan, np.nan, np.nan)))
    figure = style.new_figure(4.4, 3.4)
    ax = figure.subplots()
    frontier.draw_frontier(ax, "auroc", points)
    frontier.label_points(figure, [(ax, points)])
    (path,) = (line for line in ax.get_lines() if len(line.get_xdata()) == 6)
    assert list(path.get_xdata()) == [x for x, _ in places[:0:-1]]  # by epsilon, without the run without DP
    names = [point.name for point in points[:-1]]
    boxes = {text: box for text, box in drawn_texts(figure) if text in names}
    assert list(boxes) == names and names[0] == "no DP" and names[3] == r"$\epsilon = 10^{4}$"
    assert any(text.get_text() == r"not resolved: $\epsilon = 1$" for text in ax.texts)
    dots = ax.transData.transform(places)
    assert not any(box.contains(*dot) for box in boxes.values() for dot in dots)
    assert layout_faults(figure, annotated=True) == []


def test_texts_of_the_user_are_no_markup():
    """A label that begins with _ was in no legend, one between dollar signs a formula, and "a_b$^$" an error."""
    labels = ["_plain", "DP $5 to $10", "a_b$^$"]
    series = draw.run_series(labels)
    figure = style.new_figure(9.6, 3.6)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    values = {label: np.linspace(0, 1, 20) for label in labels}
    draw.draw_distributions(panels, values, np.zeros(20, int), NAMES, np.linspace(-1, 1, 5))
    figure.draw_without_rendering()
    assert [ax.get_title() for ax in panels] == [" _plain", r"DP \$5 to \$10", r"a_b\$^\$"]
    ax = style.new_figure(5, 3).subplots()
    draw.draw_means(ax, {("all", label): (0.1, 0.0, 0.2) for label in labels}, series, {"all": "all"})
    assert ax.get_legend_handles_labels()[1] == [" _plain", r"DP \$5 to \$10", r"a_b\$^\$"]
