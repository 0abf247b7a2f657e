"""A report beside runs with differential privacy (DP), and the command that writes it."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from dp_helpers import GUARANTEE, make_keep, make_pool, write_run
from refusals import refuses

from mia_tf import analyze
from mia_tf.analysis.dp_comparison import compare
from mia_tf.analysis.result import load_audit
from mia_tf.report import logdir_source
from mia_tf.report.__main__ import report_logdir
from mia_tf.report.comparison import compared, of_run
from mia_tf.report.words import cost_and_gain
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.store import Store
from mia_tf.validation import InputError

ATTACKS = ["yeom", "lira_online_fixed"]


def plain_steps(doing, steps, total):
    return steps


@pytest.fixture(scope="module")
def logdirs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    dataset = make_pool(stand_in="Stand-in data.")
    keep = make_keep(dataset)
    write_run(folder / "plain", dataset, keep, gain=3.0)
    write_run(folder / "dp", dataset, keep, gain=0.0, **GUARANTEE)
    analyze.analyze(folder / "plain", ATTACKS)
    return folder / "plain", folder / "dp"


@pytest.fixture(scope="module")
def comparison(logdirs):
    return compare(*logdirs, labels=["plain (without DP)", "dp (DP)"], attacks=ATTACKS)


def test_the_numbers_are_those_of_the_comparison(logdirs, comparison):
    numbers = of_run(comparison)
    plain, private = numbers["runs"]
    assert [run["label"] for run in numbers["runs"]] == ["plain (without DP)", "dp (DP)"]
    assert numbers["fpr"] == 0.1 and numbers["accuracy_of"] == "test" and numbers["delta"] == 1e-5
    table = comparison.attacks.set_index(["run", "attack", "population", "metric"])["value"]
    assert private["auroc"][0] == table["dp (DP)", "lira_online_fixed", "all", "auroc"]
    assert plain["tpr"][0] == table["plain (without DP)", "lira_online_fixed", "all", "tpr_at_fpr_0.1"]
    assert plain["minus"] == {"auroc": None, "tpr": None, "memorization": None}
    value, low, high = private["minus"]["auroc"]
    assert value == pytest.approx(private["auroc"][0] - plain["auroc"][0]) and low <= value <= high < 0
    assert private["epsilon_upper"] == {"rdp": 3.188, "pld": 2.934} and plain["epsilon_upper"] == {}
    assert plain["epsilon_lower"] > private["epsilon_lower"] >= 0
    (sentence,) = cost_and_gain(numbers)
    assert sentence.startswith("dp (DP): accuracy went from") and "mean memorization from" in sentence
    json.dumps(numbers, allow_nan=False)


def test_paired_differences_are_narrower_than_unpaired_ones(comparison):
    rows = comparison.differences
    assert set(rows["metric"]) >= {"auroc", "tpr_at_fpr_0.1"} and set(rows["run"]) == {"dp (DP)"}
    one = rows.query("attack == 'yeom' and population == 'all' and metric == 'auroc'").iloc[0]
    widths = comparison.attacks.query("attack == 'yeom' and population == 'all' and metric == 'auroc'")
    apart = np.hypot(*(widths["ci_high"] - widths["ci_low"]))
    assert one["minus_plain_high"] - one["minus_plain_low"] < 1.5 * apart


@pytest.fixture
def called(comparison, monkeypatch):
    """What `compare` was called with, without its minutes of work."""
    calls = []

    def recorded(plain, dp, *, labels, **settings):
        calls.append((plain, dp, labels))
        return comparison

    monkeypatch.setattr("mia_tf.report.comparison.compare", recorded)
    return calls


def test_the_run_without_dp_may_be_either_of_them(logdirs, called):
    plain, dp = logdirs
    for logdir, other in ((dp, plain), (plain, dp)):
        compared(logdir, [other], 0, ["yeom"], plain_steps)
        assert called.pop() == (plain, [dp], ["plain (without DP)", "dp (DP)"])
    with pytest.raises(InputError, match="exactly one was trained without DP; 2 were"):
        compared(plain, [plain], 0, ["yeom"], plain_steps)


def test_the_report_of_a_logdir_has_its_pictures_limits_and_comparison(logdirs, called):
    plain, dp = logdirs
    path, limits = report_logdir(plain, [str(dp)], None, ["tpr@0.1:0.2", "auroc:0.99"])
    assert path == plain / "analysis" / "report.html"
    assert [limit["exceeded"] for limit in limits] == [True, False]
    page, numbers = path.read_text(), json.loads((plain / "analysis" / "report.json").read_text())
    assert [run["label"] for run in numbers["comparison"]["runs"]] == ["plain (without DP)", "dp (DP)"]
    assert 'id="comparison"' in page and "the limit of 20% is exceeded" in page and "Stand-in data." in page
    assert re.search(r"△ [\d.\N{MINUS SIGN}]+ points</small>", page) and "of shares in percentage points" in page
    assert "which is an assumption" in page and "prove" not in page
    assert page.count("data:image/png;base64,") == len(numbers["records"]["shown"]) == 10
    assert numbers["records"]["table"] == str(plain / "analysis" / "examples.csv")
    assert numbers["method"]["settings"]["num_experiments"] == "12"
    analyzed, reported = numbers["method"]["commands"]
    assert analyzed.endswith(f"analyze --logdir={plain} --attacks=yeom,lira_online_fixed")
    assert reported.endswith(f"--compare={dp} --fail_above=tpr@0.1:0.2 --fail_above=auroc:0.99")


def run(*arguments):
    command = [sys.executable, "-m", "mia_tf.report", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_the_flags_of_the_analysis_are_in_its_command(logdirs, tmp_path):
    """`--num_targets` and `--epoch` were lost once."""
    plain, _ = logdirs
    epoch = ShadowModels.open(plain).models[0].epoch
    folder = tmp_path / "analysis"
    options = {"num_targets": 4, "fpr": (0.2,), "num_shadow": (1,), "delta": 0.1, "seed": 2, "epoch": epoch}
    analyze.analyze(plain, ["lira_online_fixed"], out=folder, **options)
    source = logdir_source.source(load_audit(folder), Store.open(plain), folder, f"--logdir={plain}", "again", "today")
    flags = "--attacks=lira_online_fixed --fpr=0.2 --num_targets=4 --num_shadow=1 --delta=0.1 --seed=2"
    assert source.commands == [f"python -m mia_tf.analyze --logdir={plain} {flags} --epoch={epoch}", "again"]


def test_the_command_ends_with_3_if_a_limit_is_exceeded(logdirs, tmp_path):
    out = tmp_path / "page.html"
    code, lines, errors = run(f"--logdir={logdirs[0]}", f"--out={out}", "--fail_above=auroc:0.6")
    assert code == 3 and errors == "", errors
    assert lines[0].startswith("auroc is ") and lines[0].endswith("the limit of 60% is exceeded")
    assert lines[1] == str(out) and out.exists() and out.with_suffix(".json").exists()


def test_what_is_missing_is_one_line_with_the_command_that_makes_it(logdirs, tmp_path):
    plain, dp = logdirs
    with pytest.raises(InputError, match=r"Missing file: .*make it with `python -m mia_tf\.analyze --logdir=.*/dp`"):
        report_logdir(dp)
    with pytest.raises(InputError, match=r"Missing file: .*/analysis/shadow_dp/.*--shadow_logdir=.*/dp`"):
        report_logdir(plain, shadow_logdir=dp)
    with pytest.raises(InputError, match="is not resolved by this audit"):
        report_logdir(plain, fail_above=["tpr@0.0001:0.9"])
    facts = plain / "analysis" / "audit.json"
    text = facts.read_text()
    facts.write_text(json.dumps({name: value for name, value in json.loads(text).items() if name != "headline"}))
    with pytest.raises(InputError, match="of an earlier version; make it with "):
        report_logdir(plain)
    facts.write_text(text)


def test_a_read_only_logdir_is_reported_from_the_folder_of_its_analysis(logdirs, tmp_path):
    """`--out` of `mia_tf.analyze` once had no counterpart: the report looked into the LOGDIR alone."""
    _, dp = logdirs
    folder = tmp_path / "elsewhere"
    analyze.analyze(dp, ["yeom"], out=folder)
    code, lines, errors = run(f"--logdir={dp}", f"--analysis={folder}")
    assert (code, errors) == (0, "") and lines == [str(folder / "report.html")]
    commands = json.loads((folder / "report.json").read_text())["method"]["commands"]
    assert commands[0].endswith(f"--logdir={dp} --out={folder} --attacks=yeom")
    assert commands[1].endswith(f"--logdir={dp} --analysis={folder}")
    with refuses("analysis", advice=f"--out={tmp_path / 'empty'}`"):
        report_logdir(dp, analysis=tmp_path / "empty")
    records = (folder / "examples.csv").read_text()
    first = records.splitlines()[1].split(",")[1]
    (folder / "examples.csv").write_text(records.replace(first, "another"))
    with refuses("analysis", folder, advice="its examples are others"):
        report_logdir(dp, analysis=folder)


def test_wrong_folders_are_named_by_their_flags(logdirs, tmp_path):
    plain, _ = logdirs
    with refuses("compare", tmp_path / "nope"):
        report_logdir(plain, [str(tmp_path / "nope")])
    (tmp_path / "file").write_text("")
    with refuses("out"):
        report_logdir(plain, out=tmp_path / "file" / "page.html")
    dataset = make_pool()
    other = tmp_path / "other"
    write_run(other, dataset, ~make_keep(dataset), gain=0.0, **GUARANTEE)
    with refuses("compare", advice="Argument `compare` must"):
        report_logdir(plain, [str(other)])
    of_others = other / "analysis" / "shadow_third"
    of_others.mkdir(parents=True)
    (of_others / "audit.json").write_text("{}")
    with refuses("logdir", other, advice="only analyses with other shadow models (shadow_third): name theirs"):
        report_logdir(other)
