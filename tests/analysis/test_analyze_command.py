"""`python -m mia_tf.analyze` from a LOGDIR to its tables, and what it says of bad input."""

import csv
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from refusals import ANY, refuses
from sklearn.metrics import roc_auc_score
from toys import make_dataset
from train_commands import run

from mia_tf import analyze
from mia_tf.analysis import tables
from mia_tf.analysis.statistics import spearman
from mia_tf.analysis.tables import in_order
from mia_tf.attacks import attack_classes
from mia_tf.records import ModelRecord
from mia_tf.shadow.kept import Kept
from mia_tf.store import Store

MODELS, QUERIES = 12, 2
FAMILIES = ["yeom", "shokri", "sablayrolles", "song", "lira", "rmia", "label_only", "quantile", "trajectory"]
HEADERS = {
    "attacks": "attack,population,metric,value,ci_low,ci_high,num_targets,num_members,num_nonmembers,note",
    "examples": "index,example_id,label,group,n_in,n_out,memorization,memorization_se,privacy_score,ood_msp,ood_energy,"
    "lira_evidence,exposure,exposure_low,exposure_high,rank,models_needed",
    "accuracy": "split,group,mean,ci_low,ci_high,num_models",
    "curves": "attack,population,fpr,tpr",
    "correlations": "x,y,group,spearman,p_value,n,note",
    "comparisons": "attack,other_attack,population,other_population,num_shadow,other_num_shadow,auroc_difference,"
    "ci_low,ci_high",
}

OF_ONE_EPOCH = {name: attack for name, attack in attack_classes().items() if "epochs" not in attack.needs}
FILES = sorted([*(f"{name}.csv" for name in HEADERS), "audit.json"])


def random_models(dataset, seed=0, num_models=MODELS, gain=2.0):
    """keep (M, N) and logits (M, N, 1, Q, C) of models surer of their members, which differ in difficulty."""
    rng = np.random.default_rng(seed)
    count = len(dataset.labels)
    keep = rng.random((num_models, count)).argsort(axis=0) < num_models // 2
    logits = rng.normal(size=(num_models, count, 1, QUERIES, dataset.num_classes)).astype(np.float32)
    margin = rng.normal(size=count) + gain * keep * rng.random(count)
    logits[:, np.arange(count), 0, :, dataset.labels] += np.moveaxis(np.float32(margin), 0, 1)[..., None]
    return keep, logits


def write_logdir(logdir, dataset, keep, logits, metrics=lambda index: {}):
    store = Store.create(logdir, {}, lambda: dataset)
    for index in range(len(keep)):
        hparams = {"num_experiments": len(keep)}
        assert store.write(ModelRecord(index, keep[index], logits[index], 3, hparams, metrics(index)))


def read_table(logdir, name):
    with open(logdir / "analysis" / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def column(rows, name):
    return np.array([float(row[name] or "nan") for row in rows])


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory):
    """An analyzed LOGDIR, and what its models were."""
    logdir = tmp_path_factory.mktemp("analyzed") / "run"
    dataset = make_dataset(num_over=180, num_under=30)
    keep, logits = random_models(dataset)
    write_logdir(logdir, dataset, keep, logits, lambda index: {"test_accuracy_all": 0.5 + 0.01 * index})
    analyze.analyze(logdir)
    return logdir, dataset, keep, logits


def test_the_tables_have_their_columns_and_nothing_else_is_left(analyzed):
    folder = analyzed[0] / "analysis"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(f"{name}.csv" for name in HEADERS), "audit.json"]
    )
    for name, header in HEADERS.items():
        assert (folder / f"{name}.csv").read_text().splitlines()[0] == header


