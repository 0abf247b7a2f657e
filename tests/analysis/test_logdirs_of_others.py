"""`python -m mia_tf.analyze` on the LOGDIRs that people hand over: of LiRA's published code, or made by hand."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
from matplotlib.figure import Figure
from refusals import refuses
from toys import make_dataset

from mia_tf import analyze
from mia_tf.analysis.result import load_audit
from mia_tf.attacks import attack_classes
from mia_tf.plot import plot_logdir
from mia_tf.shadow.shadow_models import ShadowModels

MODELS, QUERIES = 16, 2
EXAMPLES = 60
ATTACKS = ["yeom", "lira_online_fixed"]


@pytest.fixture(scope="module")
def record():
    """Labels (N,), keep (M, N) and logits (M, N, 1, Q, C) of models that are surer of their members."""
    rng = np.random.default_rng(0)
    labels = make_dataset(num_over=EXAMPLES, num_under=0).labels
    keep = rng.random((MODELS, EXAMPLES)).argsort(axis=0) < MODELS // 2
    logits = rng.normal(size=(MODELS, EXAMPLES, 1, QUERIES, 4)).astype(np.float32)
    logits[:, np.arange(EXAMPLES), 0, :, labels] += np.float32(2) * keep.T[..., None]
    return labels, keep, logits


def write(logdir, labels, keep, epochs, name="experiment-{}_16"):
    """A LOGDIR in LiRA's layout; `epochs` has the (M, N, 1, Q, C) logits by the name of their file."""
    logdir.mkdir(parents=True, exist_ok=True)
    np.save(logdir / "y_train.npy", labels)
    for index in range(len(keep)):
        folder = logdir / name.format(index)
        (folder / "logits").mkdir(parents=True)
        np.save(folder / "keep.npy", keep[index])
        for file, logits in epochs.items():
            np.save(folder / "logits" / file, logits[index])


