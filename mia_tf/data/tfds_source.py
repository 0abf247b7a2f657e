"""Source data sets from tensorflow_datasets, downloaded once (TensorFlow is imported on first use)."""

import contextlib
import importlib.util
import io
import logging
import sys
from collections.abc import Iterator

import numpy as np

from mia_tf.data.catalogue import SOURCES, SourceData, how_to_get
from mia_tf.quiet import native_messages_held_back
from mia_tf.validation import InputError

_BATCH = 1024
_PROBE_SECONDS = 15


def read(name: str) -> SourceData:
    """Reads the data set `name`, a key of SOURCES, and downloads it where that has not been done.

    Raises:
        InputError: tensorflow_datasets is not installed, or cannot download or prepare the data set.
    """
    if importlib.util.find_spec("tensorflow_datasets") is None:
        line = f"tensorflow_datasets is not installed (pip install tensorflow-datasets). {how_to_get(name)}"
        raise InputError(line, "data_source", "tfds")
    tfds_name = SOURCES[name].tfds_name
    try:
        with native_messages_held_back():
            import tensorflow as tf
            import tensorflow_datasets as tfds

            tf.constant(0)  # TensorFlow writes its messages as it starts, so it starts here
        with _no_warnings():
            builder = tfds.builder(tfds_name)
            prepared = builder.is_prepared()
        if not prepared:
            print(f"Downloading {tfds_name} with tensorflow_datasets", file=sys.stderr)
            _prepare(builder)
        with _no_warnings():
            train, test = (_read_split(builder, split, SOURCES[name].num_classes) for split in ("train", "test"))
    except Exception as error:  # tfds has no one kind: requests', TensorFlow's, its own, OSError, ImportError, ...
        detail = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
        line = f"Cannot have {tfds_name} from tensorflow_datasets ({detail}). {how_to_get(name)}"
        raise InputError(line, "data_source", "tfds") from error
    return SourceData(*train, *test, provenance=f"tensorflow_datasets {builder.info.full_name}")


def _prepare(builder) -> None:
    """Downloads and converts, with tensorflow_datasets' own progress bars on a terminal."""
    import tensorflow_datasets as tfds

    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    _probe(builder)
    with _no_warnings(), contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare()


def _probe(builder) -> None:
    """Asks once for one of the files: tensorflow_datasets itself gives up on a missing network after minutes."""
    import requests

    for url in sorted(builder.url_infos)[:1]:
        requests.head(url, timeout=_PROBE_SECONDS)


def _read_split(builder, split: str, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, H, W, C) uint8 images and (n,) int64 labels, of those with a label below num_classes."""
    import tensorflow_datasets as tfds

    # Not batch_size=-1: where the number of examples is not known, TensorFlow reserves memory for 2^63.
    batches = builder.as_dataset(split=split, batch_size=_BATCH, as_supervised=True, shuffle_files=False)
    images, labels = map(np.concatenate, zip(*tfds.as_numpy(batches), strict=True))
    known = labels < num_classes
    return images[known], labels[known].astype(np.int64)


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """Nothing below an error is logged meanwhile, by whichever library."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
