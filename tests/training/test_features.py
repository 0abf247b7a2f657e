import keras
import numpy as np
import pytest
from refusals import refuses
from toys import make_dataset

from mia_tf.training import features


def train(dataset, network, seed):
    return features._train(dataset.images, dataset.labels, dataset.num_classes, network, seed, lambda: None)


def test_features_tell_labels_apart_and_follow_from_the_seed(dataset):
    vectors, accuracy = train(dataset, "cnn2-1-max", 3)
    again, _ = train(dataset, "cnn2-1-max", 3)
    other, _ = train(dataset, "cnn2-1-max", 4)
    assert vectors.shape == (64, 4) and vectors.dtype == np.float32  # cnn2-1 has 2 * 2 filters before its last layer
    assert np.array_equal(vectors, again) and not np.allclose(vectors, other)
    assert 0 <= accuracy <= 1


def test_the_features_of_a_network_that_learned_cluster_by_label():
    """Labels are grey levels 48 apart under noise of 64: the distance of two labels' mean features exceeds chance."""
    dataset = make_dataset(num_over=800, num_under=0)
    vectors, accuracy = train(dataset, "cnn8-1-mean", 0)
    means = np.stack([vectors[dataset.labels == k].mean(axis=0) for k in range(4)])
    shuffled = np.stack([vectors[np.arange(800) % 4 == k].mean(axis=0) for k in range(4)])
    assert accuracy > 0.6  # chance is 0.25, with a standard error of 0.015
    assert means.var(axis=0).sum() > 10 * shuffled.var(axis=0).sum()


@pytest.mark.parametrize(
    "network, shape, width",
    [("resnet9", (16, 16, 3), 512), ("efficientnetb0", (28, 28, 1), 1280), ("efficientnetb0", (40, 36, 3), 1280)],
)
def test_features_are_what_the_last_layer_reads(network, shape, width):
    read, model = features._build(network, shape, 7, seed=0)
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8).astype(np.float32)
    vectors, logits = keras.Model(model.input, [read, model.output])(images, training=False)
    kernel, bias = model.get_weights()[-2:]
    assert vectors.shape == (3, width) and kernel.shape == (width, 7)
    # float32 sums of up to 1,280 products; logits of a fresh network are of order one
    np.testing.assert_allclose(np.asarray(logits), np.asarray(vectors) @ kernel + bias, rtol=1e-3, atol=1e-4)


def test_extraction_takes_a_process_of_its_own(dataset, capfd):
    vectors = features.extract(dataset, "cnn2-1-max", seed=3)
    assert vectors.shape == (64, 4)
    printed = capfd.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("[1/1, 0 s left] cnn2-1-max for features: ") and line.endswith("of 64 examples right")
    assert printed.out == ""


def test_images_that_are_too_small_for_the_network_are_refused_before_it_is_trained(dataset):
    with refuses("features", "cnn2-4-max"):
        features.extract(dataset, "cnn2-4-max", seed=0)


def test_a_process_that_ends_without_features_is_one_line(dataset, monkeypatch):
    monkeypatch.setattr(features, "_work", print)  # as one does that runs out of memory: nothing comes through the pipe
    with refuses("features", "cnn2-1-max", "its process ended"):
        features.extract(dataset, "cnn2-1-max", seed=0)
