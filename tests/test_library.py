"""`mia_tf` as a library: arrays in memory, one finished model, an Audit that is saved and loaded."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from refusals import ANY, refuses
from scipy.special import expit, ndtr, softmax
from toys import make_dataset

import mia_tf
from mia_tf.analysis import tables
from mia_tf.analysis.planning import models_for_memorization
from mia_tf.records import ModelRecord
from mia_tf.report.drawings import drawings
from mia_tf.store import Store

QUICK = ["yeom", "lira_online_fixed", "rmia"]


def answers(num_models=12, num_examples=150, num_classes=3, gain=2.0, seed=0, queries=None):
    """Logits (M, N, C) of models surer of their members, members (M, N) and labels (N,)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_examples)
    members = rng.random((num_models, num_examples)).argsort(axis=0) < num_models // 2
    shape = (num_models, num_examples, *([queries] if queries else []), num_classes)
    logits = rng.normal(size=shape).astype(np.float32)
    bonus = gain * members[..., None] * np.eye(num_classes)[labels]
    return logits + (bonus[:, :, None] if queries else bonus), members, labels


def auroc(audit, attack="lira_online_fixed", population="all"):
    return audit.metric("auroc")[attack, population]


def same_tables(one, other):
    """The names of the tables that differ."""
    return [
        name
        for name, frame in one.tables.items()
        if tables.csv_text(name, frame) != tables.csv_text(name, other.tables[name])
    ]


# ---- the package


def test_importing_loads_no_framework_and_lists_its_names():
    program = (
        "import sys, mia_tf; print(sorted({'tensorflow', 'jax', 'keras', 'pandas', 'matplotlib', 'scipy', 'sklearn'}"
        " & set(sys.modules)), *dir(mia_tf))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded, *names = done.stdout.split()
    assert loaded == "[]"
    assert {"Audit", "Comparison", "InputError", "ShadowModels", "audit", "compare", "load_audit"} <= set(names)
    assert all(callable(getattr(mia_tf, name)) for name in mia_tf.__all__ if name != "__version__")


def test_type_checkers_see_the_public_api():
    package = Path(mia_tf.__file__).parent
    imports = re.findall(r"from (\S+) import (\w+) as \2", (package / "__init__.pyi").read_text())
    assert {name: module for module, name in imports} == mia_tf._API and (package / "py.typed").exists()
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = mia_tf.nothing


def test_the_package_lists_its_commands():
    done = subprocess.run([sys.executable, "-m", "mia_tf"], capture_output=True, text=True, check=True)
    for command in ("train", "analyze", "plot", "inference"):
        assert f"python -m mia_tf.{command} " in done.stdout


# ---- arrays are a LOGDIR without a folder


@pytest.mark.parametrize("under", [30, 0], ids=["two groups", "one group"])
def test_arrays_give_the_tables_of_a_logdir_of_the_same_arrays(tmp_path, under, monkeypatch):
    dataset = make_dataset(num_over=120, num_under=under)
    logits, members, _ = answers(num_examples=120 + under, num_classes=4, queries=2)
    store = Store.create(tmp_path / "run", {}, lambda: dataset)
    for index in range(len(logits)):
        hparams = {"num_experiments": len(logits)}
        store.write(ModelRecord(index, members[index], np.float32(logits[index][:, None]), 3, hparams, {}))
    shadows = mia_tf.ShadowModels(
        logits=np.float32(logits),
        members=members,
        labels=dataset.labels,
        ids=dataset.example_ids,
        groups=dataset.groups,
        x=dataset.images,
    )
    settings = {"num_shadow": (1,), "delta": 1e-5, "attacks": None if under else QUICK}
    audited = mia_tf.audit(shadows, **settings)
    assert same_tables(audited, mia_tf.audit(mia_tf.ShadowModels.open(tmp_path / "run"), **settings)) == []
    # And the same where the intermediate arrays go to files.
    monkeypatch.setattr("mia_tf.analysis.study.LARGEST_IN_MEMORY", 0)
    on_disk = mia_tf.audit(shadows, **settings)
    assert on_disk == audited
    np.testing.assert_array_equal(on_disk.scores("rmia"), audited.scores("rmia"))


def test_an_audit_that_is_saved_and_loaded_is_equal(tmp_path):
    logits, members, labels = answers()
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=QUICK, delta=0.01, num_shadow=[2])
    loaded = mia_tf.load_audit(audit.save(tmp_path / "audit"))
    assert loaded == audit and str(loaded) == str(audit)
    for name, frame in audit.tables.items():
        assert list(frame.columns) == list(loaded.tables[name].columns)
        assert [kind.kind for kind in frame.dtypes] == [kind.kind for kind in loaded.tables[name].dtypes], name
    loaded.records.loc[3, "memorization"] += 1e-6
    assert loaded != audit
    with refuses("attack", "yeom"):
        loaded.scores("yeom")
    assert mia_tf.load_audit(tmp_path / "audit").about["notes"] == audit.about["notes"]


