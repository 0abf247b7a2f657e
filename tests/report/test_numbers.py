"""What a report says: its numbers are those of the audit, and its sentences say them."""

import functools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from report_helpers import CLASSES, SCRIPT, make_audit, make_shadows

import mia_tf
from mia_tf.analysis.group_memorization import mean_memorization
from mia_tf.report import words
from mia_tf.report.numbers import Source, _settled, report_numbers
from mia_tf.report.page import as_json, page

QUICK = ["yeom", "lira_online_fixed", "rmia"]


@pytest.fixture(scope="module")
def audit():
    return make_audit()


@pytest.fixture(scope="module")
def numbers(audit):
    return report_numbers(audit, Source(title="Mine", written="2026-01-31", data_notes=["3 records are copies."]))


def test_the_answer_is_the_headline_in_two_sentences(audit, numbers):
    head = audit.about["headline"]
    value, low, high = head["measured"]["all"]["metrics"]["tpr_at_fpr_0.1"]
    answer = numbers["answer"]
    assert answer["tpr"] == [value, low, high] and answer["fpr"] == head["fpr"] == 0.1 and answer["leak_seen"]
    first, second = answer["sentences"]
    for part in (
        words.percent(value),
        words.percent(low),
        words.percent(high),
        "1 in 10",
        words.attack_label(head["attack"]),
    ):
        assert part in first
    assert first.startswith("The strongest attack") and words.percent(answer["smallest_visible"]) in second
    assert "6 measured models" in second and "10%" in second
    assert 0.1 < answer["smallest_visible"] < value


def test_rates_are_counts_of_records(numbers):
    value, low, high = numbers["answer"]["tpr"]
    expected = {"of": 1000, "accused": 100, "recognised": round(1000 * value)}
    assert numbers["counts"] == {**expected, "low": round(1000 * low), "high": round(1000 * high)}


def test_a_rate_below_one_in_a_thousand_is_counted_in_more_records():
    from mia_tf.report.numbers import _counts

    counts = _counts({"tpr": [0.0123, 0.01, 0.02], "fpr": 0.0001, "fpr_reached": 0.0001})
    assert (counts["of"], counts["accused"], counts["recognised"]) == (10_000, 1, 123)
    assert _counts({"tpr": [0.0123, 0.01, 0.02], "fpr": 0.001, "fpr_reached": 0.001})["of"] == 1000


@functools.cache
def make_top_labels(attack):
    """An audit of models that answer the top label alone, surer of their members: most scores are equal."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 500)
    members = rng.random((16, 500)).argsort(axis=0) < 8
    right = rng.random((16, 500)) < np.where(members, 0.95, 0.75)
    answers = np.eye(3)[np.where(right, labels, (labels + 1) % 3)]
    shadows = mia_tf.ShadowModels(answers, members, labels, outputs="probabilities")
    return mia_tf.audit(shadows, attacks=[attack])


def test_a_leak_that_only_the_auroc_shows_is_a_leak():
    """The page once read "No leak was seen" while the AUROC's interval excluded one half."""
    audit = make_top_labels("yeom")
    value, low, high = audit.metric("auroc")["yeom", "all"]
    assert low > 0.5
    answer = report_numbers(audit, Source())["answer"]
    first, second = answer["sentences"]
    assert answer["leak_seen"] and first.startswith("A leak was seen, but none at 1% false positives")
    assert f"{words.percent(value)} of the time (95% interval {words.percent(low)} to {words.percent(high)})" in first
    assert second.startswith("It recognises")


def test_equal_scores_accuse_as_many_non_members_as_they_do():
    """It once read that 10 of 1,000 non-members are accused, of an attack that accuses none at that rate."""
    audit = make_top_labels("label_only_gap")
    numbers = report_numbers(audit, Source())
    (reached,) = {0.0, numbers["answer"]["fpr_reached"]}
    assert audit.about["headline"]["measured"]["all"]["reached"]["tpr_at_fpr_0.01"] == reached
    assert numbers["counts"]["accused"] == numbers["counts"]["recognised"] == 0
    assert "0% of the non-members are wrongly accused (at most 1% were allowed" in " ".join(
        numbers["answer"]["sentences"]
    )


