"""Data sets: where pictures come from, and how two groups of them are mixed."""

from mia_tf.data.loading import load, own_archive_identity

__all__ = ["load", "own_archive_identity"]
