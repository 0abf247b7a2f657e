"""The settings by which a user's Keras model is trained."""

from dataclasses import dataclass

from mia_tf.config import AUGMENTATIONS, MAX_QUERIES
from mia_tf.privacy_config import PrivacyConfig
from mia_tf.validation import check, check_choice, check_integer


@dataclass(frozen=True)
class KerasConfig:
    """How a user's Keras model is trained. The fields are the arguments of `mia_tf.KerasTask`."""

    epochs: int = 20
    batch_size: int = 64
    augment: str = "none"
    queries: int = 1
    dp: PrivacyConfig | None = None

    def __post_init__(self):
        check_integer("epochs", self.epochs, 1)
        check_integer("batch_size", self.batch_size, 1)
        check_choice("augment", self.augment, AUGMENTATIONS)
        check_integer("queries", self.queries, 1, MAX_QUERIES)
        known = self.dp is None or isinstance(self.dp, PrivacyConfig)
        check("dp", self.dp, known, "must be a mia_tf.PrivacyConfig, or None")

    def to_dict(self) -> dict:
        """The settings as a flat, JSON-serialisable dict."""
        private = {"dp": True, **self.dp.to_dict()} if self.dp else {}
        settings = {"epochs": self.epochs, "batch_size": self.batch_size}
        return {**settings, "augment": self.augment, "queries": self.queries, **private}

    def guarantee(self, num_members: int):
        """Returns what private training on nominally `num_members` examples promises; None without privacy.

        Raises:
            InputError: the settings do not fit a training set of this size.
        """
        if self.dp is None:
            return None
        allowed = f"must not exceed the {num_members} examples that a model trains on, with dp"
        check("batch_size", self.batch_size, self.batch_size <= num_members, allowed)
        from mia_tf.training.accounting import guarantee_of  # here, because training without need not wait for it

        return guarantee_of(self.dp, self.batch_size, self.epochs, num_members)