def test_the_auroc_stands_in_the_answer(audit, numbers):
    value, low, high = audit.about["headline"]["measured"]["all"]["metrics"]["auroc"]
    interval = f"{words.percent(value)} of the time (95% interval {words.percent(low)} to {words.percent(high)})"
    assert interval in numbers["answer"]["sentences"][1]


def test_a_rate_that_is_no_whole_number_of_records_is_a_plural():
    assert words.accused(0.03, 0.03) == "3% of the non-members are wrongly accused"
    assert words.accused(0.01, 0.01) == "1 in 100 non-members is wrongly accused"


def test_the_most_exposed_records_come_by_rank_with_the_users_ids(audit, numbers):
    rows = numbers["records"]["shown"]
    expected = audit.records.sort_values("rank")[:10]
    assert [row["id"] for row in rows] == expected["id"].tolist() and SCRIPT in [row["id"] for row in rows]
    assert [row["exposure"][0] for row in rows] == expected["exposure"].tolist()
    rest = audit.records.sort_values("rank")[10:]
    alike = (rest["exposure_high"] >= expected["exposure_low"].min()).sum()
    assert numbers["records"]["could_change_places"] == alike
    assert numbers["records"]["recognised"] == (audit.records["exposure"] > 0).sum()


def test_groups_have_the_headlines_attack_and_classes_their_means(audit, numbers):
    measured = audit.about["headline"]["measured"]
    assert [row["tpr"] for row in numbers["groups"]] == [m["metrics"]["tpr_at_fpr_0.1"] for m in measured.values()]
    assert [row["name"] for row in numbers["groups"]] == ["all records", *audit.groups]
    means = audit.records.groupby("label")["exposure"].mean().sort_values(ascending=False)
    classes = numbers["classes"]
    assert [row["name"] for row in classes["shown"]] == means.index.tolist() and set(means.index) == set(CLASSES)
    for row, mean in zip(classes["shown"], means, strict=True):
        value, low, high = row["exposure"]
        assert value == pytest.approx(mean) and 0 <= low <= value <= high <= 1


def test_mean_memorization_has_the_interval_of_the_comparison(audit, numbers):
    """It was over records alone: in simulations of models that differ, it held the true mean in 57% of all runs."""
    correct, keep = audit.correct(), make_shadows().members.T
    masks = {name: audit.mask(name) for name in ["all", *audit.groups]}
    masks |= {label: (audit.records["label"] == label).to_numpy() for label in CLASSES}
    means = mean_memorization(correct, keep, masks, 0)
    for row, name in zip(numbers["groups"], ["all", *audit.groups], strict=True):
        mean = means[name]
        assert row["memorization"] == pytest.approx([mean.value, *mean.interval()])
    for row in numbers["classes"]["shown"]:
        chosen, mean = masks[row["name"]], means[row["name"]]
        assert row["memorization"][0] == pytest.approx(audit.column("memorization")[chosen].mean())
        assert row["memorization"][1:] == pytest.approx(mean.interval())


def test_a_loaded_audit_has_the_same_page(audit, numbers, tmp_path):
    again = mia_tf.load_audit(audit.save(tmp_path))
    loaded = report_numbers(again, Source())
    for name in ("answer", "groups", "not_tested", "unsettled"):
        assert loaded[name] == numbers[name]
    assert [row["memorization"] for row in loaded["classes"]["shown"]] == [
        row["memorization"] for row in numbers["classes"]["shown"]
    ]
    del again.about["mean_memorization"]  # an audit of an earlier version
    means = [row["memorization"] for row in report_numbers(again, Source())["groups"]]
    assert means == [[pytest.approx(row["memorization"][0]), None, None] for row in numbers["groups"]]


