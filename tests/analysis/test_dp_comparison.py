"""LOGDIRs with and without differential privacy: which are comparable, and the tables of comparable runs."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
from dp_helpers import GUARANTEE, MODELS, make_keep, make_pool, write_run
from refusals import refuses

from mia_tf.analysis.dp_comparison import COLUMNS, _default_labels, compare
from mia_tf.analysis.dp_runs import read_runs, upper_bounds
from mia_tf.analysis.result import load_audit
from mia_tf.analysis.study import audit
from mia_tf.figures import dp_pages
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.shadow.signals import correct

ATTACKS = ["yeom", "lira_online_fixed"]


@pytest.fixture(scope="module")
def logdirs(tmp_path_factory):
    """A LOGDIR of all models without DP, and one with DP of some."""
    folder = tmp_path_factory.mktemp("runs")
    dataset = make_pool()
    keep = make_keep(dataset)
    write_run(folder / "plain", dataset, keep, gain=3.0)
    write_run(folder / "dp", dataset, keep, gain=0.0, indices=range(2, MODELS), **GUARANTEE)
    return folder / "plain", folder / "dp"


@pytest.fixture(scope="module")
def comparison(logdirs):
    return compare(*logdirs, labels=["plain", "dp"], attacks=ATTACKS)


def test_the_models_common_to_all_are_compared(logdirs):
    plain, dp = read_runs(logdirs[0], [logdirs[1]])
    assert [model.index for model in plain.models] == [model.index for model in dp.models] == list(range(2, MODELS))
    bounds = [upper_bounds(run.models[0].hparams()) for run in (plain, dp)]
    assert np.isnan(list(bounds[0].values())).all() and bounds[1] == {"rdp": 3.188, "pld": 2.934}


def test_an_epsilon_that_is_no_bound_is_infinite(logdirs, tmp_path):
    dataset = make_pool()
    unbounded = {**GUARANTEE, "noise_multiplier": 0.0, "epsilon_rdp": None, "epsilon_pld": None}
    write_run(tmp_path / "dp", dataset, make_keep(dataset), gain=1.0, **unbounded)
    comparison = compare(logdirs[0], tmp_path / "dp", attacks=["yeom"])
    assert comparison.runs["epsilon_rdp"].isna().all()
    with_dp = comparison.epsilon[comparison.epsilon["run"] == "DP, lr 0.1"]
    assert (with_dp[["epsilon_rdp", "epsilon_pld"]] == np.inf).all(axis=None)
    assert any("epsilon infinite by RDP and infinite by PLD" in promise for promise in dp_pages._promises(comparison))


def changed_pool(what):
    dataset = make_pool()
    if what == "labels":
        return dataclasses.replace(dataset, labels=(dataset.labels + 1) % dataset.num_classes)
    if what == "groups":
        return dataclasses.replace(dataset, groups=dataset.groups[::-1].copy())
    if what == "example_ids":
        return dataclasses.replace(dataset, example_ids=dataset.example_ids[::-1].copy())
    return make_pool()


@pytest.mark.parametrize("what", ["labels", "groups", "example_ids"])
def test_other_examples_are_refused(logdirs, tmp_path, what):
    dataset = changed_pool(what)
    write_run(tmp_path / "dp", dataset, make_keep(dataset), gain=0.0, **GUARANTEE)
    with refuses("dp", advice=f"their {what} differ"):
        read_runs(logdirs[0], [logdirs[1], tmp_path / "dp"])


def test_a_pool_of_another_size_is_refused(logdirs, tmp_path):
    dataset = make_pool()
    arrays = ("images", "labels", "groups", "example_ids")
    smaller = dataclasses.replace(dataset, **{name: getattr(dataset, name)[:-1] for name in arrays})
    write_run(tmp_path / "dp", smaller, make_keep(smaller), gain=0.0, **GUARANTEE)
    with refuses("dp", tmp_path / "dp", "their example_ids differ"):
        read_runs(logdirs[0], [tmp_path / "dp"])


def test_other_subsets_are_refused(logdirs, tmp_path):
    dataset = make_pool()
    keep = make_keep(dataset)
    keep[5, 17] ^= True  # one example of one model
    write_run(tmp_path / "dp", dataset, keep, gain=0.0, **GUARANTEE)
    with refuses("dp", tmp_path / "dp", "those of model 5 differ"):
        read_runs(logdirs[0], [tmp_path / "dp"])


def test_runs_without_a_common_model_are_refused(logdirs, tmp_path):
    dataset = make_pool()
    write_run(tmp_path / "dp", dataset, make_keep(dataset), gain=0.0, indices=[0, 1], **GUARANTEE)
    with refuses("dp", advice="must have models that"):
        read_runs(logdirs[0], [logdirs[1], tmp_path / "dp"])


def test_runs_on_the_wrong_side_are_refused(logdirs):
    with refuses("plain", logdirs[1]):
        read_runs(logdirs[1], [logdirs[1]])
    with refuses("dp", logdirs[0]):
        read_runs(logdirs[0], [logdirs[0]])


def test_guarantees_of_two_deltas_or_within_a_run_are_refused(logdirs, tmp_path):
    dataset = make_pool()
    write_run(tmp_path / "dp", dataset, make_keep(dataset), gain=0.0, **{**GUARANTEE, "delta": 1e-6})
    with refuses("dp", tmp_path / "dp", "delta=1e-05"):
        read_runs(logdirs[0], [logdirs[1], tmp_path / "dp"])
    keep = make_keep(dataset)
    write_run(tmp_path / "mixed", dataset, keep, gain=0.0, indices=range(6), **GUARANTEE)
    write_run(tmp_path / "mixed", dataset, keep, gain=0.0, indices=range(6, MODELS), **{**GUARANTEE, "steps": 10})
    with refuses("dp", tmp_path / "mixed", "steps of model 6 differs"):
        read_runs(logdirs[0], [tmp_path / "mixed"])


def test_dp_names_each_logdir_once(logdirs):
    for dp in ([], [logdirs[1], logdirs[1].parent / "plain" / ".." / "dp"]):
        with refuses("dp"):
            read_runs(logdirs[0], dp)
    with refuses("dp", logdirs[1].parent / "none"):
        read_runs(logdirs[0], [logdirs[1].parent / "none"])


def test_a_list_of_logdirs_is_named_as_the_argument_that_it_is(logdirs):
    """Errors once named `dp`, which the caller had not given."""
    plain, dp = logdirs
    for later, advice in (([dp, dp], "each once"), ([plain], "must have been trained with"), ([dp / "none"], "")):
        with refuses("plain", advice=advice):
            compare([plain, *later])
    with refuses("dp", dp / "none"):
        compare([plain], dp / "none")


@pytest.mark.parametrize("labels", [["dp"], ["plain", "dp", "dp2"], ["dp", "dp"]])
def test_labels_that_do_not_fit_are_refused(logdirs, labels):
    with refuses("labels"):
        compare(*logdirs, labels=labels)


def test_runs_are_called_by_rate_or_by_folder_by_default(logdirs, tmp_path):
    dataset = make_pool()
    other = write_run(tmp_path / "other", dataset, make_keep(dataset), gain=0.5, **GUARANTEE)
    same_rate = compare([*logdirs, other], attacks=["yeom"])
    assert list(same_rate.audits) == ["without DP", f"DP, {logdirs[1]}", f"DP, {other}"]
    assert list(compare(logdirs[0], str(other), attacks=["yeom"]).hparams) == ["without DP", "DP, lr 0.1"]
    weak = {**GUARANTEE, "lr": 0.1, "accountant": "pld", "epsilon_pld": 100.0}
    names = _default_labels(logdirs, [{**GUARANTEE, "lr": 0.1}, weak])
    assert names == ["without DP", "DP, epsilon 3.19", "DP, epsilon 100"]
    with refuses("plain", advice="must name a LOGDIR"):
        compare([])


def test_tables_hold_each_runs_own_audit(comparison, logdirs):
    for label, logdir, models in zip(("plain", "dp"), logdirs, (range(2, MODELS), range(MODELS - 2)), strict=True):
        alone = audit(ShadowModels.open(logdir).subset(models), attacks=ATTACKS, delta=1e-5)
        assert comparison.audits[label] == alone
        for name in ("attacks", "accuracy", "epsilon"):
            table = comparison.tables[name]
            own = table[table["run"] == label].reset_index(drop=True)
            pd.testing.assert_frame_equal(own[alone.tables[name].columns], alone.tables[name])
    assert {name: tuple(table) for name, table in comparison.tables.items()} == COLUMNS
    upper = comparison.epsilon.groupby("run")[["epsilon_rdp", "epsilon_pld"]].agg(set)
    assert upper.loc["dp"].tolist() == [{3.188}, {2.934}]
    assert comparison.epsilon.loc[comparison.epsilon["run"] == "plain", "epsilon_rdp"].isna().all()
    plain, dp = comparison.runs.to_dict("records")
    assert (plain["num_models"], dp["num_models"], dp["steps"], dp["note"]) == (MODELS - 2, MODELS - 2, 16679, "")
    assert pd.isna(plain["steps"]) and plain["lr"] == dp["lr"] == 0.1


def test_memorization_goes_with_the_members_advantage(comparison, logdirs):
    by_key = {(row["run"], row["group"]): row for row in comparison.memorization.to_dict("records")}
    assert set(by_key) == {(run, group) for run in ("plain", "dp") for group in ("all", "over", "under")}
    run = read_runs(logdirs[0], [logdirs[1]])[0]
    right = np.column_stack([correct(run.read_logits(k)[:, 0], run.labels) for k in range(len(run))])
    np.testing.assert_array_equal(comparison.audits["plain"].correct(), right)
    under = run.groups == "under"
    expected = [r[k].mean() - r[~k].mean() for r, k in zip(right[under], run.members.T[under], strict=True)]
    assert by_key["plain", "under"]["mean"] == pytest.approx(np.mean(expected), abs=1e-6)
    # Members of models without DP are surer by 3 logits, those of models with DP by nothing.
    for group in ("all", "over", "under"):
        plain, dp = by_key["plain", group], by_key["dp", group]
        assert plain["ci_low"] > 0 and np.isnan(plain["minus_plain"])
        assert dp["ci_low"] < 0 < dp["ci_high"] and dp["minus_plain_high"] < 0
        assert dp["minus_plain"] == pytest.approx(dp["mean"] - plain["mean"])
        assert "known to about" in plain["note"]


def test_correctness_is_of_audits_that_were_not_loaded(comparison, tmp_path):
    folder = comparison.audits["dp"].save(tmp_path / "audit")
    with refuses("shadows", None, "not loaded from files"):
        load_audit(folder).correct()
    with refuses("folder", folder):
        comparison.save(folder)
    assert load_audit(folder) == comparison.audits["dp"]


def test_a_saved_comparison_is_its_tables(comparison, tmp_path):
    assert comparison.save(tmp_path / "new" / "folder") == tmp_path / "new" / "folder"
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {f"{name}.csv" for name in COLUMNS}
    saved = pd.read_csv(tmp_path / "new" / "folder" / "memorization.csv")
    pd.testing.assert_frame_equal(saved.drop(columns="note"), comparison.memorization.drop(columns="note"))
    (tmp_path / "file").touch()
    with refuses("folder", tmp_path / "file"):
        comparison.save(tmp_path / "file")


def test_every_figure_is_drawn(comparison):
    figures = comparison.pages()
    assert list(figures) == ["memorization", "accuracy", "attacks", "epsilon"]
    assert [ax.get_title() for ax in figures["memorization"].axes] == ["plain", "dp"]
    assert "10 models of the same subsets in each run, 240 examples" in figures["epsilon"].get_supxlabel()
    promise = "dp: epsilon 3.19 by RDP and 2.93 by PLD at delta 1e-05, noise 1.3, clip 1."
    assert all(promise in page.get_supxlabel().replace("\n", " ") for page in figures.values())


def test_the_histograms_draw_as_many_groups_as_looks_tell_apart(comparison):
    """Of eight groups the last two once had the look of the first two."""

    def of_eight_groups(audit):
        changed = copy.copy(audit)
        groups = [f"g{row % 8}" for row in range(len(audit.records))]
        changed.records = audit.records.assign(group=groups)
        changed.about = {**audit.about, "group_titles": {name: name for name in groups}}
        return changed

    audits = {label: of_eight_groups(audit) for label, audit in comparison.audits.items()}
    _, figure = next(dp_pages.pages(dataclasses.replace(comparison, audits=audits)))
    looks = [{(patch.get_edgecolor(), patch.get_hatch()) for patch in ax.patches[1::2]} for ax in figure.axes]
    assert [len(ax.patches) // 2 for ax in figure.axes] == list(map(len, looks)) == [6, 6]
    assert "Not drawn, but in the tables: g6, g7." in figure.get_supxlabel()


def test_a_frontier_has_a_point_for_each_of_any_number_of_runs(comparison, logdirs):
    figure = comparison.frontier()
    assert [ax.get_title() for ax in figure.axes[:2]] == ["over-represented", "under-represented"]
    assert len(figure.axes) == 4
    assert {text.get_text() for text in figure.axes[0].texts} == {"no DP", r"$\epsilon = 3.19$"}
    assert "LiRA online, fixed variance" in figure.get_supxlabel() and "by RDP" in figure.get_supxlabel()
    assert "Yeom" in comparison.frontier("yeom").get_supxlabel()
    with refuses("attack", "rmia"):
        comparison.frontier("rmia")
    many = dict.fromkeys(map(str, range(6)), comparison.audits["dp"])
    hparams = {name: {**GUARANTEE, "epsilon_rdp": 10.0**power} for power, name in enumerate(many)}
    more = dataclasses.replace(
        comparison,
        audits={"plain": comparison.plain, **many},
        hparams={"plain": comparison.hparams["plain"], **hparams},
    )
    assert len(more.frontier().axes[0].texts) == 7


def test_a_lower_bound_above_the_accountants_is_named(comparison):
    lines = str(comparison).splitlines()
    assert any(line.startswith("The accountant: epsilon at most 3.188 by RDP, 2.934 by PLD; every") for line in lines)
    false = {**comparison.hparams["dp"], "epsilon_rdp": 0.02, "epsilon_pld": 0.01, "note": "So."}
    swapped = dataclasses.replace(
        comparison,
        hparams={**comparison.hparams, "dp": false},
        audits=dict.fromkeys(comparison.audits, comparison.audits["plain"]),
    )
    (verdict,) = (line for line in str(swapped).splitlines() if line.startswith("The accountant"))
    assert "ABOVE it: yeom (all)" in verdict and verdict.endswith("So.")