def test_examples_are_those_of_the_logdir_with_their_memorization(analyzed):
    logdir, dataset, keep, logits = analyzed
    rows = read_table(logdir, "examples")
    assert [row["example_id"] for row in rows] == dataset.example_ids.tolist()
    assert [row["group"] for row in rows] == ["over"] * 180 + ["under"] * 30
    np.testing.assert_array_equal(column(rows, "index"), np.arange(210))
    np.testing.assert_array_equal(column(rows, "label"), dataset.labels)
    np.testing.assert_array_equal(column(rows, "n_in"), 6)
    np.testing.assert_array_equal(column(rows, "n_out"), 6)
    correct = logits[:, :, 0, 0].argmax(axis=-1) == dataset.labels
    expected = [correct[k, i].mean() - correct[~k, i].mean() for i, k in enumerate(keep.T)]
    np.testing.assert_allclose(column(rows, "memorization"), expected, atol=1e-9)
    energy = -np.log(np.exp(logits[:, :, 0, 0].astype(np.float64)).sum(axis=-1))
    np.testing.assert_allclose(column(rows, "ood_energy"), [energy[~k, i].mean() for i, k in enumerate(keep.T)], 1e-8)
    assert np.isfinite(column(rows, "privacy_score")).all()
    assert column(rows, "lira_evidence").mean() > 0.05  # members do differ


def test_attacks_are_measured_on_every_population(analyzed):
    logdir, dataset, keep, logits = analyzed
    rows = read_table(logdir, "attacks")
    assert len(rows) == len(OF_ONE_EPOCH) * 3 * 7
    by_key = {(row["attack"], row["population"], row["metric"]): row for row in rows}
    plain = logits[:, :, 0].astype(np.float64)
    label = np.broadcast_to(dataset.labels[:, None, None], (MODELS, 210, QUERIES, 1))
    losses = np.log(np.exp(plain).sum(axis=-1)) - np.take_along_axis(plain, label, axis=-1)[..., 0]
    score = -losses.mean(axis=-1)
    slices = {"all": slice(None), "over": slice(180), "under": slice(180, None)}
    for population, chosen in slices.items():
        row = by_key["yeom", population, "auroc"]
        expected = roc_auc_score(keep[:, chosen].ravel(), score[:, chosen].ravel())
        assert float(row["value"]) == pytest.approx(expected, abs=1e-6)
        assert float(row["ci_low"]) < expected < float(row["ci_high"])
        assert int(row["num_members"]) == int(row["num_nonmembers"]) == 6 * len(range(210)[chosen])
    row = by_key["yeom", "under", "tpr_at_fpr_0.001"]
    assert (row["value"], row["ci_low"], row["note"]) == ("", "", "unresolved: 180 non-members, 1000 needed")
    assert by_key["lira_online_fixed", "all", "tpr_at_fpr_0.001"]["value"] != ""


def test_comparisons_are_differences_of_the_table_of_attacks(analyzed):
    auroc = {
        (row["attack"], row["population"]): float(row["value"])
        for row in read_table(analyzed[0], "attacks")
        if row["metric"] == "auroc"
    }
    rows = read_table(analyzed[0], "comparisons")
    # Each attack on either group less that on all, and on each population the recommended one less the others.
    assert len(rows) == len(OF_ONE_EPOCH) * 2 + (len(OF_ONE_EPOCH) - 1) * 3
    for row in rows:
        own, others = ((row[f"{o}attack"], row[f"{o}population"]) for o in ("", "other_"))
        expected = auroc[own] - auroc[others]
        assert float(row["auroc_difference"]) == pytest.approx(expected, abs=1e-9)
        assert float(row["ci_low"]) <= expected <= float(row["ci_high"])
        assert own[0] == ("lira_online_fixed" if own[0] != others[0] else others[0])


def test_curves_hold_the_reported_points(analyzed):
    rows = read_table(analyzed[0], "curves")
    reported = {(row["attack"], row["metric"]): row["value"] for row in read_table(analyzed[0], "attacks")[:7]}
    attack = rows[0]["attack"]
    curve = [row for row in rows if (row["attack"], row["population"]) == (attack, "all")]
    assert len(curve) <= 400
    below = column(curve, "fpr") <= 0.001
    assert column(curve, "tpr")[below].max() == pytest.approx(float(reported[attack, "tpr_at_fpr_0.001"]))


