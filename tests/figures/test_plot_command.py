"""`python -m mia_tf.plot` on a LOGDIR with an invented analysis."""

import csv
import resource
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from figure_helpers import NINE_ATTACKS, STAND_IN, drawn_texts, layout_faults, write_logdir
from PIL import Image
from refusals import refuses

import mia_tf
from mia_tf.analysis.result import load_audit
from mia_tf.figures import style
from mia_tf.figures.pages import main_variants, pages
from mia_tf.plot import plot_logdir
from mia_tf.store import Store

FIGURES = (
    "roc",
    "attacks",
    "privacy_scores",
    "memorization",
    "memorization_histogram",
    "privacy_score_ood",
    "memorization_ood",
    "examples",
)


def _pages(logdir, names=None):
    with matplotlib.rc_context(style.RC):
        yield from pages(load_audit(logdir / "analysis"), Store.open(logdir).dataset().images, names)


def _page(logdir, name):
    ((_, figure),) = _pages(logdir, [name])
    return figure


def _edit(path, change):
    """Rewrites a CSV by change(row of cells) -> row."""
    with open(path, newline="") as file:
        rows = [change(row) for row in csv.reader(file)]
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)


def _edit_lines(path, kept):
    path.write_text("".join(path.read_text().splitlines(True)[kept]))


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    """With everything: nine attacks, unresolved values, stand-in data."""
    folder = tmp_path_factory.mktemp("full")
    return write_logdir(folder, (*NINE_ATTACKS, "a_further_attack"), stand_in=STAND_IN, unresolved=True)


@pytest.fixture
def small(tmp_path):
    return write_logdir(tmp_path)


@pytest.fixture(scope="module")
def command(logdir):
    """The finished process, run once."""
    code = (
        "import runpy, sys; unwanted = {'tensorflow', 'keras', 'matplotlib.pyplot'}\n"
        "try: runpy.run_module('mia_tf.plot', run_name='__main__', alter_sys=True)\n"
        "finally: print(*unwanted & set(sys.modules), file=sys.stderr)"
    )
    arguments = [sys.executable, "-c", code, f"--logdir={logdir}"]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def test_command_writes_and_names_every_figure_and_nothing_else(command, logdir):
    assert command.returncode == 0, command.stderr
    expected = [str(logdir / "analysis" / "figures" / f"{name}.{kind}") for name in FIGURES for kind in ("png", "pdf")]
    assert command.stdout.splitlines() == expected
    assert sorted(map(str, (logdir / "analysis" / "figures").iterdir())) == sorted(expected)


def test_command_loads_no_tensorflow_and_says_nothing_but_paths(command):
    # The only line is that of the modules looked for, and it is empty.
    assert command.stderr == "\n"


def test_pngs_are_150_dpi(command, logdir):
    for name in FIGURES:
        with Image.open(logdir / "analysis" / "figures" / f"{name}.png") as image:
            # PNG stores dots per metre, as a whole number.
            np.testing.assert_allclose(image.info["dpi"], 150, atol=0.02)


def test_pdf_fonts_are_type_42(command, logdir):
    for name in FIGURES:
        content = (logdir / "analysis" / "figures" / f"{name}.pdf").read_bytes()
        # Type 42 is TrueType data (FontFile2) under a CID font; matplotlib's default would be Type 3.
        assert b"/FontFile2" in content and b"/Type3" not in content


def _flat(figure):
    return " ".join(" ".join(text.split()) for text, _ in drawn_texts(figure))


def test_every_figure_carries_scale_and_stand_in(logdir):
    seen = []
    for name, figure in _pages(logdir):
        written = _flat(figure)
        assert STAND_IN in written, name
        assert "mnist_svhn: 20 cnn8-3-max models, 400 MNIST + 60 SVHN examples." in written, name
        seen.append(name)
    assert tuple(seen) == FIGURES


def test_real_data_have_no_stand_in_and_an_unknown_architecture_no_name(tmp_path):
    written = _flat(_page(write_logdir(tmp_path, arch=""), "roc"))
    assert "mnist_svhn: 20 models, 400 MNIST + 60 SVHN examples." in written and "Stand-in" not in written