def test_the_arrays_of_the_user_are_left_as_they_are():
    logits, members, labels = answers()
    copies = logits.copy(), members.copy(), labels.copy()
    mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=QUICK)
    for array, copy in zip((logits, members, labels), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


# ---- what models return


def test_probabilities_are_the_logits_after_the_softmax():
    logits, members, labels = answers(gain=4.0)
    shadows = mia_tf.ShadowModels(softmax(logits.astype(np.float64), axis=-1), members, labels, outputs="probabilities")
    by_logits = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=QUICK)
    by_probabilities = mia_tf.audit(shadows, attacks=QUICK)
    for attack in QUICK:
        expected, actual = (audit.scores(attack) for audit in (by_logits, by_probabilities))
        np.testing.assert_allclose(actual, expected, rtol=2e-4, atol=2e-4)  # of logits in float32
    assert "Probabilities below" in str(by_probabilities)


def test_probabilities_of_zero_and_one_count_as_half_the_smallest_other_one():
    logits, members, labels = answers(num_classes=2)
    probabilities = softmax(logits, axis=-1).round(2)  # as of 100 trees
    probabilities[0, 0], probabilities[1, 1] = (0, 1), (1, 0)
    shadows = mia_tf.ShadowModels(probabilities, members, labels, outputs="probabilities")
    assert shadows.floor == pytest.approx(0.005)
    np.testing.assert_allclose(shadows.read_logits(0, 0, 1)[0, 0], np.log([0.005, 1.0]), rtol=1e-6)
    audit = mia_tf.audit(shadows, attacks=QUICK)
    assert np.isfinite(audit.scores("lira_online_fixed")).all() and auroc(audit)[0] > 0.7


@pytest.mark.parametrize("axes", ["(M, N)", "(M, N, 1)"])
def test_one_sigmoid_output_is_two_classes(axes):
    logits, members, labels = answers(num_classes=2)
    one = logits[..., 1] - logits[..., 0]
    one = one if axes == "(M, N)" else one[..., None]
    audit = mia_tf.audit(mia_tf.ShadowModels(one, members, labels, outputs="sigmoid"), attacks=QUICK)
    np.testing.assert_allclose(
        audit.scores("yeom"),
        mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=QUICK).scores("yeom"),
        rtol=1e-4,
        atol=1e-6,
    )
    as_probability = mia_tf.ShadowModels(expit(one), members, labels, outputs="probabilities")
    audited = mia_tf.audit(as_probability, attacks=QUICK)
    np.testing.assert_allclose(audited.scores("yeom"), audit.scores("yeom"), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "form",
    ["column", "one-hot", "float", "float16 logits", "float64 logits", "integer members", "float members", "strings"],
)
def test_other_forms_of_the_same_arrays_give_the_same_audit(form):
    logits, members, labels = answers()
    expected = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=QUICK)
    logits = {"float16 logits": logits.astype(np.float16), "float64 logits": logits.astype(np.float64)}.get(
        form, logits
    )
    members = {"integer members": members.astype(int), "float members": members.astype(float)}.get(form, members)
    names = np.array(["ant", "bee", "cow"])
    labels = {
        "column": labels[:, None],
        "one-hot": np.eye(3)[labels],
        "float": labels.astype(np.float32),
        "strings": names[labels],
    }.get(form, labels)
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=QUICK)
    np.testing.assert_allclose(audit.scores("rmia"), expected.scores("rmia"), atol=0.05 if "16" in form else 1e-6)
    assert audit.records["label"].tolist() == (
        names[expected.records["label"]].tolist() if form == "strings" else expected.records["label"].tolist()
    )


