"""Which examples of the under-represented group stay, and which files may say so."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import ANY, refuses
from toys import make_dataset

from mia_tf.config import DataConfig, ExperimentConfig
from mia_tf.data import check_new_models, earlier_run, fingerprint, load, selection
from mia_tf.data.selection import select, smallest_cluster
from mia_tf.records import OVER, UNDER
from mia_tf.store import Store

# ---- subpopulations


def planted(sizes, dimensions=16, seed=0):
    """Features in clusters of the given sizes around corners 30 standard deviations apart, and their clusters."""
    rng = np.random.default_rng(seed)
    cluster = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return 30 * np.eye(dimensions)[cluster] + rng.normal(size=(len(cluster), dimensions)), cluster


def first_of_each(cluster, counts):
    """(N,) bool: D_U has the first `counts` examples of each cluster."""
    under = np.zeros(len(cluster), bool)
    for k, count in enumerate(counts):
        under[np.flatnonzero(cluster == k)[:count]] = True
    return under


@settings(max_examples=20, deadline=None)
@given(st.permutations([12, 20, 31, 45, 60]), st.lists(st.integers(0, 12), min_size=5, max_size=5), st.integers(0, 99))
def test_planted_clusters_are_found_and_the_smallest_of_the_whole_mixture_gives_its_members(sizes, counts, seed):
    features, cluster = planted(sizes, seed=seed)
    under = first_of_each(cluster, counts)
    chosen, clusters = smallest_cluster(features, under, seed)
    assert np.array_equal(chosen, under & (cluster == np.argmin(sizes)))
    assert clusters.tolist() == sorted([size, count] for size, count in zip(sizes, counts, strict=True))


def test_of_equally_small_clusters_that_with_more_of_the_under_represented_is_taken():
    for counts in ([3, 5, 0, 9, 9], [5, 3, 0, 9, 9]):
        features, cluster = planted([10, 10, 10, 40, 40])
        under = first_of_each(cluster, counts)
        chosen, _ = smallest_cluster(features, under, seed=0)
        assert np.array_equal(chosen, under & (cluster == np.argmax(counts[:3])))


def test_only_the_first_ten_components_count():
    """Twelve directions that matter: the two of least variance, which alone tell the smallest cluster, are not seen."""
    rng = np.random.default_rng(0)
    cluster = rng.permutation(np.repeat(np.arange(5), [10, 40, 40, 40, 40]))
    features = np.concatenate([100 * rng.normal(size=(170, 10)), (cluster == 0)[:, None] * np.ones(2)], axis=1)
    chosen, _ = smallest_cluster(features, np.ones(170, bool), seed=0)
    without, _ = smallest_cluster(features[:, :10], np.ones(170, bool), seed=0)
    assert np.array_equal(chosen, without) and not np.array_equal(chosen, cluster == 0)


def test_equal_seeds_agree_and_different_seeds_differ():
    features, under = np.random.default_rng(0).normal(size=(300, 12)), np.arange(300) < 100
    chosen = [smallest_cluster(features, under, seed)[0] for seed in (1, 1, 2, 3, 4)]
    assert np.array_equal(chosen[0], chosen[1])
    assert any(not np.array_equal(chosen[0], other) for other in chosen[2:])  # noise has no clusters of its own


@pytest.mark.parametrize(
    "features, refusal",
    [
        (np.repeat(np.eye(4), 10, axis=0), ("features", "4 different ones")),
        (np.full((40, 3), np.nan), ("features", "NaN or infinity")),
        (np.zeros((39, 3)), ("features", "shape (39, 3)")),
    ],
)
def test_features_that_cannot_be_clustered(features, refusal):
    with refuses(*refusal):
        smallest_cluster(features, np.arange(40) < 20, seed=0)


def clustered_features(dataset, network, seed):
    """A stand-in for a network: five clusters, the smallest of which holds D_U's examples of label 0 alone."""
    assert (network, seed) == ("cnn8-3-max", 7)
    cluster = np.where((dataset.groups == UNDER) & (dataset.labels == 0), 4, dataset.labels)
    return np.eye(5)[cluster] + np.random.default_rng(0).normal(scale=0.01, size=(len(cluster), 5))


SUBPOPULATION = DataConfig(under="subpopulation", features="cnn8-3-max", data_seed=7)


def test_a_subpopulation_takes_the_place_of_the_under_represented():
    before = make_dataset()
    after = select(before, SUBPOPULATION, clustered_features)
    stay = (before.groups == OVER) | (before.labels == 0)
    for name in ("images", "labels", "groups", "example_ids"):
        assert np.array_equal(getattr(after, name), getattr(before, name)[stay])
    for name in ("test_images", "test_labels", "test_groups"):
        assert np.array_equal(getattr(after, name), getattr(before, name))
    assert after.group_names == ("over-represented", "under-represented, subpopulation")
    count = ((before.groups == UNDER) & (before.labels == 0)).sum()
    assert after.sources["selection"].startswith(
        f"subpopulation: {count} of 16 under-represented in the smallest cluster of cnn8-3-max's features "
        f"(clusters of the mixture: {count} of {count}, "
    )


