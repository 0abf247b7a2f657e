"""One model without any shadow models: the attacks that need none, and a bound on epsilon from its coins."""

import csv
import json

import numpy as np
import pytest
from refusals import refuses
from toys import make_dataset

import mia_tf
from mia_tf import analyze
from mia_tf.attacks import attack_classes
from mia_tf.figures import pages
from mia_tf.plot import plot_logdir
from mia_tf.records import ModelRecord
from mia_tf.store import Store

ALONE = {"yeom", "label_only_gap"}
"""The attacks on a record without the examples themselves."""


def one_model(count=400):
    """Arguments of ShadowModels: one model that is surer of its members."""
    rng = np.random.default_rng(0)
    labels, members = rng.integers(0, 4, count), rng.random((1, count)) < 0.5
    logits = rng.normal(size=(1, count, 4)) + 6 * members[..., None] * np.eye(4)[labels]
    return {"logits": logits, "members": members, "labels": labels}


def test_the_attacks_that_need_no_shadow_models_are_measured():
    audit = mia_tf.audit(mia_tf.ShadowModels(**one_model()))
    areas = audit.metric("auroc")
    assert {name for name, _ in areas} == ALONE and min(value for value, *_ in areas.values()) > 0.7
    records = audit.records
    assert set(records["n_in"] + records["n_out"]) == {1}
    assert records[["memorization", "privacy_score", "exposure", "lira_evidence"]].isna().all(axis=None)
    assert "One model alone: no memorization, no exposure" in str(audit)


def test_the_area_is_that_of_all_pairs_of_a_member_and_a_non_member():
    arrays = one_model()
    audit = mia_tf.audit(mia_tf.ShadowModels(**arrays), attacks=["yeom"])
    (members,), labels = arrays["members"], arrays["labels"]
    logits = arrays["logits"][0]
    score = logits[np.arange(len(labels)), labels] - np.log(np.exp(logits).sum(axis=1))
    pairs = score[members][:, None] - score[~members]
    # Scores are kept as float32, in which a few of 40,000 pairs may tie.
    assert audit.metric("auroc")["yeom", "all"][0] == pytest.approx((pairs > 0).mean(), abs=1e-4)


def test_quantile_regression_is_measured_if_the_record_has_the_examples():
    x = np.random.default_rng(1).normal(size=(400, 3))
    audit = mia_tf.audit(mia_tf.ShadowModels(**one_model(), x=x))
    assert {name for name, _ in audit.metric("auroc")} == {*ALONE, "quantile_regression"}


def test_an_attack_that_needs_shadow_models_is_refused_by_name():
    with refuses("attacks", "rmia", advice="must be attacks that need no shadow models: one model has none"):
        mia_tf.audit(mia_tf.ShadowModels(**one_model()), attacks=["yeom", "rmia"])


@pytest.mark.parametrize("count", [2, 3])
def test_a_few_models_are_still_refused(count):
    arrays = one_model()
    several = {name: np.repeat(arrays[name], count, axis=0) for name in ("logits", "members")}
    with refuses("shadows", advice="must hold at least 4 complete models"):
        mia_tf.audit(mia_tf.ShadowModels(**several, labels=arrays["labels"]))


def test_each_attack_says_whether_it_needs_shadow_models():
    assert {name for name, attack in attack_classes().items() if attack.alone} == {*ALONE, "quantile_regression"}


def write(logdir, planned):
    """A LOGDIR with the first of `planned` models, by fair coins."""
    dataset = make_dataset(num_over=900, num_under=100)
    rng, count = np.random.default_rng(2), len(dataset.labels)
    keep = rng.random(count) < 0.5
    logits = rng.normal(size=(count, 1, 1, dataset.num_classes)).astype(np.float32)
    logits[np.arange(count), 0, 0, dataset.labels] += 9 * keep
    config = {"num_experiments": planned, "subsets": "bernoulli", "pkeep": 0.5}
    Store.create(logdir, config, lambda: dataset).write(ModelRecord(0, keep, logits, 3, config, {}))


def test_the_command_bounds_epsilon_from_one_model(tmp_path, capsys):
    write(tmp_path, 1)
    analyze.analyze(tmp_path, delta=1e-5)
    with open(tmp_path / "analysis" / "epsilon.csv", newline="") as file:
        bounds = {(row["attack"], row["population"]): row for row in csv.DictReader(file)}
    assert {attack for attack, _ in bounds} == {*ALONE, "quantile_regression"}  # a LOGDIR of pictures has them
    bound = bounds["yeom", "all"]
    assert float(bound["epsilon_lower"]) > 1 and bound["note"].startswith("one run, fair coins: ")
    assert "One model alone" in capsys.readouterr().out
    assert {path.stem for path in plot_logdir(tmp_path)} == {"roc", "attacks"}  # the others would be empty


def test_the_first_model_of_a_larger_plan_is_not_taken_for_a_run_of_one(tmp_path):
    write(tmp_path, 8)
    with refuses("logdir", advice="must hold at least 4 complete models"):
        analyze.analyze(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["num_experiments"] == 8 and not (tmp_path / "analysis").exists()


def test_figures_of_memorization_need_one_model_on_each_side_and_privacy_scores_two(tmp_path):
    rng, count = np.random.default_rng(3), 200
    labels, members = rng.integers(0, 4, count), np.ones((4, count), bool)
    members[rng.integers(0, 4, count), np.arange(count)] = False  # each example is OUT of one model
    logits = rng.normal(size=(4, count, 4)) + 6 * members[..., None] * np.eye(4)[labels]
    audit = mia_tf.audit(mia_tf.ShadowModels(logits=logits, members=members, labels=labels), attacks=["yeom"])
    assert audit.records["privacy_score"].isna().all() and audit.records["memorization"].notna().all()
    names = {name for name, _ in pages.pages(audit)}
    assert names == {"roc", "attacks", "memorization_histogram", "memorization_ood"}