def test_two_classes_with_labels_of_truth_values():
    logits, members, labels = answers(num_classes=2)
    shadows = mia_tf.ShadowModels(logits, members, labels.astype(bool))
    np.testing.assert_array_equal(shadows.labels, labels)


LOGITS, MEMBERS, LABELS = answers()


@pytest.mark.parametrize(
    "changes, refusal",
    [
        ({"logits": softmax(LOGITS, axis=-1)}, ("logits", "values in [0, 1] that sum to 1", 'outputs="probabilities"')),
        ({"outputs": "probabilities"}, ("logits", "values from -2.39263 to 4.22127")),
        ({"logits": np.abs(LOGITS) / 10, "outputs": "probabilities"}, ("logits", "a row that sums to 0.0565151")),
        ({"outputs": "softmax"}, ("outputs", "softmax")),
        ({"outputs": "sigmoid"}, ("logits", "3 outputs")),
        ({"logits": LOGITS[..., :1]}, ("logits", "1 output", 'one output of two classes needs outputs="sigmoid"')),
        ({"logits": LOGITS[..., 0]}, ("logits", "shape (12, 150)")),
        (
            {"logits": expit(LOGITS[..., 0]), "outputs": "sigmoid"},
            ("logits", "values in [0, 1] that sum to 1", 'outputs="probabilities"'),
        ),
        ({"logits": np.where(np.arange(3) == 1, np.nan, LOGITS)}, ("logits", "NaN or infinity in model 0")),
        ({"logits": LOGITS.astype(str)}, ("logits", "dtype <U32")),
        ({"members": MEMBERS.T}, ("members", "shape (150, 12)")),
        ({"members": MEMBERS * 2}, ("members", "other values")),
        ({"labels": LABELS + 1}, ("labels", "values from 1 to 3", "subtract 1")),
        ({"labels": LABELS + 0.5}, ("labels", ANY, "must be whole numbers")),
        ({"labels": LABELS[:-1]}, ("labels", 149)),
        ({"labels": np.array(["a", "b"])[LABELS % 2]}, ("classes", "2 classes")),
        ({"classes": ["a", "b"]}, ("labels", "values from 0 to 2")),
        ({"ids": [7] * 150}, ("ids", "1 of them more than once (7)")),
        ({"ids": ["a", "b"]}, ("ids", "shape (2,)")),
        ({"groups": ["all", "b"] * 75}, ("groups", "'all'")),
        ({"groups": LABELS - 1}, ("groups", ANY, "must not be negative")),
    ],
)
def test_what_is_ambiguous_or_wrong_is_one_line_that_names_the_argument(changes, refusal):
    with refuses(*refusal):
        mia_tf.ShadowModels(**{"logits": LOGITS, "members": MEMBERS, "labels": LABELS, **changes})


@pytest.mark.parametrize(
    "settings, refusal",
    [
        ({"attacks": ["magic"]}, ("attacks", "magic")),
        ({"fpr": (0.5, 1.0)}, ("fpr", 1.0)),
        ({"fpr": ()}, ("fpr", ANY, "must name at least one")),
        ({"delta": 1.0}, ("delta", 1.0)),
        ({"num_shadow": [9]}, ("num_shadow", 9)),
        ({"seed": -1}, ("seed", -1)),
        ({"target_members": MEMBERS[0]}, ("target_members", "an array")),
        ({"target": LOGITS[0][:, :2]}, ("target", "shape (150, 2)")),
        ({"target": LOGITS[0], "target_members": MEMBERS[0][1:]}, ("target_members", "shape (149,)")),
        ({"target": softmax(LOGITS[0], axis=-1)}, ("target", "values in [0, 1] that sum to 1")),
    ],
)
def test_settings_of_an_audit_are_checked_before_any_work(settings, refusal):
    shadows = mia_tf.ShadowModels(LOGITS, MEMBERS, LABELS)
    with refuses(*refusal):
        mia_tf.audit(shadows, **settings)


def test_a_folder_is_no_record_of_shadow_models():
    with refuses("shadows", "str", "such as ShadowModels.open(LOGDIR)"):
        mia_tf.audit("runs/mine")


# ---- records and populations


