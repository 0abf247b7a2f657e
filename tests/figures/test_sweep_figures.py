"""The figure of the sweep shows the numbers of sweep.csv, and is there only where they are."""

import csv

import matplotlib
import numpy as np
import pytest
from figure_helpers import layout_faults, write_logdir

from mia_tf.analysis.result import load_audit
from mia_tf.figures import style
from mia_tf.figures.pages import pages
from mia_tf.figures.sweep import draw_sweep

ATTACKS = ("lira_online", "lira_online_fixed", "lira_offline", "lira_offline_fixed", "rmia", "sablayrolles")
COLUMNS = "attack,population,num_shadow,metric,value,ci_low,ci_high,num_targets,num_members,num_nonmembers,note"


@pytest.fixture(autouse=True)
def look():
    with matplotlib.rc_context(style.RC):
        yield


def invented(attack, population, size, metric):
    """A value that tells what it is of, and its interval; nothing with one model for the attacks of own variance."""
    if attack in ("lira_online", "lira_offline") and size == 1:
        return ("", "", "")
    value = 0.5 + 0.01 * size + 0.05 * ATTACKS.index(attack) - 0.02 * (population == "under")
    value *= 1 if metric == "auroc" else 0.02
    return (value, 0.9 * value, 1.1 * value)


def write_sweep(logdir, populations=("all", "under"), sizes=(1, 2, 4, 8)):
    with open(logdir / "analysis" / "sweep.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS.split(","))
        for attack in ATTACKS:
            for size in sizes:
                for population in populations:
                    for metric in ("auroc", "advantage", "tpr_at_fpr_0.001", "tpr_at_fpr_0.0001"):
                        values = invented(attack, population, size, metric)
                        writer.writerow([attack, population, size, metric, *values, 20, 100, 100, ""])


def drawn(logdir):
    return dict(pages(load_audit(logdir / "analysis")))


@pytest.mark.parametrize("under", [True, False])
def test_the_page_lays_out_every_metric_and_population(tmp_path, under):
    write_logdir(tmp_path, under=under)
    assert "sweep" not in drawn(tmp_path)
    populations = ("all", "under") if under else ("all",)
    write_sweep(tmp_path, populations)
    figure = drawn(tmp_path)["sweep"]
    assert layout_faults(figure) == []
    assert [ax.get_title() for ax in figure.axes[: len(populations)]] == [
        "All examples",
        "Under-represented examples",
    ][: len(populations)]
    metrics = ("auroc", "tpr_at_fpr_0.001")
    for ax, (metric, population) in zip(figure.axes, [(m, p) for m in metrics for p in populations], strict=True):
        lines = {line.get_label(): line for line in ax.get_lines()}
        for attack, look in style.attack_styles(ATTACKS).items():
            expected = [invented(attack, population, size, metric)[0] for size in (1, 2, 4, 8)]
            np.testing.assert_array_equal(lines[look.label].get_xdata(), [1, 2, 4, 8])
            expected = [np.nan if value == "" else value for value in expected]
            np.testing.assert_allclose(lines[look.label].get_ydata(), expected)
        assert ax.get_xscale() == "log"
        np.testing.assert_array_equal(ax.get_xticks(), [1, 2, 4, 8])


def test_bands_are_the_intervals_and_all_lie_on_the_axes():
    figure = style.new_figure(4, 3)
    ax = figure.subplots()
    values = {"rmia": {4: (0.02, 0.01, 0.3), 1: (0.001, 0.0, 0.004)}}
    draw_sweep(ax, "tpr_at_fpr_0.001", values)
    (band,) = ax.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices.tolist()}
    bottom, top = ax.get_ylim()
    # To the end of the axis where the interval reaches to 0: at 0 the edge would be drawn upright at its neighbour.
    assert {(1, bottom), (1, 0.004), (4, 0.01), (4, 0.3)} <= corners
    assert 0 < bottom < 0.001 and top > 0.3  # the line of chance, and the highest end
    assert ax.get_yscale() == "log"


def test_a_sweep_of_which_nothing_is_resolved_says_so_on_its_own_axis():
    figure = style.new_figure(4, 3)
    ax = figure.subplots()
    draw_sweep(ax, "tpr_at_fpr_0.001", {"rmia": dict.fromkeys((1, 2, 16), (np.nan,) * 3)})
    assert layout_faults(figure) == []
    assert [text.get_text() for text in ax.texts] == ["not resolved"]
    low, high = ax.get_xlim()
    assert 0.5 < low < 1 and 16 < high < 32


def test_all_models_stand_one_step_right_of_the_largest_number():
    figure = style.new_figure(4, 3)
    ax = figure.subplots()
    draw_sweep(ax, "auroc", {"rmia": {np.inf: (0.9, 0.8, 0.95), 4: (0.7, 0.6, 0.8), 1: (0.6, 0.5, 0.7)}})
    (line,) = [line for line in ax.get_lines() if line.get_label() == "RMIA"]
    np.testing.assert_array_equal(line.get_xydata(), [[1, 0.6], [4, 0.7], [8, 0.9]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "4", "all"]
    assert layout_faults(figure) == []
