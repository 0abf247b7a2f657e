"""Figures 3, 7 and 8 have a panel for every run, and 13 of LiRA lays its histograms over one another."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from figure_helpers import drawn_texts, layout_faults
from measured_helpers import make_measured

from experiments.reproduction import panels, shifts, sweep_figures
from experiments.reproduction.scales import SHIFTS
from mia_tf.analysis import tables
from mia_tf.figures import style


@pytest.fixture
def run():
    run = make_measured(group=["over", "under"], n_in=[8, 8], n_out=[4, 4])
    measured = {"population": "under", "metric": "auroc", "ci_low": 0.5, "ci_high": 0.99}
    rows = [{"attack": "rmia", "num_shadow": size, "value": 0.6 + size / 10, **measured} for size in (1, 2)]
    run.audit.sweep = pd.DataFrame(rows)
    run.audit.attacks = pd.DataFrame([{"attack": name, "value": 0.9, **measured} for name in ("rmia", "yeom")])
    assert set(rows[0]) <= set(tables.COLUMNS["sweep"])
    return run


def test_sweeps_go_to_all_models_and_what_was_not_run_has_its_place(run):
    outcome = sweep_figures.figure3({"mnist_svhn_random": run})
    rows = [(row["attack"], row["num_shadow"], row["ours"]) for row in outcome.tables[""]]
    assert rows == [("rmia", 1, 0.7), ("rmia", 2, 0.8), ("rmia", "all", 0.9)]
    written = [{name: str(cell) for name, cell in row.items()} for row in outcome.tables[""]]
    figure = outcome.draw(written)[""]
    texts = [text for text, _ in drawn_texts(figure)]
    assert texts.count("not run") == 9 and texts.count("RMIA") == 1 and texts.count("AUROC") == 1
    assert {"MNIST + SVHN\n(random)", "CIFAR-10 + CIFAR-100\n(highly memorized)", "all"} <= set(texts)
    assert layout_faults(figure, annotated=True) == []


def test_a_sweep_shows_earlier_runs_and_no_line_of_what_none_of_them_was_measured_in(run):
    runs = {"mnist_svhn_random": run}
    outcome = sweep_figures.sweep("figure8", ("auroc", "tpr_at_fpr_0.001"), {"random": "under"}, runs)
    written = [{name: str(cell) for name, cell in row.items()} for row in outcome.tables[""]]
    earlier = [{**row, "mixture": "cifar10_cifar100", "note": "a sample"} for row in written]
    figure = outcome.draw(written + earlier)[""]
    texts = [text for text, _ in drawn_texts(figure)]
    assert texts.count("not run") == 3 and "not measured" not in texts
    assert "Of earlier runs: CIFAR-10 + CIFAR-100 (random), 12 models, a sample." in figure.get_supxlabel()
    both = outcome.draw([*written, *earlier, {**written[0], "metric": "tpr_at_fpr_0.001"}])[""]
    assert [text for text, _ in drawn_texts(both)].count("not measured") == 1


def test_histograms_of_privacy_scores_lie_over_one_another():
    kinds = {"CIFAR-10": np.array([0.0, 0.1, 0.1, np.nan]), "CINIC-10": np.array([1.0, 2.0]), "CIFAR-100": np.empty(0)}
    figure = style.new_figure(6.4, 4.6)
    ax = figure.subplots()
    shifts.draw_overlaid(ax, kinds)
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries == ["CIFAR-10 (3 examples, 1 not resolved)", "CINIC-10 (2 examples)", "CIFAR-100: not run"]
    shares = [patch.get_data().values for patch in ax.patches if not patch.get_fill()]
    assert [share.sum() for share in shares] == [pytest.approx(1)] * 2 and shares[0][2] == pytest.approx(2 / 3)
    means = [line.get_xdata()[0] for line in ax.get_lines() if len(line.get_xdata())]
    assert means == pytest.approx([0.2 / 3, 1.5])
    styles = {(patch.get_linestyle(), patch.get_edgecolor()) for patch in ax.patches if not patch.get_fill()}
    assert len(styles) == 2  # by colour and by dashes
    assert layout_faults(figure) == []


def test_cifar10s_own_scores_are_those_without_inserted_examples_if_there_are_any():
    def made(mixture, scores, group):
        run = make_measured(group=group, privacy_score=np.array(scores))
        return panels.Measured(SimpleNamespace(mixture=mixture, selection="random"), None, run.audit)

    mixed = made("cifar10_mislabeled", [0.1, 0.2, 3.0], ["over", "over", "under"])
    kinds = shifts.series({"cifar10_mislabeled_random": mixed})
    assert {name: scores.tolist() for name, scores in kinds.items()} == {
        "CIFAR-10, mixed with CIFAR-10's test images, random labels": [0.1, 0.2],
        "CINIC-10": [],
        "CIFAR-100, random labels": [],
        "CIFAR-10's test images, random labels": [3.0],
    }
    alone = made("cifar10", [0.3], ["over"])
    both = shifts.series({"cifar10": alone, "cifar10_mislabeled_random": mixed})
    assert both["CIFAR-10, alone"].tolist() == [0.3] and len(both) == 4
    assert list(shifts.INSERTED) == list(SHIFTS)
