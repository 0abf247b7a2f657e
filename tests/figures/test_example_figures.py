"""Histograms, scatter and image grid show the numbers and images they are given."""

import itertools

import matplotlib
import numpy as np
import pytest
from figure_helpers import layout_faults
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

import mia_tf
from mia_tf.figures import examples, style
from mia_tf.figures.memorization import draw_memorization, draw_memorization_histogram, histogram_edges
from mia_tf.figures.privacy_scores import draw_privacy_scores

NAMES = ("MNIST", "SVHN")


@pytest.fixture(autouse=True, scope="module")
def look():
    with matplotlib.rc_context(style.RC):
        yield


@pytest.fixture
def ax():
    return style.new_figure(5, 4).subplots()


def _legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def _histogram(ax, position=0):
    values, edges, _ = ax.patches[2 * position].get_data()  # of each group a face, then an outline
    return values, edges


# ---- histograms


def test_privacy_score_histogram_counts_each_group(ax):
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.exponential(0.1, 5000), rng.uniform(0, 2, 250)])
    groups = np.repeat([0, 1], (5000, 250))
    draw_privacy_scores(ax, scores, groups, NAMES)
    for group, total in ((0, 5000), (1, 250)):
        counts, edges = _histogram(ax, group)
        of_group = scores[groups == group]
        # The last bin holds its right edge, the largest score.
        oracle = [np.sum((of_group >= a) & (of_group < b)) for a, b in itertools.pairwise(edges)]
        oracle[-1] += np.sum(of_group == edges[-1])
        np.testing.assert_array_equal(counts, oracle)
        assert counts.sum() == total
    assert _legend(ax) == ["MNIST (5,000 examples)", "SVHN (250 examples)"]
    # A bar of one example is visible beside thousands.
    assert ax.get_yscale() == "log" and 0 < ax.get_ylim()[0] < 1


def test_histogram_says_how_many_are_unresolved_and_leaves_out_a_group_that_is_not_there(ax):
    scores = np.array([0.1, 0.2, np.nan, 0.4])
    draw_privacy_scores(ax, scores, np.zeros(4, int), NAMES)
    assert _legend(ax) == ["MNIST (3 examples, 1 not resolved)"]
    assert len(ax.patches) == 2 and _histogram(ax)[0].sum() == 3


@pytest.mark.parametrize("scores", [np.full(3, np.nan), np.zeros(3)])
def test_histogram_of_nothing_or_of_zeros(ax, scores):
    draw_privacy_scores(ax, scores, np.array([0, 0, 1]), NAMES)
    assert sum(_histogram(ax, i)[0].sum() for i in (0, 1)) == np.count_nonzero(np.isfinite(scores))
    assert layout_faults(ax.figure) == []


@given(st.integers(1, 1000))
def test_memorization_bins_hold_equally_many_possible_values(models):
    # Once 0.05-wide bins drew a comb from 32 models per side: one or two possible values in turn.
    possible = np.arange(-models, models + 1) / models
    figure = style.new_figure(5, 4)
    ax = figure.subplots()
    edges = histogram_edges(possible, models)
    draw_memorization_histogram(ax, possible, np.zeros(len(possible), int), NAMES, edges)
    counts, edges = _histogram(ax)
    assert counts.sum() == len(possible)
    assert len(set(counts[1:-1])) <= 1 and counts[[0, -1]].max() <= counts.max()
    # No possible value lies within rounding of an edge.
    assert np.abs(possible[:, None] - edges).min() > 0.49 / models
    assert np.diff(edges).max() <= max(0.05 + 1 / models, 1 / models + 1e-9)


# ---- memorization against privacy score


def test_scatter_draws_every_example_and_its_groups_correlation(ax):
    memorization = np.array([0.0, 0.1, 0.9, 1.0, np.nan])
    scores = np.array([0.2, 0.1, 1.5, 1.7, 0.3])
    groups = np.array([0, 0, 1, 1, 1])
    spearman = {0: (0.123, 0.0456), 1: (np.nan, np.nan), "all": (0.844, 1e-300)}
    draw_memorization(ax, memorization, scores, groups, NAMES, spearman)
    over, under = ax.collections
    np.testing.assert_array_equal(over.get_offsets(), [[0.0, 0.2], [0.1, 0.1]])
    np.testing.assert_array_equal(under.get_offsets()[:2], [[0.9, 1.5], [1.0, 1.7]])
    assert np.ma.getmaskarray(under.get_offsets())[2].any()
    assert to_hex(over.get_facecolor()[0]) != to_hex(under.get_facecolor()[0])
    assert _legend(ax) == [
        "MNIST (2 examples): Spearman's correlation 0.12 (p = 0.046)",
        "SVHN (2 examples, 1 not resolved): Spearman's correlation not resolved",
        "both groups: Spearman's correlation 0.84 (p < 0.001)",
    ]
    style.footnote(ax.figure, "a footnote")
    assert layout_faults(ax.figure) == []