def test_records_are_in_the_users_order_with_the_users_ids_and_classes():
    logits, members, labels = answers(gain=5.0)
    ids = np.random.default_rng(1).permutation(len(labels)) + 1000
    shadows = mia_tf.ShadowModels(logits, members, labels, ids=ids, classes=["cat", "dog", "owl"])
    audit = mia_tf.audit(shadows, attacks=QUICK, fpr=(0.1, 0.01))
    records = audit.records
    assert records["row"].tolist() == list(range(len(labels)))
    assert records["id"].tolist() == ids.astype(str).tolist()
    assert records["label"].tolist() == np.array(["cat", "dog", "owl"])[labels].tolist()
    assert sorted(records["rank"]) == list(range(1, len(labels) + 1))
    assert audit.about["headline_fpr"] == 0.1
    # Exposure is the share of the models with the example that score at or above the pooled threshold.
    scores, keep = audit.scores("lira_online_fixed"), members.T
    nonmembers = np.sort(scores[~keep])[::-1]
    threshold = min(score for score in scores[keep] if np.mean(nonmembers >= score) <= 0.1)
    expected = (keep & (scores >= threshold)).sum(axis=1) / keep.sum(axis=1)
    np.testing.assert_allclose(records["exposure"], expected)
    right, out = (logits.argmax(axis=2) == labels).T, ~keep
    counts = (side.sum(axis=1) for side in (keep, out, keep & right, out & right))
    np.testing.assert_array_equal(audit.column("models_needed"), models_for_memorization(*counts, 0.1))
    assert (records["exposure_low"] <= expected).all() and (expected <= records["exposure_high"]).all()
    order = records.sort_values("rank")
    assert order["exposure"].is_monotonic_decreasing
    assert order[order["exposure"] == 1]["lira_evidence"].is_monotonic_decreasing


def test_every_named_group_is_a_population():
    logits, members, labels = answers(num_examples=240)
    groups = np.array(["young", "old", "_$odd$"])[np.arange(240) % 3]
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels, groups=groups), attacks=QUICK)
    assert audit.populations == ["all", "_$odd$", "old", "young"]
    assert set(audit.accuracy["group"]) == set(audit.correlations["group"]) == {"all", *groups}
    assert audit.records["group"].tolist() == groups.tolist()
    scores, old = audit.scores("yeom"), groups == "old"
    alone = mia_tf.ShadowModels(logits[:, old], members[:, old], labels[old])
    assert auroc(audit, "yeom", "old")[0] == pytest.approx(auroc(mia_tf.audit(alone, attacks=["yeom"]), "yeom")[0])
    assert scores.shape == (240, 12)


def test_a_users_group_called_over_is_shown():
    """Only a mixture's over-represented group is left out, as in the papers; of three groups it was, too."""
    logits, members, labels = answers(num_examples=240)
    groups = np.array(["other", "over", "under"])[np.arange(240) % 3]
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels, groups=groups), attacks=["yeom"])
    assert str(audit).split("\n")[0].count(" over") == 3
    assert [ax.get_title() for ax in audit.plot("roc").axes] == ["All examples", "other", "over"]
    assert [name for name, *_ in drawings(audit)][:3] == ["roc-all", "roc-other", "roc-over"]


def test_the_headline_is_the_lowest_rate_that_accuses_ten_non_members():
    """At the lowest resolved rate one odd non-member set the threshold of every exposure."""
    logits, members, labels = answers(num_examples=60)  # 360 non-members: 3.6 at 1%
    shadows = mia_tf.ShadowModels(logits, members, labels)
    audit = mia_tf.audit(shadows, attacks=["lira_online_fixed"])
    shares = audit.about["headline"]["measured"]["all"]["metrics"]["tpr_at_fpr_0.1"]
    value, low, high = (f"{100 * share:.2f}" for share in shares)
    sentence = f"at 10% false positives: {value}% [{low}, {high}] by lira_online_fixed, the only attack that was run"
    assert audit.about["headline_fpr"] == 0.1 and sentence in str(audit)
    assert audit.about["headline"]["attack"] == "lira_online_fixed"
    assert audit.about["headline"]["measured"]["all"]["metrics"]["auroc"] == list(auroc(audit))
    rates = audit.attacks.set_index("metric")
    assert np.isnan(rates.loc["tpr_at_fpr_0.001", "value"]) and not np.isnan(rates.loc["tpr_at_fpr_0.1", "value"])
    assert rates.loc["tpr_at_fpr_0.001", "note"] == "unresolved: 360 non-members, 1000 needed"


