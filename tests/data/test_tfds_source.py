"""tensorflow_datasets with its own mock: random pictures of the right shape, nothing downloaded."""

import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from refusals import refuses

from mia_tf.config import DataConfig
from mia_tf.data import load, tfds_source
from mia_tf.data.catalogue import SOURCES
from mia_tf.data.mixtures import MIXTURES
from mia_tf.quiet import native_messages_held_back


@pytest.fixture(scope="module")
def tfds():
    with native_messages_held_back():
        return pytest.importorskip("tensorflow_datasets", reason="tensorflow_datasets is not installed")


def mocked(tfds, num_examples):
    """tensorflow_datasets' mock with arrays for pictures.

    Its own are drawn by a Python generator inside tf.data, whose threads wait for the interpreter while it waits for
    them: on a busy machine that hung once. It is also slow.
    """

    def as_dataset(builder, split, **_):
        import tensorflow as tf

        rng = np.random.default_rng(zlib.crc32(f"{builder.name} {split}".encode()))
        columns = {}
        for key, feature in builder.info.features.items():
            if isinstance(feature, tfds.features.Image):
                columns[key] = rng.integers(0, 256, (num_examples, *feature.shape), dtype=np.uint8)
            elif isinstance(feature, tfds.features.ClassLabel):
                columns[key] = rng.integers(0, feature.num_classes, num_examples)
            else:
                columns[key] = np.array([f"{key} {row}" for row in range(num_examples)])
        return tf.data.Dataset.from_tensor_slices(columns)

    return tfds.testing.mock_data(num_examples=num_examples, as_dataset_fn=as_dataset)


@pytest.fixture
def nothing_probed(monkeypatch):
    monkeypatch.setattr(tfds_source, "_probe", lambda builder: None)


IN_TFDS = {name for name, source in SOURCES.items() if source.tfds_name}


@pytest.mark.parametrize("name", sorted(IN_TFDS))
def test_every_source_has_its_shape(tfds, nothing_probed, name):
    with mocked(tfds, 1500):  # more than one batch
        data = tfds_source.read(name)
    images = 150 if name == "cifar100_first10" else 1500  # the mock's labels are uniform over all classes
    for pictures, labels in ((data.images, data.labels), (data.test_images, data.test_labels)):
        assert pictures.shape == (len(labels), *SOURCES[name].shape)
        assert abs(len(labels) - images) <= 5 * np.sqrt(1500 * 0.1 * 0.9) * (images < 1500)  # binomial, 5 deviations
    assert data.images.dtype == np.uint8 and data.labels.dtype == np.int64
    assert set(data.labels) == set(range(10))
    assert data.provenance.startswith(f"tensorflow_datasets {SOURCES[name].tfds_name}/")
    assert data.stand_in == ""


@pytest.mark.parametrize("name", sorted(name for name, m in MIXTURES.items() if {m.over, m.under} - {None} <= IN_TFDS))
def test_every_mixture_loads(tfds, nothing_probed, name, capfd):
    with mocked(tfds, 600):
        dataset = load(DataConfig(dataset=name, data_source="tfds", num_under=10 if MIXTURES[name].under else None))
    assert len(dataset.images) == (610 if MIXTURES[name].under else 600)
    out, err = capfd.readouterr()
    ours = [f"Downloading {SOURCES[s].tfds_name} with tensorflow_datasets" for s in dataset.sources if s in SOURCES]
    assert (out, err.splitlines()) == ("", ours)


def test_tfds_and_npz_choose_the_same_examples(tfds, nothing_probed, tmp_path):
    """The row order of tensorflow_datasets is another than that of the archives."""
    with mocked(tfds, 200):
        for name in ("mnist", "svhn"):
            data = tfds_source.read(name)
            order = np.random.default_rng(0).permutation(200)
            arrays = {"x_train": data.images[order], "y_train": data.labels[order]}
            np.savez(tmp_path / f"{name}.npz", x_test=data.test_images, y_test=data.test_labels, **arrays)
        config = {"num_over": 50, "num_under": 30, "data_seed": 3}
        first = load(DataConfig(data_source="tfds", **config))
    second = load(DataConfig(data_source="npz", data_dir=str(tmp_path), **config))
    assert np.array_equal(first.example_ids, second.example_ids)
    assert np.array_equal(first.images, second.images)
    assert np.array_equal(first.labels, second.labels)


def test_no_network_says_what_would_work(tfds, monkeypatch, tmp_path):
    def unreachable(builder):
        raise OSError(f"cannot reach the files of {builder.name}\nand more")

    monkeypatch.setattr(tfds_source, "_probe", unreachable)
    with tfds.testing.mock_data(data_dir=str(tmp_path)), refuses("data_source", "tfds") as error:
        load(DataConfig())
    message = str(error.value)
    assert message.startswith("Cannot have mnist from tensorflow_datasets (OSError: cannot reach the files of mnist). ")
    assert "Put mnist.npz (x_train, y_train, x_test, y_test) in a folder and give --data_dir=FOLDER" in message
    assert "--data_source=embedded" in message


def test_the_network_is_asked_once_and_not_for_long(monkeypatch):
    requests = []
    monkeypatch.setattr("requests.head", lambda url, timeout: requests.append((url, timeout)))
    tfds_source._probe(SimpleNamespace(url_infos={"http://b": None, "http://a": None}))
    tfds_source._probe(SimpleNamespace(url_infos={}))  # a data set that downloads nothing
    assert requests == [("http://a", 15)]


def test_cinic10_is_not_there():
    with refuses("data_source", "tfds", "--data_dir="):
        load(DataConfig(dataset="cifar10_cinic10", data_source="tfds"))


def test_tfds_not_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with refuses("data_source", "tfds", "not installed (pip install tensorflow-datasets)"):
        tfds_source.read("mnist")