def test_accuracy_on_members_on_others_and_on_test_images(analyzed):
    logdir, dataset, keep, logits = analyzed
    by_split = {(row["split"], row["group"]): row for row in read_table(logdir, "accuracy")}
    assert set(by_split) == {(s, g) for s in ("train", "out") for g in ("all", "over", "under")} | {("test", "all")}
    correct = logits[:, :, 0, 0].argmax(axis=-1) == dataset.labels
    means = [right[:180][member[:180]].mean() for right, member in zip(correct, keep, strict=True)]
    assert float(by_split["train", "over"]["mean"]) == pytest.approx(np.mean(means), abs=1e-9)
    assert float(by_split["test", "all"]["mean"]) == pytest.approx(0.555)
    assert int(by_split["out", "under"]["num_models"]) == MODELS


def test_correlations_are_those_of_the_table_of_examples(analyzed):
    examples = read_table(analyzed[0], "examples")
    rows = read_table(analyzed[0], "correlations")
    assert len(rows) == 5 * 3
    under = np.array([row["group"] == "under" for row in examples])
    for row in rows:
        mask = {"all": under | True, "under": under, "over": ~under}[row["group"]]
        rho, p, n = spearman(column(examples, row["x"])[mask], column(examples, row["y"])[mask])
        assert (float(row["spearman"]), float(row["p_value"]), int(row["n"])) == pytest.approx((rho, p, n), abs=1e-6)
        assert ("not trained on" in row["note"]) == row["y"].startswith("ood_")


def test_the_summary_names_the_stand_in_the_variant_and_the_files(tmp_path, capsys):
    dataset = make_dataset()
    dataset = type(dataset)(**{**vars(dataset), "stand_in": "Rendered digits stand in for SVHN."})
    write_logdir(tmp_path, dataset, *random_models(dataset))
    analyze.analyze(tmp_path, attacks=["yeom", "lira_online_fixed"], num_targets=3)
    printed = capsys.readouterr().out
    assert "Rendered digits stand in for SVHN." in printed
    assert "lira_online_fixed: below 64 models one variance" in printed.split("With 12 models")[1]
    assert printed.splitlines()[0].split()[:3] == ["attack", "AUROC", "all"]
    assert all(str(tmp_path / "analysis" / f"{name}.csv") in printed for name in HEADERS)
    rows = read_table(tmp_path, "attacks")
    assert {row["attack"] for row in rows} == {"yeom", "lira_online_fixed"}
    assert {row["num_targets"] for row in rows} == {"3"}


SWEEP = "attack,population,num_shadow,metric,value,ci_low,ci_high,num_targets,num_members,num_nonmembers,note"
EPSILON = "attack,population,delta,epsilon_lower,confidence,threshold,tpr,fpr,num_members,num_nonmembers,note"


def test_attacks_are_listed_as_the_papers_do(analyzed):
    listed = list(dict.fromkeys(row["attack"] for row in read_table(analyzed[0], "attacks")))
    families = [next(f for f in FAMILIES if name.startswith(f)) for name in listed]
    assert families == sorted(families, key=FAMILIES.index)
    assert set(listed) == set(OF_ONE_EPOCH)
    assert in_order(["zeta", "rmia", "alpha", "yeom", "rmia"]) == ["yeom", "rmia", "zeta", "alpha"]


