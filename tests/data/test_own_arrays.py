import tracemalloc

import numpy as np
import pytest
from refusals import ANY, refuses

from mia_tf.config import DataConfig
from mia_tf.data import load
from mia_tf.data.assembly import example_ids
from mia_tf.records import OVER, UNDER
from mia_tf.validation import InputError


def _arrays(count=40, classes=4, shape=(9, 7, 3), seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x_train": rng.integers(0, 256, (count, *shape), dtype=np.uint8),
        "y_train": np.arange(count) % classes,
    }


@pytest.fixture
def own(tmp_path):
    """Writes the arrays to own.npz and loads them."""

    def loader(arrays, **settings):
        path = tmp_path / "own.npz"
        np.savez(path, **arrays)
        return load(DataConfig(dataset=f"npz:{path}", **settings))

    return loader


class _Trap:
    """Ends the test where it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_images_and_labels_come_back(own):
    arrays = _arrays()
    dataset = own(arrays)
    labels = {image.tobytes(): label for image, label in zip(arrays["x_train"], arrays["y_train"], strict=True)}
    assert {image.tobytes() for image in dataset.images} == set(labels)
    assert all(labels[image.tobytes()] == label for image, label in zip(dataset.images, dataset.labels, strict=True))
    assert (dataset.name, dataset.num_classes, dataset.stand_in) == ("own", 4, "")
    assert (dataset.groups == OVER).all()
    assert dataset.test_images.shape == (0, 9, 7, 3)


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1)])
def test_grey_images_get_one_channel(own, shape):
    assert own(_arrays(shape=shape)).images.shape == (40, 9, 7, 1)


def test_labels_may_be_a_column(own):
    arrays = _arrays()
    column = own({**arrays, "y_train": arrays["y_train"][:, np.newaxis]})
    assert np.array_equal(column.labels, own(arrays).labels)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_rounded_to_8_bits_and_said_to_be(own, dtype):
    arrays = _arrays()
    scaled = own({**arrays, "x_train": (arrays["x_train"] / 255).astype(dtype)})
    # float16 has 11 bits: the rounding back to 8 is exact for all three.
    assert np.array_equal(scaled.images, own(arrays).images)
    assert scaled.sources["pixels"] == f"x_train: {np.dtype(dtype)} from 0 to 1 rounded to 256 levels."
    assert set(own(arrays).sources) == {"npz"}


def test_test_images_and_groups(own):
    groups = np.repeat([0, 1], [24, 16])
    test = {"x_test": _arrays(10, seed=1)["x_train"], "y_test": np.arange(10) % 4, "group_test": np.arange(10) % 2}
    dataset = own({**_arrays(), "group_train": groups, **test})
    assert (dataset.groups == UNDER).sum() == 16
    of_picture = {image.tobytes(): group for image, group in zip(test["x_test"], test["group_test"], strict=True)}
    assert len(dataset.test_images) == 10
    for image, group in zip(dataset.test_images, dataset.test_groups, strict=True):
        assert of_picture[image.tobytes()] == group
    assert np.array_equal(own({**_arrays(), "group": groups}).groups, dataset.groups)


def test_counts_are_taken_of_each_group_over_the_labels_it_has(own):
    labels = np.concatenate([np.arange(24) % 4, np.arange(16) % 2])
    arrays = {**_arrays(), "y_train": labels, "group": np.repeat([0, 1], [24, 16])}
    dataset = own(arrays, num_over=12, num_under=6)
    assert np.bincount(dataset.labels[dataset.groups == OVER]).tolist() == [3, 3, 3, 3]
    assert np.bincount(dataset.labels[dataset.groups == UNDER]).tolist() == [3, 3]
    assert (own(arrays, num_under=0).groups == OVER).all()
    with refuses("num_under", 17):
        own(arrays, num_under=17)


def test_rows_in_another_order_are_the_same_examples(own):
    arrays = _arrays()
    order = np.random.default_rng(1).permutation(40)
    first, second = (own(a, num_over=20) for a in (arrays, {k: v[order] for k, v in arrays.items()}))
    assert sorted(first.example_ids) == sorted(second.example_ids) and len(set(first.example_ids)) == 20
    for dataset, rows in ((first, np.arange(40)), (second, order)):
        places = np.flatnonzero(np.isin(example_ids(arrays["x_train"][rows]), dataset.example_ids))
        np.testing.assert_array_equal(dataset.images, arrays["x_train"][rows][places])


@pytest.mark.parametrize("grouped", [False, True])
def test_row_i_of_the_tables_is_picture_i_of_the_archive(own, grouped):
    """Rows were once shuffled: who looked up the most exposed record in the archive found another picture."""
    arrays = _arrays() | ({"group": np.arange(40) % 3 == 1} if grouped else {})
    dataset = own(arrays)
    np.testing.assert_array_equal(dataset.images, arrays["x_train"])
    np.testing.assert_array_equal(dataset.labels, arrays["y_train"])
    np.testing.assert_array_equal(dataset.groups, arrays.get("group", np.zeros(40)))
    tests = {"x_test": _arrays(10)["x_train"][::-1], "y_test": np.arange(10)[::-1] % 4}
    pooled = own(arrays | tests, pool_test=True)
    np.testing.assert_array_equal(pooled.images[40:], tests["x_test"])
    part = own(arrays, dataset_size=25)
    places = [np.flatnonzero((arrays["x_train"] == image).all(axis=(1, 2, 3))).item() for image in part.images]
    assert places == sorted(places) and len(set(places)) == 25


def test_dark_pictures_are_told_of_and_black_test_pictures_refused(own):
    """Digits from 0 to 16, as uint8, were once taken without a word."""
    arrays = _arrays()
    dark = own(arrays | {"x_train": arrays["x_train"] // 16})
    assert "only from 0 to 15; if that is white, divide them by it" in dark.sources["pixels"]
    assert "pixels" not in own(arrays).sources
    with refuses("dataset", "pixels from 0 to 1", "as the training pictures have"):
        own(arrays | {"x_test": _arrays(10)["x_train"] // 128, "y_test": np.arange(10) % 4})


def _changed(**changes):
    arrays = {**_arrays(), **changes}
    return {key: value for key, value in arrays.items() if value is not None}


_FLOATS = np.full((40, 9, 7), 0.5)
_TEST = {"x_test": np.full((3, 9, 7, 3), 200, np.uint8), "y_test": np.array([0, 1, 2])}


@pytest.mark.parametrize(
    ("arrays", "refusal"),
    [
        (_changed(x_train=None), ("dataset", ANY, "Missing array `x_train` in")),
        (_changed(y_train=None), ("dataset", ANY, "Missing array `y_train` in")),
        (_changed(x_train=np.zeros((40, 9), np.uint8)), ("dataset", "shape (40, 9)")),
        (_changed(x_train=np.zeros((40, 9, 7, 2), np.uint8)), ("dataset", "shape (40, 9, 7, 2)")),
        (_changed(x_train=np.zeros((40, 0, 7), np.uint8)), ("dataset", "shape (40, 0, 7)")),
        (
            _changed(x_train=np.zeros((40, 9, 7), complex)),
            ("dataset", "dtype complex128"),
        ),
        (
            _changed(x_train=np.zeros((40, 9, 7), bool)),
            ("dataset", "dtype bool", ": x.astype(np.uint8) * 255 makes True white"),
        ),
        (_changed(x_train=np.full((40, 9, 7), "a")), ("dataset", "dtype <U1")),
        (_changed(x_train=np.where(np.arange(7) == 3, np.nan, _FLOATS)), ("dataset", "NaN or infinity")),
        (_changed(x_train=np.where(np.arange(7) == 3, np.inf, _FLOATS)), ("dataset", "NaN or infinity")),
        (_changed(x_train=_FLOATS * 512), ("dataset", "pixels from 256.0 to 256.0")),
        (_changed(x_train=_FLOATS - 0.75), ("dataset", "pixels from -0.25 to -0.25", "(x + 1) / 2")),
        (_changed(y_train=np.arange(40) % 4 - 1), ("dataset", "values from -1 to 2")),
        (_changed(y_train=np.arange(40) * 1000), ("dataset", "40 different labels of 40 examples")),
        (_changed(y_train=np.arange(40) / 10), ("dataset", ANY, "must be whole numbers")),
        (_changed(y_train=np.zeros(40, int)), ("dataset", "only label 0")),
        (_changed(y_train=np.arange(39)), ("dataset", "shape (39,)")),
        (_changed(y_train=np.zeros((40, 2), int)), ("dataset", "shape (40, 2) with other rows")),
        (_changed(group=np.arange(40)), ("dataset", "values from 0 to 39")),
        (_changed(group_train=np.zeros(7, int)), ("dataset", "shape (7,)")),
        (_changed(group=np.ones(40, int)), ("dataset", "only group 1")),
        (_changed(x_test=_TEST["x_test"]), ("dataset", ANY, "Missing array `y_test`")),
        (_changed(y_test=_TEST["y_test"]), ("dataset", ANY, "Missing array `x_test`")),
        (_changed(**_TEST | {"y_test": np.array([0, 1, 4])}), ("dataset", "4")),
        (
            _changed(**_TEST | {"x_test": np.full((3, 9, 7), 200, np.uint8)}),
            ("dataset", "shape (3, 9, 7, 1)"),
        ),
        (
            _changed(x_train=np.array([_Trap()] * 40, object)),
            ("dataset", ANY, "pickled Python objects, which are"),
        ),
        (
            _changed(y_train=np.array([_Trap()] * 40, object)),
            ("dataset", ANY, "pickled Python objects, which are"),
        ),
    ],
)
def test_bad_arrays_are_told_in_one_line(own, arrays, refusal):
    with refuses(*refusal):
        own(arrays)


def test_arrays_of_unknown_names_are_refused(own):
    """With groups_train for group_train, everything was once of group 0, and the test images of group 1 were lost."""
    with refuses("dataset", "groups_train"):
        own({**_arrays(), "groups_train": np.arange(40) % 2})
    groups = np.arange(40) % 2
    with refuses("dataset", "both"):
        own({**_arrays(), "group": groups, "group_train": groups})
    with refuses("dataset", advice="Missing array `x_test`"):
        own({**_arrays(), "group_test": groups})


def test_a_group_of_test_images_that_training_lacks_is_refused(own):
    tests = {"x_test": _arrays(10)["x_train"], "y_test": np.arange(10) % 4, "group_test": np.arange(10) % 2}
    with refuses("dataset", "group 1"):
        own({**_arrays(), **tests})
    assert (own({**_arrays(), **tests}, pool_test=True).groups == UNDER).sum() == 5


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_there_are_two_copies_of_the_pictures_in_memory_at_most(tmp_path, dtype):
    """A float32 archive once took twenty times the pictures in uint8."""
    pixels = np.random.default_rng(0).integers(0, 256, (8000, 64, 64), np.uint8)
    pixels = pixels if dtype == np.uint8 else pixels / dtype(255)
    groups = np.arange(8000) % 10 == 0
    np.savez(tmp_path / "own.npz", x_train=pixels, y_train=np.arange(8000) % 4, group_train=groups)
    del pixels
    tracemalloc.start()
    try:
        dataset = load(DataConfig(dataset=f"npz:{tmp_path / 'own.npz'}"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * dataset.images.nbytes  # of which ids take 0.05, and a block in float64 0.2


def test_under_represented_examples_of_a_file_without_groups(own):
    with refuses("num_under", 5):
        own(_arrays(), num_under=5)


def test_missing_and_damaged_files(tmp_path):
    path = tmp_path / "own.npz"
    with refuses("dataset", advice="must be npz:PATH with the path of a file"):
        load(DataConfig(dataset=f"npz:{path}"))
    np.savez_compressed(path, **_arrays())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with refuses("dataset", advice="it is not a whole npz archive"):
        load(DataConfig(dataset=f"npz:{path}"))
    damaged = bytearray(whole)
    damaged[len(whole) // 3] ^= 0xFF
    path.write_bytes(bytes(damaged))
    with refuses("dataset", advice="its array `x_train` is damaged"):
        load(DataConfig(dataset=f"npz:{path}"))
    for content in (b"", b"not an archive", whole[2:]):
        path.write_bytes(content)
        with refuses("dataset", advice="it is not a whole npz archive"):
            load(DataConfig(dataset=f"npz:{path}"))


def test_damage_anywhere_is_told_in_one_line_or_changes_nothing(tmp_path):
    # A regression: numpy lets tokenize's own exception out of a damaged header.
    rng = np.random.default_rng(0)
    path = tmp_path / "own.npz"
    np.savez(path, **_arrays(count=12))
    whole = path.read_bytes()
    expected = load(DataConfig(dataset=f"npz:{path}"))
    as_expected = 0
    for position in rng.integers(0, len(whole), 300):
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(damaged))
        try:
            dataset = load(DataConfig(dataset=f"npz:{path}"))
        except InputError as error:
            as_expected += "\n" not in str(error)
        else:
            assert np.array_equal(dataset.images, expected.images)
            as_expected += 1
    assert as_expected == 300


def test_own_test_images_may_be_examples_too(own):
    arrays = _arrays()
    extra = _arrays(count=12, seed=1)
    groups = {"group_train": np.repeat([0, 1], 20), "group_test": np.repeat([0, 1], 6)}
    tests = {"x_test": extra["x_train"], "y_test": extra["y_train"]}
    dataset = own({**arrays, **tests, **groups}, pool_test=True)
    assert len(dataset.images) == 52 and len(dataset.test_images) == 0
    known = zip(
        np.concatenate([arrays["x_train"], extra["x_train"]]),
        np.concatenate([arrays["y_train"], extra["y_train"]]),
        np.concatenate(list(groups.values())),
        strict=True,
    )
    examples = zip(dataset.images, dataset.labels, dataset.groups, strict=True)
    assert {(i.tobytes(), int(y), int(g)) for i, y, g in examples} == {
        (i.tobytes(), int(y), int(g)) for i, y, g in known
    }