def test_models_that_learnt_nothing_are_said():
    """An audit of models at chance once read as if there were no leak."""
    logits, members, labels = answers(gain=0.0)
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=["yeom"])
    (note,) = audit.about["notes"]
    assert note.startswith("12 of 12 attacked models are no better than chance") and note in str(audit)
    logits[4:] += 5 * np.eye(3)[labels]
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=["yeom"])
    assert "4 of 12 attacked models" in str(audit) and "model 0, model 1, model 2, model 3" in str(audit)


def test_good_models_of_rare_classes_are_not_called_no_better_than_chance():
    """With 1.5% in the other class, all of a perfect model's answers were within three standard errors of chance."""
    rng = np.random.default_rng(0)
    labels = (np.arange(600) < 9).astype(np.int64)
    members = rng.random((16, 600)).argsort(axis=0) < 8
    logits = np.zeros((16, 600, 2))
    logits[..., 0] = 2  # what learnt nothing names the frequent class
    shadows = mia_tf.ShadowModels(logits, members, labels)
    note, alike = mia_tf.audit(shadows, attacks=["yeom"]).about["notes"]
    assert alike.startswith("16 of 16 models gave the same answers")
    assert note.startswith("16 of 16 attacked models are no better than chance")
    logits += 3 * members[..., None] * np.eye(2)[labels]
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=["yeom"])
    assert audit.about["notes"] == []
    assert audit.accuracies()["train", "all"][0] == 1


# ---- one finished model


def test_a_finished_model_is_attacked_with_the_shadow_models():
    logits, members, labels = answers(num_models=17, num_examples=400, gain=3.0)
    members[-1] = np.random.default_rng(5).random(400) < 0.5
    logits[-1] = np.random.default_rng(6).normal(size=(400, 3)) + 3 * members[-1][:, None] * np.eye(3)[labels]
    shadows = mia_tf.ShadowModels(logits[:-1], members[:-1], labels)
    audit = mia_tf.audit(shadows, target=logits[-1], target_members=members[-1])
    assert audit.scores("rmia").shape == (400, 1)
    value, low, high = auroc(audit)
    assert 0.8 < low < value < high < 1
    counts = audit.attacks[["num_targets", "num_members", "num_nonmembers"]].drop_duplicates().to_numpy().tolist()
    assert counts == [[1, int(members[-1].sum()), int((~members[-1]).sum())]]
    # Memorization and privacy scores are those of the shadow models.
    own = mia_tf.audit(shadows, attacks=["yeom"])
    for column in ("n_in", "n_out", "memorization", "memorization_se", "privacy_score", "ood_msp"):
        np.testing.assert_array_equal(audit.records[column], own.records[column])
    assert audit.records["lira_evidence"].notna().all()
    np.testing.assert_array_equal(audit.records["exposure"].notna(), members[-1])
    assert audit.accuracy.set_index(["split", "group"]).loc[("train", "all"), "num_models"] == 1
    assert "No example has shadow models" not in str(audit)


