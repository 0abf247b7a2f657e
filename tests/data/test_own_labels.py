"""Classes, ids, names and copies in a user's own archive."""

import numpy as np
import pytest
from refusals import ANY, refuses

from mia_tf.config import DataConfig
from mia_tf.data import load
from mia_tf.store import Store

COUNT = 40


@pytest.fixture
def own(tmp_path):
    """Writes an archive of random pictures and the arrays given, and loads it."""

    def loader(y_train, y_test=None, settings=(), **arrays):
        rng = np.random.default_rng(0)
        arrays = {"x_train": rng.integers(0, 256, (len(y_train), 9, 7), np.uint8), "y_train": y_train, **arrays}
        if y_test is not None:
            arrays = {"x_test": rng.integers(0, 256, (len(y_test), 9, 7), np.uint8), **arrays, "y_test": y_test}
        np.savez(tmp_path / "own.npz", **arrays)
        loader.pictures = arrays["x_train"]
        return load(DataConfig(dataset=f"npz:{tmp_path / 'own.npz'}", **dict(settings)))

    return loader


def _in_order(dataset, pictures, values):
    """Values of the examples in the order of the archive's rows."""
    of_picture = {image.tobytes(): value for image, value in zip(dataset.images, values, strict=True)}
    return [of_picture[picture.tobytes()] for picture in pictures]


@pytest.mark.parametrize(
    "labels, names, note",
    [
        ([0, 1, 2, 3], None, None),
        ([1, 2, 3, 4], ("1", "2", "3", "4"), "4 classes, named 1, 2, 3, 4. No example has the label 0."),
        (
            [0, 3, 7, 40],
            ("0", "3", "7", "40"),
            "4 classes, named 0, 3, 7, 40. No example has the label 1, 2, 4, 5, 6, 8, 9, 10, 11, 12 and 27 more.",
        ),
        (["dog", "cat"], ("cat", "dog"), "2 classes, named cat, dog."),
        (["10", "9", "1"], ("1", "9", "10"), "3 classes, named 1, 9, 10."),
        ([False, True], None, None),
        ([2.0, 5.0], ("2", "5"), "2 classes, named 2, 5. No example has the label 0, 1, 3, 4."),
    ],
)
def test_classes_are_the_labels_that_occur(own, labels, names, note):
    """Labels 1 to 4 once made a fifth output, and labels up to 40 made 41."""
    given = np.resize(labels, COUNT)
    dataset = own(given)
    assert dataset.num_classes == len(labels) and dataset.classes == names
    assert dataset.sources.get("classes") == note
    shown = [names[label] if names else label for label in dataset.labels]
    expected = [str(int(v) if isinstance(v, np.floating) else v) if names else int(v) for v in given]
    assert _in_order(dataset, own.pictures[..., np.newaxis], shown) == expected


def test_one_hot_labels_are_taken_and_empty_columns_named(own):
    labels = np.arange(COUNT) % 3 * 2
    dataset = own(np.eye(6)[labels])
    assert dataset.classes == ("0", "2", "4") and np.bincount(dataset.labels).tolist() == [14, 13, 13]
    assert dataset.sources["classes"] == "3 classes, named 0, 2, 4. No example has the label 1, 3, 5."


def test_given_class_names_are_in_the_order_of_the_labels(own):
    dataset = own(np.arange(COUNT) % 2 * 2, classes=["ship", "dog", "cat"])
    assert dataset.classes == ("ship", "cat")
    assert dataset.sources["classes"] == "2 classes, named ship, cat. No example has the label dog."
    texts = own(np.resize(["cat", "ship"], COUNT), classes=["ship", "dog", "cat"])
    assert texts.classes == ("ship", "cat") and np.array_equal(1 - dataset.labels, texts.labels)


def test_test_labels_are_numbered_as_the_training_labels(own):
    for labels, tests in (([3, 7, 9], [9, 3]), (["b", "c", "d"], ["d", "b"])):
        dataset = own(np.resize(labels, COUNT), np.resize(tests, 10))
        assert dataset.num_classes == 3 and np.bincount(dataset.test_labels).tolist() == [5, 0, 5]


