"""The ROC and the chart of attacks show the numbers they are given."""

import matplotlib
import numpy as np
import pytest
from figure_helpers import NINE_ATTACKS, layout_faults

from mia_tf.figures import style
from mia_tf.figures.attacks import draw_attacks, smallest_rate
from mia_tf.figures.roc import draw_roc


@pytest.fixture(autouse=True)
def look():
    with matplotlib.rc_context(style.RC):
        yield


def _curves(attacks):
    fpr = np.concatenate([[0], np.geomspace(1e-5, 1, 50)])
    return {attack: (fpr, fpr ** (1 / (2 + position))) for position, attack in enumerate(attacks)}


def _roc(attacks, auroc=None, smallest_fpr=1e-5):
    figure = style.new_figure(3.6, 4 + 0.17 * len(attacks))
    ax = figure.subplots()
    auroc = {attack: 0.5 + 0.031 * i for i, attack in enumerate(attacks)} if auroc is None else auroc
    draw_roc(ax, _curves(attacks), auroc, smallest_fpr, "All examples")
    return figure, ax


def _legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_check_of_layouts_sees_what_it_must():
    figure = style.new_figure(4, 3)
    ax = figure.subplots()
    ax.set(xticks=[], yticks=[])
    figure.text(0.5, 0.5, "one")
    figure.text(0.5, 0.51, "two")
    figure.text(0.99, 0.99, "three")
    faults = layout_faults(figure)
    assert ("one", "two") in faults and ("three", "page") in faults and ("one", "panel") in faults
    assert len(faults) == 4


def test_every_attack_has_its_own_look():
    further = ["attack_z", "attack_a", "attack_b", "attack_c"]
    styles = style.attack_styles([*NINE_ATTACKS, *further])
    assert len({(look.colour, look.linestyle) for look in styles.values()}) == 13
    assert list(styles)[:9] == list(NINE_ATTACKS) and list(styles)[9:] == sorted(further)
    assert styles["rmia"] == style.attack_styles(["rmia"])["rmia"]


def test_roc_draws_the_points_given_in_the_fixed_order():
    backwards = NINE_ATTACKS[::-1]
    _, ax = _roc(backwards)
    curves = _curves(backwards)
    diagonal, *lines = ax.get_lines()
    for attack, line in zip(NINE_ATTACKS, lines, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), curves[attack][0])
        np.testing.assert_array_equal(line.get_ydata(), curves[attack][1])
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_roc_legend_names_the_areas():
    _, ax = _roc(["lira_online_fixed", "yeom"], {"yeom": 0.51649, "lira_online_fixed": np.nan})
    assert _legend(ax) == ["0.516  Yeom", "unresolved  LiRA online, fixed variance", "random guess"]


@pytest.mark.parametrize(("smallest_fpr", "start"), [(1e-7, 1e-4), (1 / 500, 1 / 500), (1 / 3, 0.1), (1.0, 0.1)])
def test_roc_starts_where_the_data_begin_to_resolve(smallest_fpr, start):
    _, ax = _roc(["yeom"], smallest_fpr=smallest_fpr)
    assert ax.get_xlim() == ax.get_ylim() == (start, 1)


def test_a_true_positive_rate_at_no_false_positives_reaches_the_left_edge():
    figure = style.new_figure(3, 3)
    ax = figure.subplots()
    fpr, tpr = np.array([0, 1e-3, 1]), np.array([0.2, 0.2, 1])
    draw_roc(ax, {"yeom": (fpr, tpr)}, {}, 1e-3, "")
    figure.draw_without_rendering()
    line = ax.get_lines()[1]
    path = line.get_transform().transform(np.column_stack([fpr, tpr]))
    assert np.isfinite(path).all() and path[0, 0] < ax.bbox.x0
    np.testing.assert_allclose(path[0, 1], path[1, 1])


def test_long_lists_of_attacks_leave_roc_readable():
    figure, _ = _roc([*NINE_ATTACKS, "a_further_attack"])
    style.footnote(figure, "64 models of one kind, on some five thousand examples of this and two hundred of that")
    assert layout_faults(figure) == []


def _values(attacks, populations=("all", "under")):
    return {
        (attack, population): (0.02 * (i + 1), 0.01 * (i + 1), 0.03 * (i + 1) + 0.001 * (population == "under"))
        for i, attack in enumerate(attacks)
        for population in populations
    }


def _dots(ax):
    return {line.get_label(): line for line in ax.get_lines()}


@pytest.mark.parametrize("metric", ["auroc", "tpr_at_fpr_0.001"])
def test_chart_puts_values_and_intervals_in_the_attacks_rows(metric):
    ax = style.new_figure(4, 5).subplots()
    values = _values(NINE_ATTACKS)
    draw_attacks(ax, metric, values)
    assert [label.get_text() for label in ax.get_yticklabels()][:2] == ["Yeom", "Shokri"]
    for population, label in (("all", "all examples"), ("under", "under-represented")):
        x, y = _dots(ax)[label].get_data()
        np.testing.assert_array_equal(x, [values[attack, population][0] for attack in NINE_ATTACKS])
        np.testing.assert_array_equal(np.round(y), np.arange(9))
    segments = [np.array(c.get_segments()) for c in ax.collections]
    for population, drawn in zip(("all", "under"), segments, strict=True):
        expected = [values[attack, population][1:] for attack in NINE_ATTACKS]
        np.testing.assert_array_equal(drawn[:, :, 0], expected)
    chance = {"auroc": 0.5, "tpr_at_fpr_0.001": 0.001}[metric]
    np.testing.assert_array_equal(_dots(ax)["random guess"].get_xdata(), [chance, chance])
    low, high = ax.get_xlim()
    assert low < min(chance, 0.01) and high > max(chance, 0.27)


def test_chart_says_what_is_not_resolved():
    figure = style.new_figure(4, 3)
    ax = figure.subplots()
    values = _values(["yeom", "rmia"])
    values["rmia", "under"] = (np.nan,) * 3
    draw_attacks(ax, "tpr_at_fpr_0.001", values)
    (text,) = ax.texts
    assert text.get_text() == "not resolved" and round(text.get_position()[1]) == 1
    x, _ = _dots(ax)["under-represented"].get_data()
    np.testing.assert_array_equal(np.isnan(x), [False, True])
    assert layout_faults(figure) == []


def test_chart_of_one_population_shows_no_other():
    ax = style.new_figure(4, 3).subplots()
    draw_attacks(ax, "auroc", _values(["yeom"], ["all"]))
    assert set(_dots(ax)) == {"all examples", "random guess"}
    assert _dots(ax)["all examples"].get_ydata() == [0]


def test_chart_where_nothing_is_resolved():
    ax = style.new_figure(4, 3).subplots()
    draw_attacks(ax, "tpr_at_fpr_0.001", {("yeom", "all"): (np.nan,) * 3})
    low, high = ax.get_xlim()
    assert low < 0.001 < high and [text.get_text() for text in ax.texts] == ["not resolved"]


def test_a_rate_below_all_that_is_resolved_is_drawn():
    """Its axis had no limits: ValueError of an empty sequence."""
    unresolved = {("yeom", "all"): (np.nan, np.nan, np.nan)}
    figure = style.new_figure(5, 3)
    ax = figure.subplots()
    draw_attacks(ax, "tpr_at_fpr_1e-05", unresolved)
    low, high = ax.get_xlim()
    assert low <= 1e-5 <= high and smallest_rate("tpr_at_fpr_1e-05") == pytest.approx(1e-6)
    assert smallest_rate("tpr_at_fpr_0.001") == 1e-4