def test_a_subpopulation_that_is_empty_is_refused_with_the_clusters():
    def none_of_them(dataset, network, seed):
        return clustered_features(dataclasses.replace(dataset, groups=1 - dataset.groups), network, seed)

    dataset = make_dataset(num_over=20, num_under=40)
    with refuses("under", "subpopulation"):
        select(dataset, SUBPOPULATION, none_of_them)


def test_the_under_represented_may_be_clustered_alone():
    """They are one cluster of the mixture; the smallest of the five that they fall into by themselves is label 0."""
    rng = np.random.default_rng(0)
    under_labels = rng.permutation(np.repeat(np.arange(5), [6, 12, 13, 14, 15]))
    before = dataclasses.replace(
        make_dataset(num_over=60, num_under=60, num_classes=5),
        labels=np.concatenate([rng.permutation(np.arange(60) % 5), under_labels]),
    )

    def far_apart(dataset, network, seed):
        centres = np.concatenate([np.eye(5), np.full((5, 1), 0.0)], axis=1)[dataset.labels]
        centres[dataset.groups == UNDER, 5] = 100
        return centres + rng.normal(scale=0.01, size=centres.shape)

    with refuses("under", "subpopulation", "--clustered=under takes clusters of D_U alone"):
        select(before, SUBPOPULATION, far_apart)
    after = select(before, dataclasses.replace(SUBPOPULATION, clustered="under"), far_apart)
    stay = (before.groups == OVER) | (before.labels == 0)
    assert np.array_equal(after.example_ids, before.example_ids[stay])
    assert "(clusters of D_U: 6 of 6, 12 of 12, 13 of 13, 14 of 14, 15 of 15)" in after.sources["selection"]


def test_no_group_to_select_from_is_said_before_a_network_is_trained():
    with refuses("under", "subpopulation"):
        select(make_dataset(num_under=0), SUBPOPULATION, pytest.fail)


# ---- singletons


