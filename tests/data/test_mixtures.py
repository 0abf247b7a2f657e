"""Every mixture of MIXTURES passes through these tests by itself."""

import numpy as np
import pytest
from refusals import refuses
from synthetic_sources import synthetic_arrays, write_source

from mia_tf.config import DataConfig
from mia_tf.data import load
from mia_tf.data.assembly import example_ids
from mia_tf.data.catalogue import SOURCES
from mia_tf.data.mixtures import MIXTURES, Change, Mixture, like_mnist
from mia_tf.records import OVER, UNDER

PER_LABEL = TEST_PER_LABEL = 12
POOL = 10 * PER_LABEL


@pytest.fixture(params=sorted(MIXTURES))
def mixture(request):
    return MIXTURES[request.param]


def _sources(mixture):
    return list(dict.fromkeys(filter(None, [mixture.over, mixture.under])))


def _arrays(mixture):
    """What is read of each source."""
    return {name: synthetic_arrays(name, PER_LABEL, TEST_PER_LABEL) for name in _sources(mixture)}


def _labels_before(mixture, dataset):
    """(N,) labels that the source gives those pictures, or where they are new pictures, their labels."""
    known = {}
    for name, transform in ((mixture.over, mixture.transform_over), (mixture.under, mixture.transform_under)):
        for split in ("train", "test") if name else ():
            arrays = synthetic_arrays(name, PER_LABEL, TEST_PER_LABEL)
            known |= zip(example_ids(transform(arrays[f"x_{split}"])), arrays[f"y_{split}"].astype(int), strict=True)
    return np.array([known.get(i, label) for i, label in zip(dataset.example_ids, dataset.labels, strict=True)])


def _change(mixture):
    """The change of the under-represented group."""
    return mixture.change_under(None, None)