def test_labels_of_test_pictures_that_become_examples_are_classes(own):
    for labels, tests, classes in (
        ([3, 7], [9, 3], ("3", "7", "9")),
        (["b", "c"], ["a", "b"], ("a", "b", "c")),
        ([0, 1], [2, 1], None),
    ):
        arrays = np.resize(labels, COUNT), np.resize(tests, 10)
        dataset = own(*arrays, settings={"pool_test": True})
        assert dataset.num_classes == 3 and dataset.classes == classes and len(dataset.labels) == 50
        with refuses("dataset", str(tests[0])):
            own(*arrays)


@pytest.mark.parametrize(
    "labels, tests, arrays, refusal",
    [
        ([1], None, {}, ("dataset", "only label 1")),
        (["a"], None, {}, ("dataset", "only 'a'")),
        (["a", "b"], [0, 1], {}, ("dataset", "numbers")),
        ([0, 1], ["a", "b"], {}, ("dataset", "strings")),
        ([1, 2], None, {"classes": ["a", "b"]}, ("dataset", "values from 1 to 2", "labels from 1: subtract 1")),
        (["a", "c"], None, {"classes": ["a", "b"]}, ("dataset", "c")),
        ([0, 1], None, {"ids": np.arange(39)}, ("dataset", "shape (39,)")),
        ([0, 1], None, {"ids": np.arange(40) // 2}, ("dataset", ANY, "20 of them more than once (0, 1,")),
        ([0, 1], None, {"ids": np.arange(40.0)}, ("dataset", "dtype float64")),
    ],
)
def test_labels_and_ids_that_do_not_fit_are_told_in_one_line(own, labels, tests, arrays, refusal):
    with refuses(*refusal):
        own(np.resize(labels, COUNT), None if tests is None else np.resize(tests, 10), **arrays)


def test_selections_that_leave_a_class_empty_say_so_and_one_class_is_refused(own):
    labels = np.resize(["a", "b", "c"], COUNT)
    dataset = own(labels, settings={"num_over": 2})
    (left,) = set(range(3)) - set(dataset.labels.tolist())
    assert dataset.num_classes == 3
    assert dataset.sources["empty classes"] == f"None of the chosen examples is of class {'abc'[left]}."
    with refuses("dataset", "2 examples of one class"):
        own(np.resize([0] * 39 + [1], COUNT), settings={"dataset_size": 2, "data_seed": 1})


def test_a_users_ids_name_the_examples(own, tmp_path):
    labels = np.arange(COUNT) % 4
    ids = [f"picture {n}.png" for n in range(COUNT)]
    dataset = own(labels, ids=ids)
    assert _in_order(dataset, own.pictures[..., np.newaxis], dataset.example_ids) == ids
    plain = own(labels)
    assert np.array_equal(dataset.images, plain.images)  # the order is still that of the pixels
    assert own(labels, ids=np.arange(COUNT)).example_ids.tolist() == [i[8:-4] for i in dataset.example_ids]
    (tmp_path / "leave.txt").write_text("picture 3.png\r\n\npicture 0.png\n", encoding="utf-8")
    rest = own(labels, ids=ids, settings={"without": str(tmp_path / "leave.txt")})
    assert set(ids) - set(rest.example_ids) == {"picture 3.png", "picture 0.png"}
    with refuses("dataset", "40 ids"):
        own(labels, labels[:8], ids=ids, settings={"pool_test": True})


def test_ids_of_equal_pictures_do_not_depend_on_the_order_of_rows(own):
    pictures = np.random.default_rng(0).integers(0, 256, (COUNT, 9, 7), np.uint8)
    pictures[1::2] = pictures[::2]
    ids, labels = np.arange(COUNT), np.arange(COUNT) // 2 % 2
    order = np.random.default_rng(1).permutation(COUNT)
    first = own(labels, settings={"num_over": 20}, x_train=pictures, ids=ids)
    second = own(labels[order], settings={"num_over": 20}, x_train=pictures[order], ids=ids[order])
    assert sorted(first.example_ids) == sorted(second.example_ids)


def test_groups_keep_their_ids(own):
    ids, groups = np.arange(COUNT), np.arange(COUNT) % 3 == 0
    dataset = own(np.arange(COUNT) // 3 % 2, ids=ids, group_train=groups)
    assert [groups[int(i)] for i in dataset.example_ids] == (dataset.groups == 1).tolist()


def test_medmnist_names(tmp_path):
    rng = np.random.default_rng(0)
    sizes = {"train": 40, "val": 6, "test": 8}
    arrays = {f"{split}_images": rng.integers(0, 256, (n, 28, 28), np.uint8) for split, n in sizes.items()}
    arrays |= {f"{split}_labels": np.arange(n)[:, np.newaxis] % 3 for split, n in sizes.items()}
    path = tmp_path / "breast.npz"
    np.savez(path, **arrays)
    dataset = load(DataConfig(dataset=f"npz:{path}"))
    assert dataset.images.shape == (40, 28, 28, 1) and len(dataset.test_images) == 8 and dataset.num_classes == 3
    assert dataset.sources["validation"] == "val_images and val_labels: not used."
    np.savez(path, **arrays, ids=np.arange(40))
    assert sorted(load(DataConfig(dataset=f"npz:{path}")).example_ids, key=int) == list(map(str, range(40)))
    np.savez(path, **arrays, x_train=arrays["train_images"])
    with refuses("dataset", "x_train"):
        load(DataConfig(dataset=f"npz:{path}"))
    del arrays["train_labels"]
    np.savez(path, **arrays)
    with refuses("dataset", advice="Missing array `train_labels`"):
        load(DataConfig(dataset=f"npz:{path}"))
    np.savez(path, **{**arrays, "train_labels": np.arange(40) % 3, "test_labels": np.full(8, 5)})
    with refuses("dataset", "5", "test_labels"):
        load(DataConfig(dataset=f"npz:{path}"))


def test_copies_are_counted(own):
    pictures = np.random.default_rng(0).integers(0, 256, (COUNT, 9, 7), np.uint8)
    labels = np.arange(COUNT) // 2 % 2
    assert "copies" not in own(labels, x_train=pictures).sources
    pictures[[1, 3, 4]] = pictures[[0, 2, 2]]  # pictures 2 and 4 have different labels, 0 and 1 the same
    understated = "a model without one of them may have trained on its copy, so their memorization is understated."
    dataset = own(labels, x_train=pictures)
    of_another = "5 of 40 examples have the pixels of another example"
    assert dataset.sources["copies"] == f"{of_another}, 3 of them under different labels: {understated}"
    labels = np.arange(COUNT) % 20 // 10
    assert own(labels, x_train=pictures).sources["copies"] == f"{of_another}: {understated}"
    tests = np.concatenate([pictures[:2], np.random.default_rng(1).integers(0, 256, (6, 9, 7), np.uint8)])
    dataset = own(labels, x_train=pictures, x_test=tests, y_test=labels[:8])
    assert len(dataset.test_images) == 6 and dataset.sources["copies"] == (
        f"{of_another}: {understated} 2 test images have the pixels of an example and are left out of the test images."
    )
    pooled = own(labels, x_train=pictures, x_test=tests, y_test=labels[:8], settings={"pool_test": True})
    assert pooled.sources["copies"] == f"7 of 48 examples have the pixels of another example: {understated}"


def test_class_names_are_kept_with_the_data(own, tmp_path):
    dataset = own(np.resize(["cat", "dog"], COUNT), ids=[f"é {n}" for n in range(COUNT)])
    store = Store.create(tmp_path / "run", {}, lambda: dataset)
    assert store.about()["classes"] == ["cat", "dog"]
    read = store.dataset()
    assert read.classes == ("cat", "dog") and np.array_equal(read.labels, dataset.labels)
    assert np.array_equal(store.examples().example_ids, dataset.example_ids) and read.sources == dataset.sources
