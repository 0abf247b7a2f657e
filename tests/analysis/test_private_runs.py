"""LOGDIRs with and without differential privacy: which are comparable, and the tables of those that are."""

import dataclasses

import numpy as np
import pytest
from private_helpers import GUARANTEE, MODELS, make_keep, make_pool, write_run

from mia_tf.analysis import private_tables, tables
from mia_tf.analysis.private_runs import read_runs
from mia_tf.analysis.study import study
from mia_tf.shadow.signals import correct
from mia_tf.validation import InputError

EDGES = np.array([-1.05, -0.5, 0.5, 1.05])


def quiet(doing, steps, total):
    return steps


@pytest.fixture(scope="module")
def logdirs(tmp_path_factory):
    """A plain LOGDIR of all models, and a private one of some."""
    folder = tmp_path_factory.mktemp("runs")
    dataset = make_pool()
    keep = make_keep(dataset)
    write_run(folder / "plain", dataset, keep, gain=3.0)
    write_run(folder / "dp", dataset, keep, gain=0.0, indices=range(2, MODELS), **GUARANTEE)
    return folder / "plain", folder / "dp"


@pytest.fixture(scope="module")
def comparison(logdirs, tmp_path_factory):
    runs = dict(zip(("plain", "dp"), read_runs(logdirs[0], [logdirs[1]]), strict=True))
    attacks = ["yeom", "lira_online_fixed"]
    return private_tables.measure(runs, attacks, 0, tmp_path_factory.mktemp("scratch"), quiet)


def test_the_models_common_to_all_are_compared(logdirs):
    plain, dp = read_runs(logdirs[0], [logdirs[1]])
    assert [model.index for model in plain.models] == [model.index for model in dp.models] == list(range(2, MODELS))
    assert (plain.private, dp.private) == (False, True)
    assert np.isnan(plain.epsilon("rdp")) and (dp.epsilon("rdp"), dp.epsilon("pld")) == (3.188, 2.934)


def test_an_epsilon_that_is_no_bound_is_infinite(logdirs, tmp_path):
    dataset = make_pool()
    unbounded = {**GUARANTEE, "noise_multiplier": 0.0, "epsilon_rdp": None, "epsilon_pld": None}
    write_run(tmp_path / "dp", dataset, make_keep(dataset), gain=1.0, **unbounded)
    _, dp = read_runs(logdirs[0], [tmp_path / "dp"])
    assert dp.epsilon("rdp") == dp.epsilon("pld") == np.inf


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
    with pytest.raises(InputError, match=f"`dp` must hold the examples of --plain=.*their {what} differ"):
        read_runs(logdirs[0], [logdirs[1], tmp_path / "dp"])


def test_a_pool_of_another_size_is_refused(logdirs, tmp_path):
    dataset = make_pool()
    arrays = ("images", "labels", "groups", "example_ids")
    smaller = dataclasses.replace(dataset, **{name: getattr(dataset, name)[:-1] for name in arrays})
    write_run(tmp_path / "dp", smaller, make_keep(smaller), gain=0.0, **GUARANTEE)
    with pytest.raises(InputError, match="their example_ids differ"):
        read_runs(logdirs[0], [tmp_path / "dp"])


def test_other_subsets_are_refused(logdirs, tmp_path):
    dataset = make_pool()
    keep = make_keep(dataset)
    keep[5, 17] ^= True  # one example of one model
    write_run(tmp_path / "dp", dataset, keep, gain=0.0, **GUARANTEE)
    with pytest.raises(InputError, match=r"`dp` must have the subsets of --plain=.*those of model 5 differ"):
        read_runs(logdirs[0], [tmp_path / "dp"])


def test_runs_without_a_common_model_are_refused(logdirs, tmp_path):
    dataset = make_pool()
    write_run(tmp_path / "dp", dataset, make_keep(dataset), gain=0.0, indices=[0, 1], **GUARANTEE)
    with pytest.raises(InputError, match="`dp` must have models that"):
        read_runs(logdirs[0], [logdirs[1], tmp_path / "dp"])


def test_runs_on_the_wrong_side_are_refused(logdirs):
    with pytest.raises(InputError, match="`plain` must have been trained without"):
        read_runs(logdirs[1], [logdirs[1]])
    with pytest.raises(InputError, match="`dp` must have been trained with"):
        read_runs(logdirs[0], [logdirs[0]])