def test_without_membership_a_finished_model_is_only_scored():
    logits, members, labels = answers(num_models=13)
    members[-1] = np.random.default_rng(5).random(150) < 0.5  # not of the plan of the others
    shadows = mia_tf.ShadowModels(logits[:-1], members[:-1], labels)
    known = mia_tf.audit(shadows, target=logits[-1], target_members=members[-1], attacks=["lira_online_fixed", "yeom"])
    audit = mia_tf.audit(shadows, target=logits[-1], attacks=["lira_online_fixed", "yeom"])
    assert not len(audit.attacks) and not len(audit.curves) and not len(audit.accuracy)
    for attack in ("yeom", "lira_online_fixed"):
        np.testing.assert_array_equal(audit.scores(attack), known.scores(attack))
    assert audit.records["memorization"].notna().all() and audit.records["exposure"].isna().all()
    assert "is unknown: they have scores" in str(audit)
    assert mia_tf.audit(shadows, target=logits[-1]).records.equals(audit.records)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_a_single_target_has_the_area_that_two_normal_distributions_have(shift):
    """phi of members N(d, 1) and of others N(0, 1): Yeom's AUROC is Phi(d / sqrt 2); on noise no attack has any."""
    held, areas = 0, []
    for seed in range(20):
        rng = np.random.default_rng([seed, int(shift)])
        members = rng.random((17, 600)) < 0.5
        phi = rng.normal(size=(17, 600)) + shift * members
        shadows = mia_tf.ShadowModels(phi[:-1], members[:-1], np.ones(600, int), outputs="sigmoid")
        audit = mia_tf.audit(shadows, target=phi[-1], target_members=members[-1], attacks=["yeom", "rmia"], fpr=(0.1,))
        value, low, high = auroc(audit, "yeom")
        areas.append(value)
        held += low <= ndtr(shift / np.sqrt(2)) <= high
        if not shift:
            noise = auroc(audit, "rmia")
            assert noise[1] - 0.03 <= 0.5 <= noise[2] + 0.03  # 95% intervals, and half their width again
    assert np.mean(areas) == pytest.approx(ndtr(shift / np.sqrt(2)), abs=4 * 0.024 / np.sqrt(20))
    assert held >= 17  # of 20; fewer has a probability of 2% with exact intervals, and the seeds are fixed


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    logits, members, labels = answers(num_examples=40)
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=["yeom"])
    assert audit.save("~/$HOME é") == tmp_path / "$HOME é" and mia_tf.load_audit("~/$HOME é") == audit
    folder = tmp_path / "run" / "experiment-0_1"
    (folder / "logits").mkdir(parents=True)
    for path, array in (("keep", members[0]), ("logits/1", logits[0][:, None, None]), ("../y_train", labels)):
        np.save(folder / f"{path}.npy", array)
    assert mia_tf.ShadowModels.open("~/run").shape == (40, 1, 3)


# ---- figures


def test_an_audit_draws_its_figures(tmp_path):
    logits, members, labels = answers(num_examples=240)
    groups = np.array(["young", "old", "_$odd$"])[np.arange(240) % 3]
    audit = mia_tf.audit(
        mia_tf.ShadowModels(logits, members, labels, groups=groups, classes=["$a", "_b", "c"]),
        attacks=QUICK,
        num_shadow=[2],
    )
    audit.about["name"] = os.fsdecode(b"$x^2 \xff")  # of a folder whose bytes are no text
    from mia_tf.figures.pages import NAMES

    for name in NAMES:
        if name == "examples":
            with refuses("figure", "examples"):
                audit.plot(name)
            continue
        figure = audit.plot(name)
        figure.savefig(tmp_path / f"{name}.png")
        assert figure.axes[0].has_data()
    figure = audit.plot("memorization")
    legend = " ".join(text.get_text() for text in figure.axes[0].get_legend().get_texts())
    assert r"\$odd\$" in legend  # not markup
    assert "all examples: Spearman" in legend  # there are three groups
    drawn = {text.get_text() for text in audit.plot("attacks").legends[0].get_texts()}
    assert drawn == {"all examples", r" _\$odd\$", "old", "young", "random guess"}
    footnote = audit.plot("roc").get_supxlabel()
    assert "Not drawn, but in the tables: young." in footnote and r"\$x^2 \udcff" in footnote
    with refuses("figure", "nothing"):
        audit.plot("nothing")


def test_a_figure_can_go_on_axes_of_the_user():
    from matplotlib.figure import Figure

    logits, members, labels = answers()
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=QUICK)
    for name in ("roc", "attacks", "privacy_scores", "memorization", "memorization_histogram", "memorization_ood"):
        figure = Figure()
        ax = figure.subplots()
        assert audit.plot(name, ax=ax) is figure and ax.has_data()
    with refuses("figure", "sweep"):
        audit.plot("sweep", ax=Figure().subplots())


def test_tables_are_data_frames():
    logits, members, labels = answers()
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=QUICK)
    for name in ("attacks", "records", "comparisons", "epsilon", "accuracy", "correlations", "curves", "sweep"):
        assert isinstance(getattr(audit, name), pd.DataFrame)
    assert list(audit.records.columns)[:4] == ["row", "id", "label", "group"]


def test_one_target_with_a_twin_is_measured_as_the_first_of_all():
    logits, members, labels = answers()
    shadows = mia_tf.ShadowModels(logits, members, labels)
    settings = {"attacks": ["yeom", "rmia"], "fpr": (0.1,)}
    first = mia_tf.audit(shadows, num_targets=1, **settings)
    given = mia_tf.audit(shadows, target=logits[0], target_members=members[0], **settings)
    assert given.attacks.equals(first.attacks) and not first.attacks["value"].isna().any()