@pytest.fixture
def load_mixture(mixture, write_archives):
    """Loads the mixture from small archives; without counts, those of the small archives."""
    folder = write_archives(_sources(mixture), per_label=PER_LABEL, test_per_label=TEST_PER_LABEL)

    def loader(**settings):
        small = {"num_under": POOL // 2} if mixture.under else {}
        return load(DataConfig(dataset=mixture.name, data_dir=folder, **{**small, **settings}))

    return loader


def _rows(dataset):
    """What belongs together, a tuple for each example."""
    return list(zip(dataset.example_ids, dataset.labels, dataset.groups, strict=True))


def test_entry_names_known_sources(mixture):
    assert mixture.over in SOURCES
    assert mixture.under is None or mixture.under in SOURCES
    assert (mixture.num_under > 0) == (mixture.under is not None)
    assert mixture.under_from in ("train", "test")
    assert SOURCES[mixture.over].num_classes == mixture.num_classes


def test_counts_groups_and_test_images(mixture, load_mixture):
    dataset = load_mixture()
    num_under = POOL // 2 if mixture.under else 0
    assert np.bincount(dataset.groups, minlength=2).tolist() == [min(POOL, mixture.num_over or POOL), num_under]
    left = POOL - (num_under if mixture.under_from == "test" else 0)
    num_test_under = POOL if mixture.num_test_under is None else min(POOL, mixture.num_test_under)
    assert np.bincount(dataset.test_groups, minlength=2).tolist() == [left, num_test_under if mixture.under else 0]
    assert len(set(dataset.example_ids)) == len(dataset.images)
    assert dataset.name == mixture.name
    assert (dataset.stand_in, dataset.group_names) == ("", mixture.group_names)
    left_out = ["copies"] * (mixture.under_from == "test")  # test images that are examples now
    assert set(dataset.sources) == {*_sources(mixture), *_change(mixture).sources, *left_out}


def test_no_picture_is_both_in_training_and_in_testing(mixture, load_mixture):
    """Neither as it is trained on nor as it was before the change."""
    dataset = load_mixture(num_under=POOL if mixture.under else 0)
    train, test = set(dataset.example_ids), example_ids(dataset.test_images)
    assert train.isdisjoint(test)
    for group in np.unique(dataset.test_groups):
        of_group = test[dataset.test_groups == group]
        assert len(set(of_group)) == len(of_group)
    if mixture.under_from == "test":  # all of the test set is trained on
        assert len(dataset.test_images) == 0


def test_label_ids_are_the_sources(mixture, load_mixture):
    """The under-represented group's too, where its labels are not changed on purpose."""
    if not mixture.under or _change(mixture).apply is not None:
        pytest.skip("no unchanged under-represented group")
    arrays, dataset = _arrays(mixture)[mixture.under], load_mixture()
    for images, labels, groups, split in (
        (dataset.images, dataset.labels, dataset.groups, "train"),
        (dataset.test_images, dataset.test_labels, dataset.test_groups, "test"),
    ):
        known = dict(zip(example_ids(mixture.transform_under(arrays[f"x_{split}"])), arrays[f"y_{split}"], strict=True))
        under = groups == UNDER
        assert [known[i] for i in example_ids(images[under])] == labels[under].tolist()


def test_equal_seeds_change_equally_and_others_do_not(mixture):
    """A change draws everything from the generator that it is given."""
    apply = _change(mixture).apply
    if apply is None:
        pytest.skip("no change")
    arrays = _arrays(mixture)[mixture.under]
    images, labels = mixture.transform_under(arrays["x_train"]), arrays["y_train"].astype(np.int64)
    before = images.copy(), labels.copy()
    first, again, other = (apply(images, labels, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(images, before[0]) and np.array_equal(labels, before[1])
    for changed in (first, other):
        assert changed[0].shape == images.shape and changed[0].dtype == np.uint8
        assert changed[1].shape == labels.shape and changed[1].dtype == np.int64
    assert all(map(np.array_equal, first, again))
    assert not all(map(np.array_equal, first, other))
    # Either the pictures are others or the labels, not both.
    assert np.array_equal(first[0], images) != np.array_equal(first[1], labels)


def test_counts_are_balanced_over_labels(mixture, load_mixture):
    """The labels of the source, where they are changed afterwards."""
    counts = {OVER: 43} | ({UNDER: 27} if mixture.under else {})
    dataset = load_mixture(num_over=43, num_under=counts.get(UNDER, 0))
    labels = _labels_before(mixture, dataset)
    for group, count in counts.items():
        of_label = np.bincount(labels[dataset.groups == group], minlength=mixture.num_classes)
        assert of_label.sum() == count
        assert of_label.max() - of_label.min() == 1


def test_equal_seeds_agree_and_different_seeds_differ(load_mixture):
    first, again, other = (load_mixture(num_over=40, data_seed=seed) for seed in (1, 1, 2))
    assert _rows(first) == _rows(again)
    assert np.array_equal(first.images, again.images)
    assert set(first.example_ids) != set(other.example_ids)
    shuffled = [load_mixture(num_under=0, data_seed=seed) for seed in (1, 2)]
    assert _rows(shuffled[0]) != _rows(shuffled[1])
    assert set(_rows(shuffled[0])) == set(_rows(shuffled[1]))


def test_the_order_of_rows_in_the_source_does_not_matter(mixture, load_mixture, tmp_path):
    before = load_mixture(num_over=40)
    for name, arrays in _arrays(mixture).items():
        for split in ("train", "test"):
            order = np.random.default_rng(5).permutation(len(arrays[f"x_{split}"]))
            for key in (f"x_{split}", f"y_{split}"):
                arrays[key] = arrays[key][order]
        write_source(tmp_path, name, arrays)
    after = load_mixture(num_over=40)
    assert _rows(before) == _rows(after)
    assert np.array_equal(before.images, after.images)
    assert np.array_equal(before.test_images, after.test_images)
    assert np.array_equal(before.test_labels, after.test_labels)


def test_images_and_labels_stay_together(mixture, load_mixture):
    dataset, arrays = load_mixture(), _arrays(mixture)[mixture.over]
    images = mixture.transform_over(arrays["x_train"])
    known = {image.tobytes(): label for image, label in zip(images, arrays["y_train"], strict=True)}
    over = dataset.groups == OVER
    for image, label in zip(dataset.images[over], dataset.labels[over], strict=True):
        assert known[image.tobytes()] == label


def test_dataset_size_keeps_the_first_rows_of_both_groups(mixture, load_mixture):
    whole, part = load_mixture(), load_mixture(dataset_size=60)
    assert _rows(part) == _rows(whole)[:60]
    # Of 180 rows 60 are under-represented: 60 drawn hold 20 of them, give or take 3 standard deviations of 3.
    assert not mixture.under or 11 <= (part.groups == UNDER).sum() <= 29
    size = len(whole.images)
    with refuses("dataset_size", size + 1, f"must be at most {size}"):
        load_mixture(dataset_size=size + 1)


def test_no_under_represented_group(mixture, load_mixture, tmp_path):
    dataset = load_mixture(num_under=0)
    assert (dataset.groups == OVER).all() and (dataset.test_groups == OVER).all()
    if mixture.under and mixture.under != mixture.over:
        archive = tmp_path / mixture.under
        # It is not needed, and not looked for.
        archive.rename(tmp_path / "away") if archive.is_dir() else archive.with_suffix(".npz").unlink()
        assert _rows(load_mixture(num_under=0)) == _rows(dataset)


def test_another_number_of_one_group_leaves_the_other_as_it_was(mixture, load_mixture):
    if not mixture.under:
        pytest.skip("one group")
    few, many = (load_mixture(num_over=30, num_under=n) for n in (10, 50))
    assert set(few.example_ids[few.groups == OVER]) == set(many.example_ids[many.groups == OVER])
    every = load_mixture(num_under=10)
    assert set(few.example_ids[few.groups == UNDER]) == set(every.example_ids[every.groups == UNDER])


def test_too_many_says_how_many_there_are(mixture, load_mixture):
    with refuses("num_over", 121):
        load_mixture(num_over=121)
    if mixture.under:
        with refuses("num_under", 121):
            load_mixture(num_under=121)
    else:
        with refuses("num_under", 5):
            load_mixture(num_under=5)


@pytest.mark.parametrize(
    ("name", "num_under"),  # Choi et al., section 6 and Appendix C: all of MNIST or CIFAR-10, and that many
    [
        *[("mnist_svhn", 1000), ("mnist_cifar10", 6000), ("cifar10_cifar100", 1000)],
        *[("mnist_augmnist", 1000), ("cifar10_augcifar10", 1000)],
        # Carlini et al. 2022, "Why Some Examples Are Less Private": 1,000 in the 50,000 of CIFAR-10.
        *[("cifar10_cinic10", 1000), ("cifar10_mislabeled", 1000), ("cifar10_cifar100_random", 1000)],
    ],
)
def test_the_papers_sizes(name, num_under):
    mixture = MIXTURES[name]
    assert (mixture.num_over, mixture.num_under) == (None, num_under)


def test_svhn_comes_as_grey_28x28_pictures(write_archives, tmp_path):
    dataset = load(DataConfig(data_dir=write_archives(), num_under=120))
    with np.load(tmp_path / "svhn.npz") as archive:
        expected = {image.tobytes() for image in like_mnist(archive["x_train"])}
        expected_test = {image.tobytes() for image in like_mnist(archive["x_test"])}
    assert {image.tobytes() for image in dataset.images[dataset.groups == UNDER]} == expected
    assert {image.tobytes() for image in dataset.test_images[dataset.test_groups == UNDER]} == expected_test


def test_unknown_data_set():
    with refuses("dataset", "mnits"):
        load(DataConfig(dataset="mnits"))


@pytest.fixture
def noisy(monkeypatch):
    """A mixture of CIFAR-10 with noisy CIFAR-10, and the calls of its change."""
    calls = []

    def apply(images, labels, rng):
        calls.append(len(images))
        noise = rng.integers(0, 256, images.shape, dtype=np.uint8)
        return images ^ noise, labels

    change = Change(apply, sources={"noise": "drawn"})
    mixture = Mixture("noisy", "cifar10", "cifar10", num_under=40, change_under=lambda *_: change, num_test_under=5)
    monkeypatch.setitem(MIXTURES, "noisy", mixture)
    return calls


def test_a_change_sees_the_chosen_examples_only(noisy, write_archives):
    dataset = load(DataConfig(dataset="noisy", data_dir=write_archives(["cifar10"])))
    assert noisy == [40, 5]
    assert np.array_equal(dataset.example_ids, example_ids(dataset.images))
    assert np.bincount(dataset.test_groups).tolist() == [30, 5]
    assert set(dataset.sources) == {"cifar10", "noise"}


def test_no_change_where_the_group_is_not_asked_for(noisy, write_archives):
    dataset = load(DataConfig(dataset="noisy", data_dir=write_archives(["cifar10"]), num_under=0))
    assert noisy == [] and dataset.stand_in == "" and set(dataset.sources) == {"cifar10"}


def test_training_and_test_examples_are_changed_by_different_draws(noisy, write_archives, tmp_path):
    folder = write_archives(["cifar10"])
    with np.load(tmp_path / "cifar10.npz") as archive:
        arrays = dict(archive) | {"x_test": archive["x_train"] ^ 255, "y_test": archive["y_train"]}
    np.savez(tmp_path / "cifar10.npz", **arrays)
    dataset = load(DataConfig(dataset="noisy", data_dir=folder, num_under=120))
    under, test = (dataset.groups == UNDER), (dataset.test_groups == UNDER)
    # Equal noise would leave each test picture the inverse of a training picture.
    inverted = {image.tobytes() for image in dataset.images[under] ^ 255}
    assert inverted.isdisjoint(image.tobytes() for image in dataset.test_images[test])


def test_changes_that_give_one_picture_in_training_and_in_testing(monkeypatch, write_archives):
    """A change that wipes pictures out gives equal ones: PixMix once made two of MNIST's black all over."""

    def wiped(images, labels, rng):
        return np.where((labels == 7)[:, None, None, None], 0, images ^ 255).astype(np.uint8), labels

    mixture = Mixture("wiped", "cifar10", "cifar10", num_under=40, change_under=lambda *_: Change(wiped))
    monkeypatch.setitem(MIXTURES, "wiped", mixture)
    dataset = load(DataConfig(dataset="wiped", data_dir=write_archives(["cifar10"])))
    assert set(dataset.example_ids).isdisjoint(example_ids(dataset.test_images))
    assert np.bincount(dataset.test_labels[dataset.test_groups == UNDER], minlength=10).tolist() == [3] * 7 + [0, 3, 3]


def _plant(folder, name, **planted):
    """Overwrites the first images and labels of an archive's splits."""
    with np.load(folder / f"{name}.npz") as archive:
        arrays = dict(archive)
    for key, values in planted.items():
        arrays[key][: len(values)] = values
    np.savez(folder / f"{name}.npz", **arrays)


def test_copies_of_a_picture_are_not_among_the_under_represented(write_archives, tmp_path):
    folder = write_archives()
    with np.load(tmp_path / "cifar10.npz") as archive:
        of_the_other_group = archive["x_train"][:2]
    twins = np.repeat(np.arange(3, dtype=np.uint8), 2)[:, None, None, None] + np.zeros((6, 32, 32, 3), np.uint8)
    _plant(tmp_path, "cifar100_first10", x_train=np.concatenate([of_the_other_group, twins]))
    with refuses("num_under", 113):  # 120 less 2 less 6
        load(DataConfig(dataset="cifar10_cifar100", data_dir=folder, num_under=113))
    dataset = load(DataConfig(dataset="cifar10_cifar100", data_dir=folder, num_under=112))
    assert len(set(dataset.example_ids)) == len(dataset.images) == 232


def test_a_test_picture_that_is_a_training_example_is_left_out(write_archives, tmp_path):
    folder = write_archives()
    with np.load(tmp_path / "cifar10.npz") as archive:
        training_images = archive["x_train"][:4]
    _plant(tmp_path, "cifar10", x_test=training_images[:2])
    _plant(tmp_path, "cifar100_first10", x_test=training_images[2:])
    dataset = load(DataConfig(dataset="cifar10_cifar100", data_dir=folder, num_under=60))
    assert np.bincount(dataset.test_groups).tolist() == [28, 28]
    assert set(dataset.example_ids).isdisjoint(example_ids(dataset.test_images))


@pytest.mark.parametrize("name", ["cifar10_mislabeled", "cifar10_cifar100_random"])
def test_new_labels_for_the_same_pictures(name, write_archives):
    mixture, sizes = MIXTURES[name], {"per_label": 60, "test_per_label": 60}
    folder = write_archives(_sources(mixture), **sizes)
    dataset = load(DataConfig(dataset=name, data_dir=folder, num_under=600))
    under = dataset.groups == UNDER
    arrays = synthetic_arrays(mixture.under, **sizes)
    split = mixture.under_from
    truth = dict(zip(example_ids(arrays[f"x_{split}"]), arrays[f"y_{split}"], strict=True))
    true = np.array([truth[i] for i in dataset.example_ids[under]])
    kept = (dataset.labels[under] == true).mean()
    if name == "cifar10_mislabeled":
        assert kept == 0
    else:
        assert abs(kept - 0.1) < 5 * np.sqrt(0.1 * 0.9 / 600)  # five standard deviations


def test_mislabeled_pictures_leave_the_test_set(write_archives):
    folder = write_archives(["cifar10"], test_per_label=12)
    few, many = (load(DataConfig(dataset="cifar10_mislabeled", data_dir=folder, num_under=n)) for n in (10, 90))
    every = set(example_ids(synthetic_arrays("cifar10", test_per_label=12)["x_test"]))
    for dataset in (few, many):
        trained_on = set(dataset.example_ids[dataset.groups == UNDER])
        assert trained_on | set(example_ids(dataset.test_images)) == every
        assert len(dataset.test_images) == 120 - len(trained_on)
        assert (dataset.test_groups == OVER).all()


def test_test_images_may_be_examples_too(mixture, load_mixture):
    if mixture.under_from == "test":
        with refuses("pool_test", True):
            load_mixture(pool_test=True)
        return
    dataset = load_mixture(pool_test=True, num_over=POOL + 10 * TEST_PER_LABEL)
    arrays = synthetic_arrays(mixture.over, PER_LABEL, TEST_PER_LABEL)
    expected = [mixture.transform_over(arrays[f"x_{split}"]) for split in ("train", "test")]
    over = dataset.example_ids[dataset.groups == OVER]
    assert sorted(over) == sorted(np.concatenate([example_ids(images) for images in expected]))
    assert len(dataset.test_images) == len(dataset.test_labels) == 0
    # The same again, whatever is in which file; and other examples than without the flag.
    again = load_mixture(pool_test=True, num_over=POOL + 10 * TEST_PER_LABEL)
    np.testing.assert_array_equal(dataset.images, again.images)
    assert all("test images included" in source for source in dataset.sources.values() if "images" in source)