def test_guarantees_of_two_deltas_or_within_a_run_are_refused(logdirs, tmp_path):
    dataset = make_pool()
    write_run(tmp_path / "dp", dataset, make_keep(dataset), gain=0.0, **{**GUARANTEE, "delta": 1e-6})
    with pytest.raises(InputError, match="`dp` must have delta=1e-05"):
        read_runs(logdirs[0], [logdirs[1], tmp_path / "dp"])
    keep = make_keep(dataset)
    write_run(tmp_path / "mixed", dataset, keep, gain=0.0, indices=range(6), **GUARANTEE)
    write_run(tmp_path / "mixed", dataset, keep, gain=0.0, indices=range(6, MODELS), **{**GUARANTEE, "steps": 10})
    with pytest.raises(InputError, match="steps of model 6 differs"):
        read_runs(logdirs[0], [tmp_path / "mixed"])


def test_tables_hold_each_runs_own_analysis(comparison, logdirs, tmp_path):
    found = private_tables.rows(comparison, EDGES)
    for label, run in comparison.runs.items():
        alone = study(run.models, run.examples, ["yeom", "lira_online_fixed"], None, 0, tmp_path, quiet, delta=1e-5)
        mine = {name: [row[1:] for row in found[name] if row[0] == label] for name in found}
        np.testing.assert_equal(mine["attacks"], list(tables.attack_rows(alone.evaluations)))
        np.testing.assert_equal(mine["accuracy"], alone.accuracy)
        np.testing.assert_equal([(*r[:-3], r[-1]) for r in mine["epsilon"]], [*tables.epsilon_rows(alone.bounds, 1e-5)])
    for name, columns in private_tables.COLUMNS.items():
        assert {len(row) for row in found[name]} == {len(columns)}
    upper = {row[0]: row[-3:-1] for row in found["epsilon"]}
    assert upper["dp"] == (3.188, 2.934) and np.isnan(upper["plain"]).all()


def test_memorization_goes_with_the_members_advantage(comparison):
    columns = private_tables.COLUMNS["memorization"]
    found = [dict(zip(columns, row, strict=True)) for row in private_tables.rows(comparison, EDGES)["memorization"]]
    by_key = {(row["run"], row["group"]): row for row in found}
    assert set(by_key) == {(run, group) for run in ("plain", "dp") for group in ("all", "over", "under")}
    run = comparison.runs["plain"]
    right = np.column_stack([correct(m.read_logits()[:, 0], run.examples.labels) for m in run.models])
    keep = np.column_stack([m.keep for m in run.models])
    under = run.examples.groups == 1
    expected = [r[k].mean() - r[~k].mean() for r, k in zip(right[under], keep[under], strict=True)]
    assert by_key["plain", "under"]["mean"] == pytest.approx(np.mean(expected), abs=1e-6)
    # Members of plain models are surer by 3 logits, those of the private ones by nothing.
    for group in ("all", "over", "under"):
        plain, dp = by_key["plain", group], by_key["dp", group]
        assert plain["ci_low"] > 0 and np.isnan(plain["minus_plain"])
        assert dp["ci_low"] < 0 < dp["ci_high"] and dp["minus_plain_high"] < 0
        assert dp["minus_plain"] == pytest.approx(dp["mean"] - plain["mean"])
        assert "known to about" in plain["note"]
    bins = [row for row in private_tables.rows(comparison, EDGES)["memorization_bins"] if row[:2] == ("dp", "under")]
    assert sum(row[-1] for row in bins) == 60 and [row[2] for row in bins] == EDGES[:-1].tolist()


def test_a_lower_bound_above_the_accountants_is_named(comparison):
    said = list(private_tables.lines(comparison, private_tables.rows(comparison, EDGES)))
    assert any(line.startswith("The accountant: epsilon at most 3.188 by RDP, 2.934 by PLD; every") for line in said)
    run = comparison.runs["dp"]
    false = dataclasses.replace(run, hparams={**run.hparams, "epsilon_rdp": 0.02, "epsilon_pld": 0.01, "note": "So."})
    swapped = dataclasses.replace(
        comparison,
        runs={"plain": comparison.runs["plain"], "dp": false},
        findings={"plain": comparison.findings["plain"], "dp": comparison.findings["plain"]},
    )
    lines = private_tables.lines(swapped, private_tables.rows(swapped, EDGES))
    (verdict,) = (line for line in lines if line.startswith("The accountant"))
    assert "ABOVE it: yeom (all)" in verdict and verdict.endswith("So.")