@pytest.mark.parametrize("variant", ["full", "one group", "one attack"])
def test_no_text_meets_another_or_hides_data(variant, logdir, tmp_path):
    options = {
        "one group": {"under": False, "stand_in": STAND_IN},
        "one attack": {"attacks": ["a_user_s_own_attack_with_a_long_name"], "unresolved": True},
    }
    where = logdir if variant == "full" else write_logdir(tmp_path, **options[variant])
    for name, figure in _pages(where):
        assert layout_faults(figure, annotated=name == "examples") == [], name
        sizes = [text.get_fontsize() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
        assert min(sizes) >= 8, name


def test_populations_of_an_attack_do_not_cover_each_other(small):
    figure = _page(small, "attacks")
    figure.draw_without_rendering()
    for ax in figure.axes:
        everything, under = (ax.transData.transform(line.get_xydata())[:, 1] for line in ax.get_lines()[:2])
        # In points: markers are 5 high, the words "not resolved" 8.
        assert np.min((everything - under) * 72 / figure.dpi) >= 9


def test_a_long_footnote_takes_nothing_from_the_panels():
    heights = []
    for lines in (1, 5):
        figure = style.new_figure(4, 3)
        ax = figure.subplots()
        style.footnote(figure, "\n".join(["one line"] * lines))
        figure.draw_without_rendering()
        heights.append(ax.get_window_extent().height)
    # The room for a line is rounded to a hundredth of an inch, a pixel at 100 dpi.
    np.testing.assert_allclose(heights[1], heights[0], atol=5)


def test_a_logdir_of_one_group_has_one_roc_panel(tmp_path):
    figures = dict(_pages(write_logdir(tmp_path, under=False)))
    assert [ax.get_title() for ax in figures["roc"].axes] == ["All examples"]
    assert "SVHN" not in _flat(figures["memorization"])


def test_an_attack_that_could_not_be_scored_is_still_named(small):
    _edit(small / "analysis" / "attacks.csv", lambda row: row[:3] + [""] * 3 + row[6:] if row[0] == "yeom" else row)
    path = small / "analysis" / "curves.csv"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("yeom")))
    legend = _page(small, "roc").axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        "unresolved  Yeom",
        "0.540  LiRA online",
        "random guess",
    ]


def test_roc_has_one_curve_per_attack_and_roc_all_one_per_variant(logdir):
    audit = load_audit(logdir / "analysis")
    run = sorted(audit.attacks["attack"].unique())
    legends = {}
    for name in ("roc", "roc_all"):
        legend = audit.plot(name).axes[0].get_legend()
        legends[name] = [text.get_text().split("  ")[-1] for text in legend.get_texts()][:-1]
    assert len(legends["roc_all"]) == len(run) == 10
    lira = "LiRA online, fixed variance"  # the recommended one
    assert legends["roc"] == ["Yeom", "Shokri", "Song", "Sablayrolles", lira, "RMIA", "a further attack"]
    assert "figure roc_all" in _flat(audit.plot("roc")) and "figure roc_all" not in _flat(audit.plot("roc_all"))


@pytest.mark.parametrize(
    "names, recommended, shown",
    [
        (["lira_online", "lira_online_fixed", "lira_offline"], "lira_online_fixed", ["lira_online_fixed"]),
        (["lira_offline", "lira_offline_fixed"], "lira_online_fixed", ["lira_offline_fixed"]),
        (["rmia_offline", "song_entropy"], "lira_online", ["song_entropy", "rmia_offline"]),
        (["my_first", "my_second"], "lira_online", ["my_first", "my_second"]),
    ],
)
def test_the_recommended_variant_of_an_attack_stands_for_it(names, recommended, shown):
    assert main_variants(names, recommended) == shown


@pytest.fixture
def few_figures(monkeypatch):
    """The ROC, and one that a LOGDIR without a sweep does not have: each takes as long as many other tests."""
    monkeypatch.setattr("mia_tf.figures.pages.NAMES", ("roc", "sweep"))


def test_plots_of_all_variants_are_drawn_on_request_and_removed_without(small, few_figures):
    folder = small / "analysis" / "figures"
    assert folder / "roc_all.png" in list(plot_logdir(small, all_attacks=True))
    assert folder / "roc_all.png" not in list(plot_logdir(small)) and not (folder / "roc_all.png").exists()