def test_a_sweep_and_bounds_come_beside_the_same_tables(analyzed, tmp_path, capsys):
    logdir, dataset, keep, logits = analyzed
    write_logdir(tmp_path, dataset, keep, logits, lambda index: {"test_accuracy_all": 0.5 + 0.01 * index})
    analyze.analyze(tmp_path, num_shadow=[5, 1, 2], delta=1e-5)
    printed = capsys.readouterr().out
    for name in HEADERS:  # what is measured with all models stays as it is without a sweep
        both = [read_table(folder, name) for folder in (tmp_path, logdir)]
        assert [row for row in both[0] if not row.get("other_num_shadow")] == both[1]
    assert (tmp_path / "analysis" / "sweep.csv").read_text().splitlines()[0] == SWEEP
    assert (tmp_path / "analysis" / "epsilon.csv").read_text().splitlines()[0] == EPSILON
    full = {(row["attack"], row["population"], row["metric"]): row for row in read_table(tmp_path, "attacks")}
    rows = read_table(tmp_path, "sweep")
    swept = {name for name, attack in OF_ONE_EPOCH.items() if attack.limitable}
    assert {"yeom", "song", "shokri"}.isdisjoint(swept)
    assert len(rows) == len(swept) * 3 * 3 * 7
    for row in rows:
        whole = full[row["attack"], row["population"], row["metric"]]
        # Every model is a target on every example, however few shadow models there are.
        assert row["num_targets"] == "12"
        if row["num_shadow"] == "5":  # all that a target leaves
            assert {name: row[name] for name in whole} == whole
    unfitted = next(r for r in rows if (r["attack"], r["num_shadow"], r["metric"]) == ("lira_online", "1", "auroc"))
    assert (unfitted["value"], unfitted["note"]) == ("", "210 examples not scored: too few models")
    bounds = read_table(tmp_path, "epsilon")
    assert len(bounds) == len(OF_ONE_EPOCH) * 3
    assert {(row["delta"], row["confidence"]) for row in bounds} == {("1e-05", "0.95")}
    assert all(int(row["num_members"]) + int(row["num_nonmembers"]) <= 210 for row in bounds)
    assert "shadow models per side" in printed and "epsilon at least, under" in printed
    assert all(str(tmp_path / "analysis" / f"{name}.csv") in printed for name in ("sweep", "epsilon"))
    analyze.analyze(tmp_path, attacks=["lira_online_fixed"], delta=0.1)
    left = {path.name for path in (tmp_path / "analysis").glob("*.csv")}
    assert left == {f"{name}.csv" for name in [*HEADERS, "epsilon"]}  # no sweep of other models or settings


def test_models_that_are_still_missing_are_counted(tmp_path, capsys):
    dataset = make_dataset()
    keep, logits = random_models(dataset)
    store = Store.create(tmp_path, {"num_experiments": 40}, lambda: dataset)
    for index in range(MODELS):
        assert store.write(ModelRecord(index, keep[index], logits[index], 3, {"num_experiments": 40}, {}))
    analyze.analyze(tmp_path, attacks=["yeom"])
    assert "12 of 40 models are complete; these were analyzed." in capsys.readouterr().out


def test_equal_seeds_write_equal_files(analyzed, tmp_path):
    _, dataset, keep, logits = analyzed
    write_logdir(tmp_path, dataset, keep, logits, lambda index: {"test_accuracy_all": 0.5 + 0.01 * index})
    analyze.analyze(tmp_path)
    for name in HEADERS:
        path = f"analysis/{name}.csv"
        assert (tmp_path / path).read_bytes() == (analyzed[0] / path).read_bytes()


def test_a_logdir_of_liras_published_code(analyzed, tmp_path):
    """It has y_train.npy, keep.npy and logits, and neither config.json nor groups; unfinished runs have no logits."""
    logdir, dataset, keep, logits = analyzed
    np.save(tmp_path / "y_train.npy", dataset.labels)
    np.save(tmp_path / "x_train.npy", dataset.images)
    for index in range(MODELS):
        folder = tmp_path / f"experiment-{index}_{MODELS + 1}"
        (folder / "logits").mkdir(parents=True)
        np.save(folder / "keep.npy", keep[index])
        np.save(folder / "logits" / "0000000020.npy", logits[index] * 0)
        np.save(folder / "logits" / "0000000100.npy", logits[index])
    (tmp_path / f"experiment-{MODELS}_{MODELS + 1}" / "ckpt").mkdir(parents=True)
    analyze.analyze(tmp_path)
    ours = [row for row in read_table(logdir, "attacks") if row["population"] == "all"]
    assert read_table(tmp_path, "attacks") == ours
    assert {row["group"] for row in read_table(tmp_path, "examples")} == {
        "all"
    }  # one group is neither over- nor under-represented


