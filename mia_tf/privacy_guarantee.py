"""What DP-SGD promises of each model of an experiment, as its record holds it.

Apart from the accountants that compute it, so that training without privacy does not wait for their import.
"""

import dataclasses
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PrivacyGuarantee:
    """The (epsilon, delta) that holds for the weights of each model of an experiment.

    Attributes:
        noise_multiplier: standard deviation of the noise on a step's summed gradient, in units of the clip.
        l2_norm_clip: largest L2 norm of one example's gradient.
        delta: the probability that epsilon does not cover.
        sampling: "poisson" or "shuffle".
        sampling_rate: probability that a step takes a given example.
        steps: number of steps.
        batch: expected examples per step.
        num_members: nominal size of a model's training set; sampling_rate is batch / num_members.
        accountant: "rdp" or "pld", whose epsilon `epsilon` is.
        epsilon: the recorded one; infinite without noise.
        epsilon_rdp: by Renyi differential privacy.
        epsilon_pld: by privacy loss distributions; infinite if delta is too small for them.
        note: what weakens the guarantee, in sentences; "" for nothing.
    """

    noise_multiplier: float
    l2_norm_clip: float
    delta: float
    sampling: str
    sampling_rate: float
    steps: int
    batch: int
    num_members: int
    accountant: str
    epsilon: float
    epsilon_rdp: float
    epsilon_pld: float
    note: str

    def to_dict(self) -> dict:
        """The guarantee as a model's record holds it; an infinite epsilon is None, which JSON can say."""
        fields = dataclasses.asdict(self)
        return {name: None if value == math.inf else value for name, value in fields.items()}