def test_without_an_attack_that_could_be_scored_there_is_no_roc_page(small):
    """curves.csv then has no rows, and the command once asked for another analysis, which would give none either."""
    _edit(small / "analysis" / "attacks.csv", lambda row: row if row[0] == "attack" else row[:3] + [""] * 3 + row[6:])
    _edit_lines(small / "analysis" / "curves.csv", slice(1))
    assert tuple(name for name, _ in _pages(small)) == FIGURES[1:]
    _edit_lines(small / "analysis" / "curves.csv", slice(0))
    with refuses("folder", small / "analysis" / "curves.csv"):
        load_audit(small / "analysis")


def test_figures_that_are_no_longer_drawn_are_removed_and_nothing_else(small, few_figures):
    """A sweep of an earlier analysis once stayed beside the figures of the next."""
    folder = small / "analysis" / "figures"
    folder.mkdir()
    for name in ("sweep.png", "sweep.pdf", "mine.png", "sweep.txt"):
        (folder / name).write_bytes(b"")
    paths = list(plot_logdir(small))
    assert {path.name for path in folder.iterdir()} == {path.name for path in paths} | {"mine.png", "sweep.txt"}
    assert {path.stem for path in paths} == {"roc"}


def test_roc_panels_start_at_their_own_resolution(small):
    everything, under = _page(small, "roc").axes
    np.testing.assert_allclose(everything.get_xlim()[0], 1 / 4600)
    np.testing.assert_allclose(under.get_xlim()[0], 1 / 600)


def test_examples_are_looked_up_by_their_index(small):
    # Rows of examples.csv in another order than the images.
    path = small / "analysis" / "examples.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *lines[::-1]]) + "\n")
    dataset = Store.open(small).dataset()
    memorization = {int(row["index"]): float(row["memorization"]) for row in csv.DictReader([header, *lines])}
    (ax,) = _page(small, "examples").axes
    known = {dataset.images[i, :, :, 0].tobytes(): i for i in range(len(dataset.images))}
    numbers = [text.get_text() for text in ax.texts if text.get_text() != "\N{EN DASH}"]
    assert len(ax.images) > 50
    for shown, number in zip(ax.images, numbers, strict=False):
        row = known[np.asarray(shown.get_array(), np.uint8).tobytes()]
        assert float(number.replace("\N{MINUS SIGN}", "-")) == memorization[row]
        # The row of the grid is the class.
        assert round(np.mean(shown.get_extent()[2:]) / 1.3) == dataset.labels[row]