def spoil(keep, logits, what):
    keep, logits = list(keep), list(logits)
    if what == "three models":
        return keep[:3], logits[:3]
    if what == "classes":
        logits[5] = logits[5][..., :3]
    elif what == "queries":
        logits[5] = logits[5][:, :, :1]
    elif what == "examples":
        keep[5], logits[5] = keep[5][:-1], logits[5][:-1]
    return keep, logits


@pytest.mark.parametrize(
    "what, refusal",
    [
        ("three models", ("logdir", "3 complete models")),
        ("classes", ("logdir", ANY, "logits of model 5")),
        ("queries", ("logdir", ANY, "logits of model 5")),
        ("examples", ("logdir", ANY, "logits of model 5")),
    ],
)
def test_models_that_do_not_fit_together_are_named_and_nothing_is_written(tmp_path, what, refusal):
    dataset = make_dataset()
    write_logdir(tmp_path, dataset, *spoil(*random_models(dataset), what))
    with refuses(*refusal):
        analyze.analyze(tmp_path)
    assert not (tmp_path / "analysis").exists()


def test_logits_that_are_not_finite_are_named_and_earlier_tables_stay(tmp_path):
    dataset = make_dataset()
    write_logdir(tmp_path, dataset, *random_models(dataset))
    analyze.analyze(tmp_path, attacks=["yeom"])
    before = (tmp_path / "analysis" / "attacks.csv").read_bytes()
    path = next(tmp_path.glob("experiment-7_*/logits/*.npy"))
    logits = np.load(path)
    logits[3, 0, 0, 0] = np.nan
    np.save(path, logits)
    with refuses("logdir", advice="logits of model 7 must be finite"):
        analyze.analyze(tmp_path)
    assert sorted(p.name for p in (tmp_path / "analysis").iterdir()) == sorted(
        [*(f"{name}.csv" for name in HEADERS), "audit.json"]
    )
    assert (tmp_path / "analysis" / "attacks.csv").read_bytes() == before


def test_tables_of_a_failed_analysis_are_never_mixed_with_earlier_ones(tmp_path, monkeypatch):
    """The plot command once drew new attacks beside the examples of an analysis before them."""
    dataset = make_dataset()
    write_logdir(tmp_path, dataset, *random_models(dataset))
    analyze.analyze(tmp_path, attacks=["yeom"], num_shadow=[], delta=0.1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "analysis").iterdir()}

    csv_text = tables.csv_text

    def full_disk(name, frame):
        if name == "curves":
            raise OSError(28, "No space left on device")
        return csv_text(name, frame)

    monkeypatch.setattr("mia_tf.analysis.tables.csv_text", full_disk)
    with refuses("logdir", advice="No space left on device"):
        analyze.analyze(tmp_path, attacks=["rmia"])
    assert {path.name: path.read_bytes() for path in (tmp_path / "analysis").iterdir()} == before