def write_run(logdir, dataset, memorization, config=(), errors=None):
    """A LOGDIR as `train` and `analyze` leave it, with the memorization of every example."""
    store = Store.create(logdir, {"dataset": dataset.name, "seed": 0, **dict(config)}, lambda: dataset)
    (store.logdir / "analysis").mkdir()
    with open(store.logdir / "analysis" / "examples.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["example_id", "label", "group", "n_in", "n_out", "memorization", "memorization_se"])
        for i, value in enumerate(memorization):
            cell = "" if np.isnan(value) else value
            about = [dataset.example_ids[i], dataset.labels[i], ("over", "under")[dataset.groups[i]]]
            writer.writerow([*about, 5, 3, cell, 0.1])
    return str(logdir)


@pytest.fixture
def dataset():
    return make_dataset()


@pytest.fixture
def memorization(dataset):
    """Half of either group is above 0.8; one is at 0.8 exactly."""
    values = np.where(np.arange(64) % 2, 0.9, 0.1)
    values[50] = 0.8
    return values


def singletons(logdir, **settings):
    return DataConfig(**{"dataset": "toy", "under": "singletons", "scores_from": logdir, "threshold": 0.8, **settings})


def test_singletons_are_the_under_represented_above_the_threshold_by_id(dataset, memorization, tmp_path):
    """The earlier run has the same examples in another order."""
    order = np.random.default_rng(0).permutation(64)
    arrays = {name: getattr(dataset, name)[order] for name in ("images", "labels", "groups", "example_ids")}
    logdir = write_run(tmp_path, dataclasses.replace(dataset, **arrays), memorization[order])
    after = select(dataset, singletons(logdir))
    stay = (dataset.groups == OVER) | (memorization > 0.8)
    assert np.array_equal(after.example_ids, dataset.example_ids[stay])
    assert np.array_equal(after.images, dataset.images[stay])
    assert after.group_names[1] == "under-represented, singletons"
    source = after.sources["selection"]
    assert "singletons: 8 of 16 under-represented with memorization above 0.8 by 8 models" in source
    assert earlier_run.read(logdir).config_digest in source and "standard error 0.1 in the median" in source


def test_the_digest_of_singletons_is_that_of_their_ids_and_not_of_the_path(dataset, memorization, tmp_path):
    one, moved = (write_run(tmp_path / name, dataset, memorization) for name in ("one", "moved"))
    first, again = (fingerprint(singletons(logdir)) for logdir in (one, moved))
    assert first == again and first["threshold"] == 0.8
    assert fingerprint(singletons(one, threshold=0.79)) != {**first, "threshold": 0.79}  # 0.8 itself comes in
    assert fingerprint(singletons(one, threshold=0.85)) == {**first, "threshold": 0.85}  # the same ones are above


def test_the_paper_has_a_threshold_for_each_over_represented_data_set(dataset, memorization, tmp_path):
    logdir = write_run(tmp_path, dataset, memorization)
    assert fingerprint(singletons(logdir, dataset="mnist_svhn", threshold=None))["threshold"] == 0.8
    assert selection.THRESHOLDS["cifar10"] == 0.5
    with refuses("threshold", None, "must be given: there is no default for dataset=npz:own.npz"):
        select(dataset, singletons(logdir, dataset="npz:own.npz", threshold=None))


def test_a_threshold_above_all_is_refused_with_the_highest(dataset, memorization, tmp_path):
    logdir = write_run(tmp_path, dataset, memorization)
    with refuses("threshold", 0.95):
        select(dataset, singletons(logdir, threshold=0.95))


@pytest.mark.parametrize(
    "change, refusal",
    [
        ({"stand_in": "rendered"}, ("scores_from", ANY, "must be a run on the same data, not a stand-in")),
        (
            {"example_ids": np.array([f"{i:016x}" for i in [*range(63), 99]])},
            ("scores_from", ANY, "1 of its 16 have none there"),
        ),
        ({"groups": np.repeat(np.uint8([0, 1]), [50, 14])}, ("scores_from", ANY, "2 of its 16 have none there")),
    ],
    ids=["stand-in", "other examples", "other groups"],
)
def test_the_memorization_of_other_data_is_refused(change, refusal, dataset, memorization, tmp_path):
    logdir = write_run(tmp_path, dataclasses.replace(dataset, **change), memorization)
    with refuses(*refusal):
        select(dataset, singletons(logdir))


def test_memorization_under_other_labels_is_refused(write_archives, tmp_path):
    """Fewer of the same pictures draw other random labels: what was memorized of a picture is of its old label."""
    config = DataConfig(
        dataset="cifar10_mislabeled", num_over=40, num_under=30, data_source="npz", data_dir=write_archives(["cifar10"])
    )
    all_of_them = load(config)
    memorization = np.where(all_of_them.groups == UNDER, 0.9, 0.0)
    logdir = write_run(tmp_path / "run", all_of_them, memorization)
    config = dataclasses.replace(config, under="singletons", scores_from=logdir)
    assert np.array_equal(load(config).labels, all_of_them.labels)
    with refuses("scores_from", advice="of its 20 have none there under their labels"):
        load(dataclasses.replace(config, num_under=20))


def test_memorization_that_could_not_be_measured_is_refused(dataset, memorization, tmp_path):
    memorization[-3:] = np.nan
    logdir = write_run(tmp_path, dataset, memorization)
    with refuses("scores_from", advice="must have the memorization of all"):
        select(dataset, singletons(logdir))


@pytest.mark.parametrize(
    "now, refusal",
    [
        ({"seed": 0}, ("seed", 0)),
        ({"dataset": "mnist"}, ("scores_from", ANY, "must be of the same data: dataset is toy there, mnist now")),
        ({"dataset_digest": "ab"}, ("scores_from", ANY, "must be of the same data: dataset_digest is None there, ab")),
    ],
)
def test_models_that_could_be_the_same_are_refused(now, refusal, dataset, memorization, tmp_path):
    config = singletons(write_run(tmp_path / "earlier", dataset, memorization))
    fresh = {"dataset": "toy", "seed": 1}
    (tmp_path / "earlier" / "analysis" / "examples.csv").unlink()  # which need not be read for this
    check_new_models(config, fresh, tmp_path / "new")
    with refuses(*refusal):
        check_new_models(config, {**fresh, **now}, tmp_path / "new")


def test_the_same_logdir_under_any_name_is_refused(dataset, memorization, tmp_path):
    config = singletons(write_run(tmp_path / "earlier", dataset, memorization))
    (tmp_path / "link").symlink_to(tmp_path / "earlier")
    for name in ("earlier", "link", "link/../earlier"):
        with refuses("scores_from", advice="must not be --logdir"):
            check_new_models(config, {"dataset": "toy", "seed": 1}, tmp_path / name)


def test_a_run_that_is_not_analyzed_or_not_ours_is_refused(dataset, tmp_path):
    with refuses("scores_from", advice="must be a LOGDIR that `python -m mia_tf.train` wrote"):
        fingerprint(singletons(str(tmp_path)))
    Store.create(tmp_path / "run", {"dataset": "toy"}, lambda: dataset)
    with refuses("scores_from", advice="examples.csv; make it with `python -m mia_tf.analyze"):
        fingerprint(singletons(str(tmp_path / "run")))


# ---- examples that are left out


def test_examples_that_a_file_names_are_left_out(dataset, tmp_path):
    leave = [3, 50, 63]
    (tmp_path / "ids.txt").write_text("".join(f"{dataset.example_ids[i]}\n" for i in [*leave, 3]))
    after = select(dataset, DataConfig(without=str(tmp_path / "ids.txt")))
    assert np.array_equal(after.example_ids, np.delete(dataset.example_ids, leave))
    assert np.array_equal(after.images, np.delete(dataset.images, leave, axis=0))
    assert after.group_names == dataset.group_names
    assert after.sources["without"].startswith("3 of 64 examples, 2 of D_U, left out")


def test_the_digest_is_of_the_ids_that_are_left_out(dataset, tmp_path):
    texts = {"a": "x\ny\n", "b": "y\n\nx", "c": "x\nz\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    a, b, c = (fingerprint(DataConfig(without=str(tmp_path / name))) for name in "abc")
    assert a == b != c and set(a) == {"without_digest"}


@pytest.mark.parametrize(
    "content, refusal",
    [
        (None, ("without", ANY, "must be a text file of example ids, one per line (No such")),
        (b"\x93NUMPY", ("without", ANY, "must be a text file of example ids")),
        (b"\n \n", ("without", ANY, "must name an example")),
        (
            b"0000000000000001\nffffffffffffffff\neeee",
            ("without", ANY, "must name examples of toy; 2 are not, eeee first"),
        ),
    ],
)
def test_a_file_that_does_not_name_examples_is_refused(content, refusal, dataset, tmp_path):
    if content is not None:
        (tmp_path / "ids.txt").write_bytes(content)
    with refuses(*refusal):
        select(dataset, DataConfig(without=str(tmp_path / "ids.txt")))


# ---- settings


@pytest.mark.parametrize(
    "settings, refusal",
    [
        ({"under": "odd"}, ("under", "odd")),
        ({"features": "cnn8-3-max"}, ("features", "cnn8-3-max")),
        ({"under": "subpopulation", "features": "vit"}, ("features", "vit")),
        ({"clustered": "under"}, ("clustered", "under")),
        ({"clustered": "all"}, ("clustered", "all")),
        ({"scores_from": "runs/a"}, ("scores_from", ANY, "needs --under=singletons")),
        ({"threshold": 0.5}, ("threshold", 0.5)),
        ({"under": "singletons"}, ("under", "singletons")),
        ({"under": "singletons", "scores_from": "a", "threshold": 1.0}, ("threshold", 1.0)),
        ({"under": "singletons", "scores_from": "a", "threshold": float("nan")}, ("threshold", ANY, "threshold=nan")),
    ],
)
def test_settings_that_do_not_go_together(settings, refusal):
    with refuses(*refusal):
        DataConfig(**settings)


def test_what_is_not_selected_is_not_written(tmp_path):
    """config.json of a LOGDIR from before there was a selection, which must go on: these fields and no others."""
    assert {name for name in ExperimentConfig().to_dict() if name in DataConfig.__dataclass_fields__} == {
        "dataset", "data_source", "num_over", "num_under", "dataset_size", "data_seed"
    }  # fmt: skip
    assert fingerprint(DataConfig()) == {}
    written = ExperimentConfig(data=SUBPOPULATION).to_dict()
    assert written["under"] == "subpopulation" and written["features"] == "cnn8-3-max"
    assert fingerprint(DataConfig(under="subpopulation")) == {"features": "efficientnetb0"}
    written = ExperimentConfig(data=singletons(str(tmp_path), without="ids.txt")).to_dict()
    assert {"scores_from", "without"}.isdisjoint(written) and written["threshold"] == 0.8
    json.dumps(written)


def test_a_mixture_is_loaded_with_its_selection(write_archives):
    """The whole way from a DataConfig; labels stand in for features."""

    def labels_as_features(dataset, network, seed):
        return np.eye(10)[dataset.labels] + np.random.default_rng(0).normal(scale=0.01, size=(len(dataset.labels), 10))

    config = DataConfig(data_dir=write_archives(), num_under=40)
    whole = load(config)
    part = load(dataclasses.replace(config, under="subpopulation"), labels_as_features)
    assert 0 < (part.groups == UNDER).sum() < 40
    assert np.array_equal(part.example_ids, whole.example_ids[np.isin(whole.example_ids, part.example_ids)])
    assert set(whole.example_ids[whole.groups == OVER]) <= set(part.example_ids)
    with refuses("under", "subpopulation"):
        load(dataclasses.replace(config, under="subpopulation"))
