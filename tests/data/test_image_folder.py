import numpy as np
import pytest
from PIL import Image
from refusals import refuses
from synthetic_sources import synthetic_arrays, write_source

from mia_tf.config import DataConfig
from mia_tf.data import load
from mia_tf.data.assembly import example_ids
from mia_tf.data.catalogue import SOURCES
from mia_tf.data.image_folder import read_split
from mia_tf.data.sources import read

CLASSES, SHAPE = ("bird", "ant"), (4, 5, 3)


@pytest.fixture
def folder(tmp_path):
    """Two grey pictures of a bird, 10 and 20, and one of an ant, 30."""
    for name, level in (("bird/a.png", 10), ("bird/b.png", 20), ("ant/a.png", 30)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (5, 4), (level, level, level)).save(tmp_path / name)
    return tmp_path


def test_labels_are_the_places_of_the_classes(folder):
    images, labels = read_split(folder, CLASSES, SHAPE)
    assert images.shape == (3, *SHAPE) and images.dtype == np.uint8
    assert images[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert labels.tolist() == [0, 0, 1] and labels.dtype == np.int64


def test_grey_pictures_become_coloured_ones_and_other_files_are_passed_over(folder):
    Image.new("L", (5, 4), 40).save(folder / "ant" / "b.png")
    (folder / "ant" / "notes.txt").write_text("no picture")
    images, labels = read_split(folder, CLASSES, SHAPE)
    assert (images[3] == 40).all() and labels.tolist() == [0, 0, 1, 1]


def test_damaged_missing_and_foreign_pictures(folder):
    whole = (folder / "ant" / "a.png").read_bytes()
    for content in (b"", b"no picture", whole[: len(whole) // 2], whole[:-30]):
        (folder / "ant" / "a.png").write_bytes(content)
        with refuses("data_dir", advice="a.png: it is not a whole image"):
            read_split(folder, CLASSES, SHAPE)
    (folder / "ant" / "a.png").unlink()
    with refuses("data_dir", advice="No images in"):
        read_split(folder, CLASSES, SHAPE)
    Image.new("RGB", (4, 5)).save(folder / "ant" / "a.png")
    with refuses("data_dir", "shape (5, 4, 3)"):
        read_split(folder, CLASSES, SHAPE)


def test_cinic10_has_the_label_ids_of_cifar10_and_none_of_its_pictures(tmp_path):
    # CIFAR-10's label_names, in its batches.meta.
    of_cifar10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    assert list(SOURCES["cinic10"].classes) == of_cifar10
    arrays = {name: synthetic_arrays(name) for name in ("cifar10", "cinic10")}
    for name in arrays:
        write_source(tmp_path, name, arrays[name])
    images, labels = arrays["cifar10"]["x_train"], arrays["cifar10"]["y_train"]
    for number, (image, label) in enumerate(zip(images[:40], labels[:40], strict=True)):
        # As CINIC-10's files are called, and as its description calls them.
        name = ("cifar10-train-%d.png" if number % 2 else "cifar-10-train-%d.png") % number
        Image.fromarray(image).save(tmp_path / "cinic10" / "train" / of_cifar10[label] / name)
    (cinic10,) = read(["cinic10"], "npz", str(tmp_path))
    for images, labels, split in (
        (cinic10.images, cinic10.labels, "train"),
        (cinic10.test_images, cinic10.test_labels, "test"),
    ):
        truth = dict(zip(example_ids(arrays["cinic10"][f"x_{split}"]), arrays["cinic10"][f"y_{split}"], strict=True))
        assert dict(zip(example_ids(images), labels, strict=True)) == truth
    dataset = load(DataConfig(dataset="cifar10_cinic10", data_dir=str(tmp_path), num_under=120))
    assert dataset.sources["cinic10"] == "cinic10, a folder of images (120 images and 30 test images)"
