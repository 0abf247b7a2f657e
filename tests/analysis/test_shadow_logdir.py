"""`python -m mia_tf.analyze --shadow_logdir`: one LOGDIR's models attacked with another's."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from refusals import refuses
from toys import make_dataset

from mia_tf import analyze
from mia_tf.attacks import attack_classes
from mia_tf.figures import style
from mia_tf.plot import plot_logdir
from mia_tf.records import ModelRecord
from mia_tf.store import Store

QUERIES = 2


def write_logdir(logdir, dataset, num_models, seed, queries=QUERIES, gain=3.0):
    """A LOGDIR of models surer of their members, on subsets of the seed; returns keep (M, N)."""
    rng = np.random.default_rng(seed)
    count = len(dataset.labels)
    keep = rng.random((num_models, count)).argsort(axis=0) < num_models // 2
    logits = rng.normal(size=(num_models, count, 1, queries, dataset.num_classes)).astype(np.float32)
    logits[:, np.arange(count), 0, :, dataset.labels] += np.float32(gain) * keep.T[..., None]
    store = Store.create(logdir, {}, lambda: dataset)
    for index in range(num_models):
        store.write(ModelRecord(index, keep[index], logits[index], 3, {"num_experiments": num_models}, {}))
    return keep


def read_table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def aurocs(folder, population="all"):
    rows = read_table(folder / "attacks.csv")
    return {
        r["attack"]: float(r["value"] or "nan") for r in rows if (r["metric"], r["population"]) == ("auroc", population)
    }


@pytest.fixture(scope="module")
def dataset():
    return make_dataset(num_over=180, num_under=30)


def test_a_copy_of_the_logdir_gives_what_the_logdir_itself_gives(dataset, tmp_path):
    write_logdir(tmp_path / "run", dataset, 12, seed=0)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    # Not Shokri's attack, which deals the models into folds at random, here twice as many.
    attacks = ["yeom", "song", "sablayrolles", "lira_online_fixed", "lira_offline", "rmia"]
    analyze.analyze(tmp_path / "run", attacks, num_shadow=[2], delta=1e-5)
    analyze.analyze(tmp_path / "run", attacks, num_shadow=[2], delta=1e-5, shadow_logdir=tmp_path / "copy")
    own, other = tmp_path / "run" / "analysis", tmp_path / "run" / "analysis" / "shadow_copy"
    names = sorted(path.name for path in other.iterdir())
    assert names == sorted(path.name for path in own.iterdir() if path.is_file())
    for name in names:
        original, copied = read_table(own / name), read_table(other / name)
        assert original and original == copied


def test_targets_of_another_logdir_are_attacked_with_all_shadow_models(dataset, tmp_path):
    num_targets = 5
    keep = write_logdir(tmp_path / "a" / "targets", dataset, 6, seed=1)
    write_logdir(tmp_path / "b" / "shadows", dataset, 16, seed=2)
    analyze.analyze(tmp_path / "a" / "targets", None, num_targets, shadow_logdir=tmp_path / "b" / "shadows")
    folder = tmp_path / "a" / "targets" / "analysis" / "shadow_..+b+shadows"
    of_attack = aurocs(folder)
    assert set(of_attack) == {name for name, attack in attack_classes().items() if "epochs" not in attack.needs}
    assert min(of_attack.values()) > 0.7
    rows = read_table(folder / "attacks.csv")
    members = int(keep[:num_targets].sum())
    counts = {(r["num_targets"], r["num_members"], r["num_nonmembers"]) for r in rows if r["population"] == "all"}
    assert counts == {(str(num_targets), str(members), str(210 * num_targets - members))}
    # What is said of the examples is said of the targets.
    np.testing.assert_array_equal([int(r["n_in"]) for r in read_table(folder / "examples.csv")], keep.sum(axis=0))


def test_one_target_model_is_enough(dataset, tmp_path, capsys, monkeypatch):
    """It once said that no example had shadow models, left columns of examples.csv empty, and could not be drawn."""
    write_logdir(tmp_path / "targets", dataset, 2, seed=1)
    shutil.rmtree(next((tmp_path / "targets").glob("experiment-1_*")))
    write_logdir(tmp_path / "shadows", dataset, 16, seed=2)
    analyze.analyze(tmp_path / "targets", delta=1e-5, num_shadow=[3], shadow_logdir=tmp_path / "shadows")
    folder = tmp_path / "targets" / "analysis" / "shadow_shadows"
    assert min(aurocs(folder).values()) > 0.7
    printed = capsys.readouterr().out
    assert "No example has shadow models" not in printed and "Epsilon was not bounded: with one target" in printed
    examples = read_table(folder / "examples.csv")
    assert {(row["n_in"], row["n_out"]) for row in examples} == {("8", "8")}  # of the shadow models
    assert all(row[name] for row in examples for name in ("memorization", "privacy_score", "ood_msp", "lira_evidence"))
    monkeypatch.setattr(style, "_KINDS", {"png": {"dpi": 50}})
    paths = list(plot_logdir(tmp_path / "targets"))
    assert {path.parent for path in paths} == {folder / "figures"}
    assert {"roc", "memorization", "examples"} <= {path.stem for path in paths}


def test_a_target_whose_membership_was_drawn_by_coins_has_a_bound_on_epsilon(dataset, tmp_path):
    write_logdir(tmp_path / "targets", dataset, 2, seed=1, gain=9.0)
    shutil.rmtree(next((tmp_path / "targets").glob("experiment-1_*")))
    config = {"subsets": "bernoulli", "pkeep": 0.5}
    (tmp_path / "targets" / "config.json").write_text(json.dumps(config))
    write_logdir(tmp_path / "shadows", dataset, 16, seed=2, gain=9.0)
    analyze.analyze(tmp_path / "targets", ["lira_online_fixed"], delta=1e-5, shadow_logdir=tmp_path / "shadows")
    rows = read_table(tmp_path / "targets" / "analysis" / "shadow_shadows" / "epsilon.csv")
    bound = {row["population"]: row for row in rows}["all"]
    assert float(bound["epsilon_lower"]) > 1 and bound["note"].startswith("one run, fair coins: ")
    assert int(bound["num_members"]) + int(bound["num_nonmembers"]) == 105  # half of the examples are tested


def test_shadow_models_of_none_of_the_examples_attack_offline(dataset, tmp_path, capsys):
    write_logdir(tmp_path / "targets", dataset, 6, seed=1)
    write_logdir(tmp_path / "shadows", dataset, 8, seed=2, gain=0)
    for path in (tmp_path / "shadows").glob("experiment-*/keep.npy"):
        np.save(path, np.zeros(210, bool))
    analyze.analyze(tmp_path / "targets", shadow_logdir=tmp_path / "shadows")
    of_attack = aurocs(tmp_path / "targets" / "analysis" / "shadow_shadows")
    offline = {name: value for name, value in of_attack.items() if "offline" in name}
    assert min(offline.values()) > 0.7 and np.isnan([of_attack["lira_online"], of_attack["lira_online_fixed"]]).all()
    assert "the online LiRA has no scores" in capsys.readouterr().out


@pytest.mark.parametrize("spoil", [lambda s: s.T, lambda s: s[:, :-1], lambda s: s[:, :1], lambda s: s[:, 0]])
def test_scores_of_another_shape_are_refused(dataset, tmp_path, monkeypatch, spoil):
    write_logdir(tmp_path / "run", dataset, 6, seed=1)
    honest = attack_classes()["yeom"].score
    monkeypatch.setattr(attack_classes()["yeom"], "score", lambda self, block: spoil(honest(self, block)))
    with refuses("attacks", advice="must have shape"):
        analyze.analyze(tmp_path / "run", ["yeom"])


def test_several_shadow_logdirs_have_tables_of_their_own(dataset, tmp_path):
    write_logdir(tmp_path / "targets", dataset, 4, seed=1)
    for seed, name in enumerate(("one", "two"), start=2):
        write_logdir(tmp_path / name, dataset, 8, seed=seed)
        analyze.analyze(tmp_path / "targets", ["lira_online"], shadow_logdir=tmp_path / name)
    one, two = (aurocs(tmp_path / "targets" / "analysis" / f"shadow_{name}") for name in ("one", "two"))
    assert one != two


@pytest.mark.parametrize(
    "what, message",
    [
        ("order", "same examples in the same order as --logdir; the ids differ"),
        ("labels", "the labels differ"),
        ("size", "the ids differ"),
        ("queries", "as many queries of as many classes as --logdir: 2 and 4 by the targets, 1 and 4 by"),
        ("models", "must hold at least 4 complete models"),
        ("subsets", "by another --seed"),
    ],
)
def test_a_shadow_logdir_that_does_not_fit_is_refused(dataset, tmp_path, what, message):
    shadows, settings, num_models = dataset, {}, 3 if what == "models" else 8
    if what == "order":
        shadows = dataclasses.replace(dataset, example_ids=dataset.example_ids[::-1])
    if what == "labels":
        shadows = dataclasses.replace(dataset, labels=dataset.labels[::-1].copy())
    if what == "size":
        shadows = make_dataset(num_over=179, num_under=30)
    if what == "queries":
        settings = {"queries": 1}
    write_logdir(tmp_path / "targets", dataset, 4, seed=1)
    write_logdir(tmp_path / "shadows", shadows, num_models, seed=2, **settings)
    if what == "subsets":
        for target in (tmp_path / "targets").glob("experiment-2_*"):
            keep = np.load(target / "keep.npy")
            keep[:10] = ~keep[:10]
            np.save(next((tmp_path / "shadows").glob("experiment-5_*")) / "keep.npy", keep)
    with refuses("shadow_logdir", advice=message):
        analyze.analyze(tmp_path / "targets", shadow_logdir=tmp_path / "shadows")
