"""A small data set that the tests share."""

import numpy as np

from mia_tf.records import Dataset


def make_dataset(num_over=48, num_under=16, size=8, channels=1, num_classes=4, num_test=16, seed=0) -> Dataset:
    """Random images of two groups whose mean brightness tells their label, so that they can be learned."""
    rng = np.random.default_rng(seed)
    count = num_over + num_under

    def images(labels):
        noise = rng.integers(0, 64, (len(labels), size, size, channels))
        return (noise + 192 * labels[:, None, None, None] // num_classes).astype(np.uint8)

    labels = rng.permutation(np.arange(count) % num_classes)
    test_labels = np.arange(num_test) % num_classes
    return Dataset(
        name="toy",
        images=images(labels),
        labels=labels,
        groups=np.repeat(np.uint8([0, 1]), [num_over, num_under]),
        example_ids=np.array([f"{i:016x}" for i in range(count)]),
        test_images=images(test_labels),
        test_labels=test_labels,
        test_groups=np.repeat(np.uint8([0, 1]), [num_test - num_test // 4, num_test // 4]),
        num_classes=num_classes,
    )
