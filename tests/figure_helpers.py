"""What the tests of figures share: texts as drawn, and a LOGDIR with an invented analysis."""

import csv
import itertools
import json

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from mia_tf.analysis.tables import COLUMNS
from mia_tf.figures import style
from mia_tf.records import Dataset
from mia_tf.store import Store

STAND_IN = "Stand-in data: the house numbers are rendered, and no number here can be compared with those of the papers."
NINE_ATTACKS = (
    "yeom",
    "shokri",
    "song",
    "sablayrolles",
    "lira_online",
    "lira_online_fixed",
    "lira_offline",
    "lira_offline_fixed",
    "rmia",
)


def drawn_texts(figure):
    """[(text, its box in pixels)] of everything written when the figure is drawn, tick labels included."""
    texts = []
    original = Text.draw

    def record(self, renderer):
        if self.get_visible() and self.get_text():
            texts.append((self, self.get_window_extent(renderer)))
        original(self, renderer)

    with pytest.MonkeyPatch.context() as patch, matplotlib.rc_context(style.RC):
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()  # lets the layout settle
        patch.setattr(Text, "draw", record)
        figure.canvas.draw()
    # Twice the same: a legend of a figure may be drawn by more than one parent.
    return list({id(text): (text.get_text(), box) for text, box in texts}.values())


def layout_faults(figure, annotated=False):
    """Pairs of texts whose boxes meet, and texts that leave the page or lie on a panel.

    `annotated` panels hold texts on purpose; any other panel holds "not resolved" at most.
    """
    texts = drawn_texts(figure)
    assert texts
    # Boxes are of whole lines; half a pixel is lost to rounding.
    boxes = [(text, box.padded(-0.5)) for text, box in texts]
    pairs = [(a, b) for (a, box_a), (b, box_b) in itertools.combinations(boxes, 2) if box_a.overlaps(box_b)]
    page = figure.bbox
    outside = [
        (text, "page")
        for text, box in boxes
        if box.x0 < page.x0 or box.y0 < page.y0 or box.x1 > page.x1 or box.y1 > page.y1
    ]
    panels = [] if annotated else [ax.get_window_extent() for ax in figure.axes]
    over = [
        (text, "panel")
        for text, box in boxes
        if text != "not resolved" and any(box.overlaps(panel) for panel in panels)
    ]
    return pairs + outside + over


def _write(path, columns, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([columns.split(","), *rows])


def write_logdir(
    logdir,
    attacks=("yeom", "lira_online"),
    under=True,
    stand_in="",
    unresolved=False,
    num_classes=10,
    arch="cnn8-3-max",
):
    """A LOGDIR of 400 + 60 random images with invented, but consistent, results in its analysis."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.array([0, 1], np.uint8), (400, 60 if under else 0))
    count = len(groups)
    labels = np.arange(count) % num_classes
    images = rng.integers(0, 256, (count, 28, 28, 1), np.uint8)
    ids = np.array([f"{i:08x}" for i in range(count)])
    tests = images[:0], labels[:0], groups[:0]
    names = ("MNIST", "SVHN")
    dataset = Dataset("mnist_svhn", images, labels, groups, ids, *tests, num_classes, names, stand_in)
    Store.create(logdir, {"arch": "cnn8-3-max", "num_experiments": 20}, lambda: dataset)

    memorization = np.round(np.where(groups == 1, rng.uniform(0, 1, count), rng.uniform(-0.1, 0.2, count)), 1)
    scores = np.abs(memorization) + rng.exponential(0.1, count)
    cells = [[f"{m:.6g}", f"{s:.6g}"] for m, s in zip(memorization, scores, strict=True)]
    if unresolved:
        cells[3:8] = [["", ""]] * 5
    analysis = logdir / "analysis"
    analysis.mkdir()
    _write(
        analysis / "examples.csv",
        "index,example_id,label,group,n_in,n_out,memorization,memorization_se,privacy_score,ood_msp,ood_energy,lira_evidence,"
        "exposure,exposure_low,exposure_high,rank,models_needed",
        [
            (i, ids[i], labels[i], ("over", "under")[groups[i]], 10, 10, m, 0.1, s, 0.2, -3, "", "", "", "", i + 1, 300)
            for i, (m, s) in enumerate(cells)
        ],
    )
    populations = {"all": 4600, "under": 600} if under else {"all": 4000}
    curves, metrics = [], []
    for position, attack in enumerate(attacks):
        for population, nonmembers in populations.items():
            fpr = np.concatenate([[0], np.geomspace(1 / nonmembers, 1, 30)])
            tpr = fpr ** (0.9 - 0.05 * position)
            curves += [(attack, population, f, t) for f, t in zip(fpr, tpr, strict=True)]
            counts = (20, nonmembers, nonmembers)
            metrics.append((attack, population, "auroc", 0.5 + 0.04 * position, 0.48, 0.9, *counts, ""))
            if unresolved and population == "under":
                row = ("", "", "", *counts, "cannot be resolved with 600 non-members")
            else:
                row = (0.002 * (position + 1), 0, 0.1, *counts, "")
            metrics.append((attack, population, "tpr_at_fpr_0.001", *row))
            metrics.append((attack, population, "tpr_at_fpr_0.0001", "", "", "", *counts, "unresolved"))
            own = (0.01 * (position + 1), 0, 0.2, *counts, "own threshold per target")
            metrics.append((attack, population, "tpr_at_fpr_0.001_per_target", *own))
    _write(analysis / "curves.csv", "attack,population,fpr,tpr", curves)
    columns = "attack,population,metric,value,ci_low,ci_high,num_targets,num_members,num_nonmembers,note"
    _write(analysis / "attacks.csv", columns, metrics)
    pair = ("memorization", "privacy_score")
    correlations = [(*pair, "all", 0.84, 0, count), ("ood_msp", "privacy_score", "all", 0.1, 0.2, count)]
    correlations += [(*pair, "over", 0.2, 0.0123, 400)]
    correlations += [(*pair, "under", "", "", 60)] if under else []
    _write(analysis / "correlations.csv", ",".join(COLUMNS["correlations"]), [(*row, "") for row in correlations])
    for name in ("accuracy", "comparisons"):  # which no figure shows
        _write(analysis / f"{name}.csv", ",".join(COLUMNS[name]), [])
    about = {
        "name": dataset.name,
        "arch": arch,
        "group_titles": dict(zip(("over", "under"), names, strict=True)),
        "classes": None,
        "num_classes": num_classes,
        "stand_in": stand_in,
        "notes": [],
        **{"num_models": 20, "num_targets": 20, "seed": 0, "delta": None, "headline_fpr": 0.001},
        **{"recommended": "lira_online_fixed", "recommended_scores": True},
    }
    (analysis / "audit.json").write_text(json.dumps(about))
    return logdir
