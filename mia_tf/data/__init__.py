"""Data sets: where pictures come from, how two groups of them are mixed, and which of them are selected."""

from mia_tf.data.loading import fingerprint, load
from mia_tf.data.selection import check_new_models

__all__ = ["check_new_models", "fingerprint", "load"]