def test_a_full_disk_is_named_while_the_models_are_read(tmp_path, monkeypatch):
    """NumPy's own error was once all that was said: 800 requested and 0 written."""
    dataset = make_dataset()
    write_logdir(tmp_path, dataset, *random_models(dataset))
    monkeypatch.setattr("mia_tf.analysis.study.LARGEST_IN_MEMORY", 0)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with refuses("logdir", tmp_path, "File too large"):
            analyze.analyze(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not (tmp_path / "analysis").exists()
    with pytest.raises(OSError, match="No space left on device"):
        Kept(Path("/dev")).append("full", np.zeros((3, 4)))


def test_a_config_that_cannot_be_read_is_said_before_any_work(tmp_path, monkeypatch):
    dataset = make_dataset()
    write_logdir(tmp_path, dataset, *random_models(dataset))
    (tmp_path / "config.json").write_text("{")
    monkeypatch.setattr("mia_tf.analysis.study.audit", lambda *_, **__: pytest.fail("worked"))
    with refuses("logdir", advice="Cannot read"):
        analyze.analyze(tmp_path)


def command(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "`logdir` must be given"),
        (["--logdir=/nowhere/at/all"], "logdir=/nowhere/at/all"),
        (["--logdir={logdir}", "--attacks=yeom,magic"], "attacks=magic"),
        (["--logdir={logdir}", "--num_targets=0"], "num_targets=0"),
        (["--logdir={logdir}", "--num_shadow=2,x"], "num_shadow=x"),
        (["--logdir={logdir}", "--num_shadow=0"], "num_shadow=0"),
        (["--logdir={logdir}", "--num_shadow=6"], "num_shadow=6"),
        (["--logdir={logdir}", "--num_shadow=2", "--attacks=yeom"], "attacks=yeom"),
        (["--logdir={logdir}", "--delta=1"], "delta=1"),
        (["--logdir={logdir}", "--colour=red"], "colour"),
        (["--logdir={logdir}", "--fpr=0.1,low"], "`fpr`"),
        (["--logdir={logdir}", "--fpr=0.1,1"], "fpr=1.0"),
        (["--logdir={logdir}", "--epoch=7"], "epoch=7"),
        (["--logdir={logdir}", "--epoch=-1"], "`epoch`"),
        (["--logdir={logdir}", "--outputs=loss"], "`outputs`"),
        (["--logdir={logdir}", "--outputs=probabilities"], "the models' answers must be probabilities"),
        (["--logdir={logdir}", "--shadow_logdir=/nowhere"], "`shadow_logdir`"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(analyzed, arguments, message):
    ended = run(*(a.format(logdir=analyzed[0]) for a in arguments), module="mia_tf.analyze")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("mia_tf.analyze: ")
    assert message in line


def test_the_flags_reach_the_analysis(analyzed, tmp_path):
    shutil.copytree(analyzed[0], tmp_path / "run")
    flags = ["--fpr=0.25", "--outputs=logits", "--epoch=3", "--attacks=yeom"]
    assert run(f"--logdir={tmp_path / 'run'}", *flags, module="mia_tf.analyze").returncode == 0
    metrics = {(row["attack"], row["metric"]) for row in read_table(tmp_path / "run", "attacks")}
    assert metrics == {("yeom", "auroc"), ("yeom", "advantage"), ("yeom", "tpr_at_fpr_0.25")}


def test_help_takes_less_than_two_seconds_of_work():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "--num_targets" in command("-m", "mia_tf.analyze", "--help").stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Time of the processor, not of the clock, which others on the machine would lengthen.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


def test_no_framework_is_imported(analyzed):
    program = (
        "import sys, pathlib; from mia_tf import analyze; analyze.analyze(pathlib.Path(sys.argv[1]));"
        "print(sorted({'tensorflow', 'keras', 'jax', 'torch', 'matplotlib'} & set(sys.modules)))"
    )
    ended = command("-c", program, str(analyzed[0]))
    assert ended.stdout.splitlines()[-1] == "[]", ended.stderr


def test_a_folder_for_the_tables_that_cannot_be_made_is_named_before_any_work(analyzed, tmp_path):
    (tmp_path / "file").touch()
    with refuses("out", tmp_path / "file" / "tables"):
        analyze.analyze(analyzed[0], out=tmp_path / "file" / "tables")
