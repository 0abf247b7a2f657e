"""The settings of differentially private training."""

import dataclasses
from dataclasses import dataclass

from mia_tf.settings import documented, setting
from mia_tf.validation import check, check_choice, check_integer, check_number

SAMPLINGS = ("poisson", "shuffle")
ACCOUNTANTS = ("rdp", "pld")
NOISE_LIMITS = (0.01, 1_000.0)
"""Noise multipliers that the accountants resolve; less of it promises next to nothing."""


@documented
@dataclass(frozen=True)
class PrivacyConfig:
    """How a model is trained with differential privacy (DP-SGD; Abadi et al. 2016).

    Raises:
        InputError: both or none of `noise_multiplier` and `target_epsilon` are given, or a value is out of its range.

    Example:
        >>> mia_tf.PrivacyConfig(target_epsilon=3.2, delta=1e-5).l2_norm_clip
        1.0
    """

    noise_multiplier: float | None = setting(
        None,
        "Standard deviation of the noise on a step's summed gradient, in units of `l2_norm_clip`; 0 for none, which "
        "promises nothing.",
    )
    target_epsilon: float | None = setting(
        None, "Choose the noise that gives this epsilon, instead of `noise_multiplier`."
    )
    l2_norm_clip: float = setting(1.0, "Largest L2 norm of one example's gradient.")
    delta: float = setting(1e-5, "Delta of the guarantee (epsilon, delta).")
    sampling: str = setting(
        "poisson",
        f"How batches are drawn: {', '.join(SAMPLINGS)}. poisson puts each example into each batch independently, as "
        "the accountants assume. shuffle cuts batches from a permutation, and its epsilon is an approximation.",
    )
    accountant: str = setting(
        "rdp", f"The accountant whose epsilon is recorded, and calibrated to: {', '.join(ACCOUNTANTS)}."
    )
    microbatch: int = setting(64, "Examples whose gradients are held at the same time; changes memory and speed only.")

    def __post_init__(self):
        for name in ("noise_multiplier", "target_epsilon"):
            check_number(name, getattr(self, name), optional=True)
        for name in ("l2_norm_clip", "delta"):
            check_number(name, getattr(self, name))
        noise, target = self.noise_multiplier, self.target_epsilon
        if noise is None:
            check("noise_multiplier", noise, target is not None, "must be given, or target_epsilon in its place")
            positive = target is not None and 0 < target < float("inf")
            check("target_epsilon", target, positive, "must be a positive number")
        else:
            check("target_epsilon", target, target is None, f"must not be given together with noise_multiplier={noise}")
            low, high = NOISE_LIMITS
            allowed = f"must be 0 for no noise, or in [{low:g}, {high:g}]"
            check("noise_multiplier", noise, noise == 0 or low <= noise <= high, allowed)
        check("l2_norm_clip", self.l2_norm_clip, 0 < self.l2_norm_clip < float("inf"), "must be a positive number")
        check("delta", self.delta, 0 < self.delta < 1, "must be in (0, 1)")
        check_choice("sampling", self.sampling, SAMPLINGS)
        check_choice("accountant", self.accountant, ACCOUNTANTS)
        check_integer("microbatch", self.microbatch, 1)

    def to_dict(self) -> dict:
        """The settings that change a result, as one flat, JSON-serialisable dict."""
        settings = dataclasses.asdict(self)
        del settings["microbatch"]
        return settings

    @classmethod
    def from_dict(cls, settings: dict) -> "PrivacyConfig":
        """The configuration whose `to_dict` is among `settings`."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: settings[name] for name in names if name in settings})