def rows(logdir, name="attacks"):
    with open(logdir / "analysis" / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def auroc(logdir, attack="lira_online_fixed"):
    return next(float(row["value"]) for row in rows(logdir) if (row["attack"], row["metric"]) == (attack, "auroc"))


@pytest.fixture(scope="module")
def plain(record, tmp_path_factory):
    """What an analysis says of the record in the plainest layout."""
    logdir = tmp_path_factory.mktemp("plain") / "run"
    labels, keep, logits = record
    write(logdir, labels, keep, {"0000000010.npy": logits})
    analyze.analyze(logdir, ATTACKS)
    return logdir


def test_epoch_9_does_not_come_after_epoch_10(record, plain, tmp_path):
    """AUROC fell from 86 to 49 percent: noise of epoch 9 was taken."""
    labels, keep, logits = record
    noise = np.random.default_rng(1).normal(size=logits.shape).astype(np.float32)
    write(tmp_path, labels, keep, {"9.npy": noise, "10.npy": logits})
    analyze.analyze(tmp_path, ATTACKS)
    assert rows(tmp_path) == rows(plain) and auroc(plain) > 0.8


def test_models_of_different_epochs_are_counted_and_one_epoch_can_be_taken(record, plain, tmp_path, capsys):
    """Half of the models had epoch 20 beside epoch 10, and each one's last was pooled without a word."""
    labels, keep, logits = record
    write(tmp_path, labels, keep, {"0000000010.npy": logits})
    for index in range(8):
        np.save(tmp_path / f"experiment-{index}_16" / "logits" / "0000000020.npy", 0 * logits[index])
    analyze.analyze(tmp_path, ATTACKS)
    note = "Epochs differ: 8 models of epoch 10, 8 models of epoch 20. The last of each model counts; --epoch takes"
    assert note in capsys.readouterr().out
    assert rows(tmp_path) != rows(plain)
    analyze.analyze(tmp_path, ATTACKS, epoch=10)
    assert "Epochs differ" not in capsys.readouterr().out
    assert rows(tmp_path) == rows(plain)
    with refuses("epoch", 20):
        analyze.analyze(tmp_path, ATTACKS, epoch=20)


def test_settings_that_differ_between_models_are_named(record, tmp_path, capsys):
    labels, keep, logits = record
    write(tmp_path, labels, keep, {"0000000010.npy": logits})
    for index in range(MODELS - 1):  # the last one has none
        settings = {"arch": "wrn28-2" if index < 5 else "cnn32-3-max", "lr": 0.1, "seed": index}
        (tmp_path / f"experiment-{index}_16" / "hparams.json").write_text(json.dumps(settings))
    analyze.analyze(tmp_path, ATTACKS)
    note = "By their hparams.json the models differ in arch (10 have cnn32-3-max, 5 have wrn28-2).\n"
    assert note in capsys.readouterr().out


@pytest.mark.parametrize("epochs", [(10, 20), (20, 20)])
def test_epochs_of_targets_and_of_shadow_models_are_compared(record, tmp_path, epochs, capsys):
    labels, keep, logits = record
    for name, epoch in zip(("run", "others"), epochs, strict=True):
        write(tmp_path / name, labels, keep, {f"{epoch:010d}.npy": logits})
    analyze.analyze(tmp_path / "run", ATTACKS, shadow_logdir=tmp_path / "others")
    printed = "Epochs differ: 16 targets of epoch 10, 16 shadow models of epoch 20." in capsys.readouterr().out
    assert printed == (epochs == (10, 20))


def test_longer_labels_and_memberships_than_logits_are_of_the_first_examples(record, plain, tmp_path, capsys):
    """What LiRA's --dataset_size leaves: score.py takes the first labels, plot.py the first memberships."""
    labels, keep, logits = record
    longer = np.concatenate([labels, labels[:9]]), np.concatenate([keep, keep[:, :20]], axis=1)
    write(tmp_path, *longer, {"0000000010.npy": logits})
    analyze.analyze(tmp_path, ATTACKS)
    assert "The models answered the first 60 of the 69 examples of y_train.npy." in capsys.readouterr().out
    assert rows(tmp_path) == rows(plain) and len(rows(tmp_path, "examples")) == EXAMPLES


def test_shorter_memberships_than_logits_are_refused(record, tmp_path):
    labels, keep, logits = record
    write(tmp_path, labels, keep[:, :-1], {"0000000010.npy": logits})
    with refuses("logdir", "shape (59,)"):
        analyze.analyze(tmp_path)


@pytest.mark.parametrize("name", ["experiment-{}", "experiment-7{}31", "experiment_{}_of_16"])
def test_folders_of_any_name_that_the_published_code_reads(record, plain, tmp_path, name):
    labels, keep, logits = record
    write(tmp_path, labels, keep, {"0000000010.npy": logits}, name)
    assert [model.name for model in ShadowModels.open(tmp_path).models] == [name.format(k) for k in range(MODELS)]
    analyze.analyze(tmp_path, ATTACKS)
    assert rows(tmp_path) == rows(plain)


def test_folders_that_lack_something_are_named(record, tmp_path, capsys):
    labels, keep, logits = record
    write(tmp_path, labels, keep, {"0000000010.npy": logits})
    for index in (9, 10):
        os.remove(tmp_path / f"experiment-{index}_16" / "keep.npy")
    shutil.rmtree(tmp_path / "experiment-3_16" / "logits")
    analyze.analyze(tmp_path, ATTACKS)
    printed = capsys.readouterr().out
    assert "2 folders were left out with no keep.npy: experiment-9_16, experiment-10_16.\n" in printed
    assert "1 folder was left out with no logits/EPOCH.npy: experiment-3_16.\n" in printed
    for index in range(4, MODELS):
        shutil.rmtree(tmp_path / f"experiment-{index}_16" / "logits", ignore_errors=True)
    with refuses("logdir", advice="no logits/EPOCH.npy: experiment-3_16,"):
        analyze.analyze(tmp_path)


def with_scores_alone(logdir, labels):
    """Does to a LOGDIR what LiRA's score.py does, and then removes the logits."""
    for folder in logdir.glob("experiment*"):
        (folder / "scores").mkdir()
        for path in (folder / "logits").glob("*.npy"):
            logits = np.load(path)
            predictions = np.exp(logits - logits.max(axis=3, keepdims=True)).astype(np.float64)
            predictions /= predictions.sum(axis=3, keepdims=True)
            rows, first = np.arange(len(predictions)), labels[: len(predictions)]
            true = predictions[rows, :, :, first]
            predictions[rows, :, :, first] = 0
            wrong = predictions.sum(axis=3)
            np.save(folder / "scores" / path.name, np.log(true.mean(1) + 1e-45) - np.log(wrong.mean(1) + 1e-45))
        shutil.rmtree(folder / "logits")


SEE_MORE = ("shokri", "song", "song_entropy", "label_only", "label_only_gap")
"""Attacks that look at logits."""


@pytest.mark.parametrize("labelled", [True, False])
def test_of_scores_alone_there_is_what_follows_from_phi(record, plain, tmp_path, labelled, capsys):
    """All that plot.py reads: keep.npy and scores, not even the labels."""
    labels, keep, logits = record
    write(tmp_path, labels, keep, {"9.npy": 0 * logits, "10.npy": logits}, "experiment-{}")
    with_scores_alone(tmp_path, labels)
    if not labelled:
        os.remove(tmp_path / "y_train.npy")
    analyze.analyze(tmp_path, num_shadow=[2], delta=1e-5)
    printed = capsys.readouterr().out
    missing = f"{', '.join(SEE_MORE)}, memorization, OOD scores, accuracy"
    assert f"Only scores were kept and no logits, without which there can be no {missing}.\n" in printed
    attacks = {row["attack"] for row in rows(tmp_path)}
    assert attacks == {name for name, attack in attack_classes().items() if not attack.needs}
    for attack in ATTACKS:
        assert auroc(tmp_path, attack) == pytest.approx(auroc(plain, attack), abs=2e-3)  # their softmax is in float32
    for row, other in zip(rows(tmp_path, "examples"), rows(plain, "examples"), strict=True):
        assert row["label"] == (other["label"] if labelled else "unknown")
        assert row["memorization"] == row["ood_msp"] == row["ood_energy"] == ""
        assert float(row["privacy_score"]) == pytest.approx(float(other["privacy_score"]), rel=1e-4)
        assert row["n_in"] == other["n_in"]
    assert not rows(tmp_path, "accuracy")
    assert {path.stem for path in plot_logdir(tmp_path)} == {"roc", "attacks", "sweep", "privacy_scores"}
    with refuses("figure", "memorization"):
        load_audit(tmp_path / "analysis").plot("memorization", ax=Figure().subplots())
    with refuses("attacks", "song"):
        analyze.analyze(tmp_path, attacks=["yeom", "song"])


def test_scores_of_the_targets_meet_logits_of_the_shadow_models(record, plain, tmp_path):
    labels, keep, logits = record
    for name in ("run", "others"):
        write(tmp_path / name, labels, keep, {"0000000010.npy": logits})
    with_scores_alone(tmp_path / "run", labels)
    analyze.analyze(tmp_path / "run", ATTACKS, shadow_logdir=tmp_path / "others")
    analyze.analyze(tmp_path / "others", ATTACKS, shadow_logdir=tmp_path / "run")
    for first, second in (("run", "others"), ("others", "run")):
        with open(tmp_path / first / "analysis" / f"shadow_{second}" / "attacks.csv", newline="") as file:
            values = {(row["attack"], row["metric"]): row["value"] for row in csv.DictReader(file)}
        assert float(values["lira_online_fixed", "auroc"]) == pytest.approx(auroc(plain), abs=2e-3)


def test_logits_are_read_where_scores_are_too_and_models_that_have_only_scores_are_named(
    record, plain, tmp_path, capsys
):
    labels, keep, logits = record
    write(tmp_path, labels, keep, {"0000000010.npy": logits})
    for folder in tmp_path.glob("experiment*"):
        (folder / "scores").mkdir()
        np.save(folder / "scores" / "0000000010.npy", np.zeros((EXAMPLES, QUERIES)))
    analyze.analyze(tmp_path, ATTACKS)
    assert rows(tmp_path) == rows(plain)
    shutil.rmtree(tmp_path / "experiment-3_16" / "logits")
    analyze.analyze(tmp_path, ATTACKS)
    assert "1 folder was left out with no logits/EPOCH.npy: experiment-3_16." in capsys.readouterr().out


@pytest.mark.parametrize(
    "spoil, advice",
    [
        (lambda scores: scores[:, 0], "the scores of model 4 must have shape (N, Q)"),
        (lambda scores: scores * np.inf, "the scores of model 4 must be finite. Received: NaN or infinity in "),
        (lambda scores: scores[:-1], "the logits of model 4 must have examples"),
    ],
)
def test_scores_that_are_none_are_named(record, tmp_path, spoil, advice):
    labels, keep, logits = record
    write(tmp_path, labels, keep, {"0000000010.npy": logits})
    with_scores_alone(tmp_path, labels)
    path = tmp_path / "experiment-4_16" / "scores" / "0000000010.npy"
    np.save(path, spoil(np.load(path)))
    with refuses("logdir", advice=advice):
        analyze.analyze(tmp_path, ATTACKS)


def test_models_with_fewer_queries_are_refused_with_the_command_that_asks_them(record, tmp_path):
    """As after `mia_tf.inference`, when a run grows by models that answer what config.json says."""
    labels, keep, logits = record
    write(tmp_path, labels, keep, {"0000000010.npy": logits})
    np.save(tmp_path / "experiment-4_16" / "logits" / "0000000010.npy", logits[4, ..., :1, :])
    with refuses("logdir", (EXAMPLES, 1, 4), f"`python -m mia_tf.inference --queries={QUERIES}` asks all models alike"):
        ShadowModels.open(tmp_path)


def test_without_a_model_the_message_says_what_was_looked_for(record, tmp_path):
    """It once said complete_models=0."""
    np.save(tmp_path / "y_train.npy", record[0])
    looked_for = "must hold complete models: folders experiment* with keep.npy and logits/EPOCH.npy"
    with refuses("logdir", f"{tmp_path} (it has no folder experiment*)", looked_for):
        analyze.analyze(tmp_path)
    (tmp_path / "experiment-0_1" / "ckpt").mkdir(parents=True)
    with refuses("logdir", advice=": experiment-0_1.)"):
        analyze.analyze(tmp_path)


def test_probabilities_are_audited_as_the_logits_are(record, plain, tmp_path):
    labels, keep, logits = record
    odds = np.exp(logits.astype(np.float64))
    probabilities = odds / odds.sum(axis=-1, keepdims=True)
    write(tmp_path / "run", labels, keep, {"0000000010.npy": probabilities})
    analyze.analyze(tmp_path / "run", ATTACKS, outputs="probabilities")
    assert auroc(tmp_path / "run") == pytest.approx(auroc(plain), abs=1e-6)
    for row, other in zip(rows(tmp_path / "run", "examples"), rows(plain, "examples"), strict=True):
        assert row["memorization"] == other["memorization"]
        assert float(row["privacy_score"]) == pytest.approx(float(other["privacy_score"]), rel=1e-5)
    with refuses("logdir", advice="--outputs=probabilities"):
        analyze.analyze(tmp_path / "run", ATTACKS)
    shutil.copytree(tmp_path / "run", tmp_path / "others")  # they are of both LOGDIRs
    analyze.analyze(tmp_path / "run", ATTACKS, shadow_logdir=tmp_path / "others", outputs="probabilities")


def test_one_output_of_two_classes_is_audited_as_two_logits_are(record, tmp_path):
    labels, keep, logits = record
    two = logits[..., :2] * [[0, 1]]
    write(tmp_path / "two", labels % 2, keep, {"0000000010.npy": two.astype(np.float32)})
    write(tmp_path / "one", labels % 2, keep, {"0000000010.npy": two[..., 1:].astype(np.float32)})
    analyze.analyze(tmp_path / "two", ATTACKS)
    analyze.analyze(tmp_path / "one", ATTACKS, outputs="sigmoid")
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


def test_false_positive_rates_can_be_chosen(record, plain, tmp_path, capsys):
    """Without 0.1% among them the summary once ended in a KeyError."""
    shutil.copytree(plain, tmp_path / "run")
    analyze.analyze(tmp_path / "run", ATTACKS, fpr=[0.05, 0.2])
    assert capsys.readouterr().out.splitlines()[0].split() == ["attack", "AUROC", "all", "TPR@5%FPR", "all"]
    metrics = {row["metric"] for row in rows(tmp_path / "run")}
    assert metrics == {"auroc", "advantage", "tpr_at_fpr_0.2", "tpr_at_fpr_0.05"}