def test_pictures_of_another_layout_and_range_are_drawn_alike(small, tmp_path, monkeypatch):
    """In a LOGDIR that others made, channels came first: three rows of pixels were drawn of each picture."""
    monkeypatch.setattr("mia_tf.figures.pages.NAMES", ("examples",))
    monkeypatch.setattr(style, "_KINDS", {"png": {"dpi": 150}})
    png = small / "analysis" / "figures" / "examples.png"
    list(plot_logdir(small))
    expected = np.asarray(Image.open(png))
    for name in ("config.json", "dataset.json"):
        (small / name).unlink()
    images = np.load(small / "x_train.npy")
    np.save(small / "x_train.npy", images.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    list(plot_logdir(small))
    np.testing.assert_array_equal(np.asarray(Image.open(png)), expected)


def test_classes_beyond_the_page_are_said_to_be_left_out(tmp_path):
    figure = _page(write_logdir(tmp_path, num_classes=23), "examples")
    assert "The first 20 of 23 classes." in _flat(figure)


def test_correlations_of_other_scores_are_not_shown(small):
    written = _flat(_page(small, "memorization"))
    assert "both groups: Spearman's correlation 0.84 (p < 0.001)" in written
    assert "0.20 (p = 0.012)" in written and "SVHN (60 examples): Spearman's correlation not resolved" in written


# ---- bad input


@pytest.mark.parametrize("name", ["attacks.csv", "curves.csv", "examples.csv", "correlations.csv", "audit.json"])
def test_a_missing_csv_is_named_with_the_command_that_makes_it(small, name):
    (small / "analysis" / name).unlink()
    path = small / "analysis" / name
    with refuses("logdir", path, f"{path}; make it with `python -m mia_tf.analyze --logdir={small}`"):
        list(plot_logdir(small))
    assert not (small / "analysis" / "figures").exists()


def test_command_says_what_is_missing_in_one_line_and_exits_with_2(small):
    (small / "analysis" / "curves.csv").unlink()
    arguments = [sys.executable, "-m", "mia_tf.plot", f"--logdir={small}"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"mia_tf.plot: Missing file: {small}") and done.stderr.count("\n") == 1


def test_command_without_a_logdir_exits_with_2():
    done = subprocess.run([sys.executable, "-m", "mia_tf.plot"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "mia_tf.plot: Argument `logdir` must be given, such as --logdir=FOLDER\n",
    )


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("curves", lambda row: row[:3], "No column tpr"),
        ("examples", lambda row: [c if c != "400" else "forty" for c in row], "must hold numbers"),
        ("examples", lambda row: [c.replace("group", "kind") for c in row], "No column group"),
        ("examples", lambda row: ["9999" if row[0] == "7" else row[0], *row[1:]], "of another data set"),
        ("examples", lambda row: [*row[:3], "none" if row[3] == "under" else row[3], *row[4:]], "Unknown group 'none'"),
        ("examples", lambda row: [*row[:4], "" if row[0] == "7" else row[4], *row[5:]], "must hold whole numbers"),
        ("examples", lambda row: row if row[0] == "index" else [], "No rows"),
    ],
)
def test_a_broken_csv_is_one_line(small, name, change, message):
    _edit(small / "analysis" / f"{name}.csv", change)
    with refuses("logdir", advice=message):
        list(plot_logdir(small))


def test_a_truncated_row_is_said(small):
    path = small / "analysis" / "examples.csv"
    path.write_text(path.read_text()[:-20])
    with refuses("logdir", advice="as many cells"):
        list(plot_logdir(small))


def test_a_table_that_lacks_rows_is_said(tmp_path):
    """Of a copy that broke off between two rows, figures were once drawn of what was left, or with a traceback."""
    rng = np.random.default_rng(0)
    members, labels = rng.random((8, 40)) < 0.5, rng.integers(0, 2, 40)
    shadows = mia_tf.ShadowModels(rng.normal(size=(8, 40, 2)), members, labels)
    folder = mia_tf.audit(shadows, attacks=["yeom"], num_shadow=()).save(tmp_path)
    assert len(load_audit(folder).attacks) > 2
    path = folder / "attacks.csv"
    header, *rows = path.read_text().splitlines(keepends=True)
    for left in (rows[:-1], [*rows, *rows]):
        path.write_text("".join([header, *left]))
        with refuses("folder", advice=f"{len(left)} rows of "):
            load_audit(folder)


def test_a_full_disk_is_an_error_that_says_so(tmp_path, monkeypatch):
    """A limit on the size of files stands for the disk. Matplotlib's PDF once ended with an AttributeError."""
    figure = style.new_figure(2, 2)
    figure.subplots().plot([0, 1], label="a line")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(style, "_KINDS", {"pdf": {}})
    (path,) = style.save(figure, tmp_path, "a")
    for size in range(0, path.stat().st_size, 500):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                list(style.save(figure, tmp_path, "a"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert list(tmp_path.iterdir()) == [path]


def test_help_waits_for_no_matplotlib():
    code = "import sys, mia_tf.plot; sys.exit(any(m in sys.modules for m in ('matplotlib', 'tensorflow', 'scipy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    done = subprocess.run([sys.executable, "-m", "mia_tf.plot", "--help"], capture_output=True, text=True, check=False)
    assert "--logdir" in done.stdout


def test_a_failed_write_leaves_the_old_figure_whole(small, monkeypatch):
    folder = small / "analysis" / "figures"
    folder.mkdir()
    (folder / "roc.png").write_bytes(b"an older figure")

    def full_disk(self, content):
        with open(self, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full_disk)
    with refuses("logdir", advice="No space left"):
        list(plot_logdir(small))
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("roc.png", b"an older figure")]