def test_scatter_of_one_group_has_one_line_of_legend(ax):
    draw_memorization(ax, np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.zeros(2, int), NAMES, {0: (1, 0.5)})
    assert _legend(ax) == ["MNIST (2 examples): Spearman's correlation 1.00 (p = 0.500)"]


# ---- images


def _pool(num_classes=4, count=400, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.3, 1, count), rng.integers(0, num_classes, count)


def test_chosen_examples_are_near_their_level_and_of_their_class():
    memorization, labels = _pool()
    chosen = examples.choose_examples(memorization, labels, 4, np.random.default_rng(0))
    assert chosen.shape == (4, 3, 3) and (chosen >= 0).all()
    assert len(np.unique(chosen)) == chosen.size
    for label, level in np.ndindex(4, 3):
        rows = chosen[label, level]
        assert (labels[rows] == label).all()
        assert (np.abs(memorization[rows] - (0, 0.5, 1)[level]) <= 0.15).all()
        assert (np.diff(memorization[rows]) >= 0).all()


def test_the_same_seed_chooses_the_same_examples():
    memorization, labels = _pool()
    first, second, other = (
        examples.choose_examples(memorization, labels, 4, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_cells_without_an_example_stay_empty():
    memorization = np.array([0.0, 0.16, 0.34, 0.64, 0.5, np.nan, 0.84])
    chosen = examples.choose_examples(memorization, np.zeros(7, int), 2, np.random.default_rng(0))
    np.testing.assert_array_equal(chosen[0], [[0, -1, -1], [4, 3, -1], [-1, -1, -1]])
    assert (chosen[1] == -1).all()


def _grid(shape, num_classes=2):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (9 * num_classes, *shape), np.uint8)
    memorization = np.tile(np.array([-0.12, -0.001, 0.1, 0.4, 0.5, 0.6, 0.9, 0.95, 1.0]), num_classes)
    groups = np.tile([0, 0, 1], 3 * num_classes)
    chosen = np.arange(9 * num_classes).reshape(num_classes, 3, 3)
    chosen[0, 2, 1:] = -1
    figure = style.new_figure(*examples.figure_size(num_classes))
    ax = figure.subplots()
    examples.draw_examples(ax, chosen, images, memorization, groups, NAMES, range(num_classes))
    return figure, ax, chosen, images, memorization, groups


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (10, 20, 1)])
def test_images_lie_in_their_cells(shape):
    _, ax, chosen, images, _, groups = _grid(shape)
    rows = chosen[chosen >= 0]
    frames = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    centres = []
    for row, shown, frame in zip(rows, ax.images, frames, strict=True):
        expected = images[row] if shape[-1] == 3 else images[row, :, :, 0]
        np.testing.assert_array_equal(shown.get_array(), expected)
        left, right, bottom, top = shown.get_extent()
        assert bottom > top  # not upside down: y grows downwards in the axes
        # Rounding of four sums.
        np.testing.assert_allclose((right - left) / (bottom - top), shape[1] / shape[0], rtol=1e-9)
        np.testing.assert_allclose(frame.get_bbox().extents, [left, top, right, bottom], rtol=1e-9, atol=1e-9)
        assert to_hex(frame.get_edgecolor()) == style.GROUP_STYLES[groups[row]].colour.lower()
        centres.append(((left + right) / 2, (top + bottom) / 2))
    x, y = np.array(centres).T
    # One line a class; from left to right by level, with a wider space between levels.
    np.testing.assert_array_equal(np.argsort(np.lexsort((x, y))), np.arange(len(rows)))
    np.testing.assert_allclose(y[:7], y[0])
    np.testing.assert_allclose(y[7:], y[7])
    steps = np.diff(x[7:])
    assert min(steps[[2, 5]]) > max(steps[[0, 1, 3, 4, 6, 7]])
    assert ax.yaxis_inverted() and y[7] > y[0]


