"""The frontier of leak and accuracy over epsilon, on fabricated runs that leak less the more noise they have."""

import csv
import sys

import numpy as np
import pytest
from dp_helpers import GUARANTEE, MODELS, make_keep, make_pool, write_run

from experiments.open_questions import vacuous_guarantees as question
from experiments.open_questions import vacuous_page
from mia_tf.records import ModelRecord
from mia_tf.store import Store

GAINS = {"none": 3.0, "clip": 2.0, "3": 0.0}
EPSILONS = {"clip": None, "3": 3.0}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three complete points, one that lacks models, and a run of one model whose examples fair coins chose."""
    folder = tmp_path_factory.mktemp("frontier")
    dataset = make_pool()
    keep = make_keep(dataset)
    for name, gain in GAINS.items():
        bound = {"epsilon_rdp": EPSILONS.get(name), "epsilon_pld": EPSILONS.get(name)}
        write_run(folder / name, dataset, keep, gain, **({} if name == "none" else {**GUARANTEE, **bound}))
    write_run(folder / "100", dataset, keep, 1.0, indices=range(MODELS - 1), **GUARANTEE)
    coins = {"num_experiments": 2, "subsets": "bernoulli", "pkeep": 0.5}
    store = Store.create(folder / "one_run_none", coins, lambda: dataset)
    count = len(dataset.labels)
    member = np.random.default_rng(0).random(count) < 0.5
    logits = np.eye(dataset.num_classes, dtype=np.float32)[dataset.labels] * np.where(member, 9, 1)[:, None]
    assert store.write(ModelRecord(0, member, logits.reshape(count, 1, 1, -1).astype(np.float32), 3, coins, {}))
    return folder


def test_complete_points_and_single_models_are_measured(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(question, "BESIDE_LIRA", ())
    monkeypatch.setattr(sys, "argv", ["vacuous_guarantees", f"--runs={runs}", f"--out={tmp_path}"])
    question.main()
    assert capsys.readouterr().err.split(": ")[1].split(", ")[0] == "10"
    table, single = (
        list(csv.DictReader((tmp_path / f"vacuous_guarantees{name}.csv").read_text().splitlines()))
        for name in ("", "_one_run")
    )
    assert list(dict.fromkeys(row["point"] for row in table)) == list(GAINS)
    assert {row["quantity"] for row in table} == {"accuracy", "memorization", "attack", "epsilon_lower"}
    auroc = {row["point"]: row for row in table if (row["metric"], row["population"]) == ("auroc", "under")}
    assert float(auroc["none"]["value"]) > float(auroc["clip"]["value"]) > float(auroc["3"]["value"])
    assert [auroc[name]["epsilon_rdp"] for name in GAINS] == ["", "inf", "3"]
    assert auroc["clip"]["minus_clip"] == auroc["none"]["minus_none"] == ""
    less = float(auroc["3"]["value"]) - float(auroc["clip"]["value"])
    assert float(auroc["3"]["minus_clip"]) == pytest.approx(less)
    assert float(auroc["3"]["minus_clip_high"]) < 0
    bounds = {row["population"]: float(row["epsilon_lower"]) for row in single}
    assert bounds["all"] > 2 and {(row["point"], row["epsilon_rdp"]) for row in single} == {("none", "inf")}
    page = (tmp_path / "vacuous_guarantees.md").read_text()
    assert "Not complete yet, and left out: 10, 100, 1e4, 1e6, one_run_0.3, one_run_1.3." in page
    assert page.splitlines()[2].startswith("This cannot be answered yet: 10, 100, 1e4")  # no vacuous epsilon is there
    assert f"| epsilon 3 | {100 * float(auroc['3']['value']):.1f} [" in page
    assert f"| no DP | none | none | {bounds['all']:.3g} |" in page
    assert (tmp_path / "vacuous_guarantees.png").read_bytes().startswith(b"\x89PNG")


def test_all_points_share_every_setting_but_the_privacy(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(question.subprocess, "run", lambda command, check: calls.append(command[3:]))
    question.train(tmp_path, tmp_path, ["--workers=1"])
    by_folder = {next(flag for flag in call if "logdir" in flag).rsplit("/", 1)[1]: set(call) for call in calls}
    assert list(by_folder) == [*question.POINTS, *question.ONE_RUN]
    for name, flags in question.POINTS.items():
        own = {*flags, f"--logdir={tmp_path / name}"}
        assert own | by_folder["none"] == by_folder[name] | {f"--logdir={tmp_path / 'none'}"}
        assert name == "none" or set(question.DP) < set(flags)
    assert all("--subsets=bernoulli" in by_folder[name] for name in question.ONE_RUN)


def test_the_answer_follows_the_paired_differences():
    def row(epsilon, value, minus_none, minus_clip):
        row = {"epsilon_rdp": epsilon, "value": value, "ci_low": value - 0.02, "ci_high": value + 0.02}
        return {**row, "minus_none_high": minus_none + 0.03, "minus_clip_high": minus_clip + 0.03}

    nothing = {"none": row(np.nan, 0.9, 0, 0), "clip": row(np.inf, 0.8, -0.1, 0), "1e4": row(1e4, 0.79, -0.11, -0.01)}
    text = vacuous_page.answer(nothing, "LiRA", [])
    assert text.startswith("Their noise has no effect that this small run can show")
    assert "Clipping alone lowers" in text and "Noise does not lower it measurably" in text
    assert "still beats guessing at epsilon 1e4." in text
    text = vacuous_page.answer({**nothing, "100": row(100, 0.51, -0.4, -0.3), "3": row(3, 0.5, -0.4, -0.3)}, "LiRA", [])
    assert text.startswith("They weaken the attack")
    assert "Noise lowers it further at epsilon 100, and not measurably at 1e4." in text
    assert "still beats guessing at epsilon 1e4." in text and "epsilon 3" not in text