def test_a_class_of_few_records_has_no_interval_and_comes_last():
    """Two records with equal exposure once read "75% (75% to 75%)", and such classes filled the table."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), [60, 60, 2])
    members = rng.random((8, 122)).argsort(axis=0) < 4
    logits = rng.normal(size=(8, 122, 3)) + 20 * (members & (labels == 2))[..., None] * np.eye(3)[labels]
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels), attacks=["yeom"], fpr=(0.1,))
    classes = report_numbers(audit, Source())["classes"]
    *_, last = classes["shown"]
    assert last["name"] == "2" and classes["small"] == 1
    assert last["exposure"][0] > 0.5 and last["exposure"][1:] == last["memorization"][1:] == [None, None]
    assert "Classes of fewer than 5 records come last" in page(audit, report_numbers(audit, Source()))


def test_what_is_open_has_the_number_of_models_that_settles_it(audit, numbers):
    rows = numbers["unsettled"]
    assert audit.about["headline_fpr"] == 0.1
    value, low, high = audit.about["headline"]["measured"]["all"]["metrics"]["tpr_at_fpr_0.1"]
    width = f"an interval half as wide (about {25 * (high - low):.1f} percentage points either way)"
    assert rows[0]["question"] == f"The headline, {100 * value:.1f}%, with {width}"
    (memorization,) = (row for row in rows if "memorization" in row["question"])
    assert memorization["models"] > 12
    small = make_audit(num_examples=60)  # 360 non-members
    (level,) = (row for row in report_numbers(small, Source())["unsettled"] if "0.1% false" in row["question"])
    assert level["models"] == 34  # 12 / 360 * 1,000, rounded up
    assert "360 tests of non-members are there, 1,000 are needed" in level["note"]


def test_what_is_open_counts_attacked_models():
    """The count of attacked models once stood beside "This audit has 12 models", of which 4 were attacked."""
    audit = mia_tf.audit(make_shadows(num_examples=60), attacks=["yeom"], fpr=(0.1, 0.001), num_targets=4)
    numbers = report_numbers(audit, Source())
    (level,) = (row for row in numbers["unsettled"] if "0.1% false" in row["question"])
    assert (level["models"], level["of"]) == (33, "attacked")
    text = page(audit, numbers)
    assert ">33 attacked</td>" in text and "This audit attacked 4 models, and has 12 shadow models." in text


def test_an_attack_that_misses_nothing_is_not_said_to_meet_records_that_differ():
    audit = make_audit(gain=30.0, attacks=("yeom",))
    row = report_numbers(audit, Source())["unsettled"][0]
    assert row["question"].startswith("The headline, ") and row["models"] is None
    assert row["of"] == "more records" and row["note"].startswith("The attack recognises or misses few records, or")


def test_settled_records_need_no_more_models(audit, numbers):
    needed = audit.records["models_needed"]
    counts = numbers["records"]["settled"]
    assert counts["settled"] == (needed <= 12).sum() and counts["known"] == 200
    assert counts["more_models"] == needed.max() - 12
    assert counts["sentence"] in page(audit, numbers)


def test_the_sentence_on_settled_records():
    counts = {"half_width": 0.1, "settled": 1200, "known": 1500, "more_models": 36}
    assert words.settled(counts, 64) == (
        "With 64 models the memorization of 1,200 of 1,500 records is settled: its 95% interval is at most 0.1 wide "
        "either way. 36 more models would settle the other 300."
    )
    assert words.settled(counts | {"settled": 0}, 64).endswith("36 more models would settle them.")
    assert words.settled(counts | {"settled": 1499, "more_models": 1}, 64).endswith(
        "1 more model would settle the other one."
    )
    assert words.settled(counts | {"settled": 1500, "more_models": 0}, 64).endswith("either way.")


def test_what_went_wrong_and_was_not_run_is_said(numbers):
    assert "3 records are copies." in numbers["went_wrong"]
    assert any("Shokri" in sentence for sentence in numbers["not_tested"])


def test_models_at_chance_are_no_good_news():
    numbers = report_numbers(make_audit(gain=0.0, attacks=("yeom", "rmia")), Source())
    assert not numbers["answer"]["leak_seen"]
    first, second = numbers["answer"]["sentences"]
    assert first.startswith("No leak was seen:") and "cannot be distinguished from guessing" in second
    assert any("no better than chance" in sentence for sentence in numbers["went_wrong"])


def test_it_is_json(numbers):
    assert json.loads(as_json(numbers)) == json.loads(json.dumps(numbers))
    assert numbers["title"] == "Mine"


def test_a_single_finished_model_has_the_recommended_attack():
    shadows = make_shadows()
    members = np.random.default_rng(5).random(200) < 0.5  # not of the plan of the others
    target = np.random.default_rng(6).normal(size=(200, 1, 3)) + 2 * members[:, None, None]
    audit = mia_tf.audit(shadows, target=target, target_members=members, attacks=QUICK, fpr=(0.1,))
    numbers = report_numbers(audit, Source())
    assert numbers["answer"]["chosen"] == "recommended"
    assert numbers["answer"]["sentences"][0].removeprefix("No leak was seen: ").lower().startswith("the recommended")
    assert "no two halves" in numbers["method"]["choice"]
    # It once read "more records", though one model does not show what more models would do.
    row = numbers["unsettled"][0]
    assert row["question"].startswith("The headline, ") and (row["models"], row["of"]) == (None, "not known")
    assert ">not known</td>" in page(audit, numbers)


def test_without_membership_nothing_is_claimed():
    shadows = make_shadows(num_examples=60)
    audit = mia_tf.audit(shadows, target=shadows.read_logits(0), attacks=["yeom", "rmia"])
    numbers = report_numbers(audit, Source())
    assert numbers["counts"] is None and numbers["records"]["shown"] == [] and numbers["groups"] == []
    assert "unknown" in numbers["answer"]["sentences"][0]
    text = page(audit, numbers)
    assert "No record could be ranked" in text
    # None of these is known, or true, of an audit that measured nothing.
    for words_for in ("learnt its training data", "asked for is resolved", "ROC curves are of", "One threshold"):
        assert words_for not in text
    assert "Everything: no rate was measured." in page(audit, {**numbers, "unsettled": []})
    (left_out,) = (line for line in numbers["not_tested"] if line.startswith("These attacks were not run"))
    assert "Yeom" not in left_out and "RMIA;" not in left_out and "Shokri" in left_out
    assert numbers["method"]["attacks"] == ["Yeom", "RMIA"]


def test_one_model_alone_has_no_memorization_and_no_shadow_models():
    """The page once said that no record can be measured, below a headline that was measured with all of them."""
    rng = np.random.default_rng(0)
    labels, members = rng.integers(0, 4, 400), rng.random((1, 400)) < 0.5
    logits = rng.normal(size=(1, 400, 4)) + 6 * members[..., None] * np.eye(4)[labels]
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, labels))
    numbers = report_numbers(audit, Source())
    text = page(audit, numbers)
    assert numbers["answer"]["sentences"][0].startswith("The first attack with scores (Yeom) recognises")
    assert "cannot be measured" not in text and "recommends" not in text
    assert any("One model alone tells no memorization" in sentence for sentence in numbers["went_wrong"])
    assert "One model was attacked, without shadow models." in text


def test_too_few_non_members_are_no_rate():
    rng = np.random.default_rng(0)
    members = rng.random((4, 4)).argsort(axis=0) < 2
    logits = rng.normal(size=(4, 4, 2))
    audit = mia_tf.audit(mia_tf.ShadowModels(logits, members, [0, 1, 0, 1]), attacks=["yeom", "rmia"])
    numbers = report_numbers(audit, Source())
    assert numbers["counts"] is None and "Too few non-members" in numbers["answer"]["sentences"][0]
    assert "Too few non-members" in page(audit, numbers)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.143, "14.3%"),
        (1, "100%"),
        (0.0235, "2.4%"),
        (0.00043, "0.043%"),
        (8e-7, "0.00008%"),
        (1e-12, "0%"),
        (0, "0%"),
        (-0.02, "\N{MINUS SIGN}2%"),
        (None, "\N{EN DASH}"),
    ],
)
def test_percent(value, text):
    assert words.percent(value) == text


def test_a_record_that_needs_as_many_models_as_there_are_is_settled():
    needed = np.array([11, 12, 13, np.nan])
    counts = _settled(SimpleNamespace(num_models=12, column={"models_needed": needed}.get))
    assert (counts["settled"], counts["known"], counts["more_models"]) == (2, 3, 1)