def test_each_image_has_its_number_and_each_empty_cell_a_dash():
    figure, ax, chosen, _, _, _ = _grid((28, 28, 1))
    texts = [text.get_text() for text in ax.texts]
    numbers = ["\N{MINUS SIGN}0.12", "0.00", "0.10", "0.40", "0.50", "0.60", "0.90"]
    dash = "\N{EN DASH}"
    assert texts[: chosen[0].size] == [*numbers, dash, dash]
    assert texts[-3:] == ["memorization near 0", "memorization near 0.5", "memorization near 1"]
    assert _legend(ax) == list(NAMES)
    style.footnote(figure, "a footnote\nof two lines")
    assert layout_faults(figure, annotated=True) == []


def test_numbers_do_not_cover_images():
    figure, ax, *_ = _grid((28, 28, 1))
    figure.draw_without_rendering()
    pictures = [image.get_window_extent() for image in ax.images]
    for text in ax.texts:
        assert not any(text.get_window_extent().padded(-0.5).overlaps(picture) for picture in pictures)


def test_many_classes_still_fit():
    figure, ax, *_ = _grid((8, 8, 1), num_classes=examples.MAX_CLASSES)
    assert layout_faults(figure, annotated=True) == []
    assert len(ax.images) == 9 * examples.MAX_CLASSES - 2


def test_class_names_of_digits_stay_names_in_a_saved_audit(tmp_path):
    """They became numbers: "007" was 7 once loaded, and of "3", "7" and "9" no example was drawn."""
    rng = np.random.default_rng(0)
    labels, members = rng.integers(0, 3, 60), rng.random((8, 60)).argsort(axis=0) < 4
    logits = rng.normal(size=(8, 60, 3)) + 2 * members[..., None] * np.eye(3)[labels]
    names = ["007", "9", "$x$" + "long" * 9]
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels, classes=names), attacks=["yeom"], fpr=(0.1,))
    digits = mia_tf.ShadowModels(logits, members, labels, classes=["007", "9", "200"])
    digits = mia_tf.audit(digits, attacks=["yeom"], fpr=(0.1,))
    loaded = mia_tf.load_audit(digits.save(tmp_path))
    assert loaded == digits and set(loaded.records["label"]) == {"007", "9", "200"}
    images = rng.integers(0, 256, (60, 4, 4, 1), np.uint8)
    drawn = [len(one.plot("examples", images=images).axes[0].images) for one in (audit, digits, loaded)]
    assert drawn[0] == drawn[1] == drawn[2] > 9
    ticks = [tick.get_text() for tick in audit.plot("examples", images=images).axes[0].get_yticklabels()]
    assert ticks == ["007", "9", "\\$x\\$longlonglong\N{HORIZONTAL ELLIPSIS}"]
    plain = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=["yeom"], fpr=(0.1,))
    assert mia_tf.load_audit(plain.save(tmp_path)).records["label"].tolist() == labels.tolist()


@pytest.mark.parametrize("name", ["privacy_score_ood", "memorization", "privacy_scores", "memorization_histogram"])
def test_of_many_groups_six_are_drawn_in_a_panel_that_keeps_its_height(name):
    """With eight groups the legend left no room for the panel, and two groups looked as two others."""
    rng = np.random.default_rng(0)
    labels, members = rng.integers(0, 3, 160), rng.random((8, 160)).argsort(axis=0) < 4
    logits = rng.normal(size=(8, 160, 3)) + 2 * members[..., None] * np.eye(3)[labels]
    groups = np.array([f"group {k}" for k in range(8)])[np.arange(160) % 8]
    shadows = mia_tf.ShadowModels(logits, members, labels, groups=groups)
    figure = mia_tf.audit(shadows, attacks=["yeom"], fpr=(0.1,)).plot(name)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    assert ax.get_window_extent().height > 0.28 * figure.bbox.height
    named = " ".join(text.get_text() for text in ax.get_legend().get_texts())
    assert "group 5" in named and "group 6" not in named
    assert "Not drawn, but in the tables: group 6, group 7." in " ".join(figure.get_supxlabel().split())
