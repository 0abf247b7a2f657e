"""What DP-SGD promises: (epsilon, delta) from the accountants of dp_accounting, and in words.

Every step takes a Poisson sample of the training set. It adds Gaussian noise to a sum, to which no example adds more
than the clip (Abadi et al. 2016). Neighbouring training sets differ by one example added or removed. All models of a
LOGDIR share one guarantee: the sampling rate, the number of steps and the noise are the experiment's, whatever the
exact size of a model's own training set.
"""

import contextlib
import functools
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dp_accounting
from dp_accounting import pld, rdp
from dp_accounting.mechanism_calibration import ExplicitBracketInterval

from mia_tf import subsets
from mia_tf.config import ExperimentConfig
from mia_tf.privacy_config import NOISE_LIMITS, PrivacyConfig
from mia_tf.privacy_guarantee import PrivacyGuarantee
from mia_tf.validation import check

_PLD_DELTA = 1e-10
"""Below it the rounding of the convolutions is no longer small beside delta."""
_PLD_RESOLUTION = 3e-5
"""Step of the grid of privacy losses, in shares of epsilon: a grid of fixed step (the library's is 1e-4) takes all
memory at little noise and rounds epsilon to several times its size at much."""
_PLD_COARSEST = 500.0  # exp() of a step must be finite
_BRACKET_FACTOR = 1.5
_NOISE_TOLERANCE = 1e-6  # in shares of the noise


def guarantee(config: ExperimentConfig, num_examples: int) -> PrivacyGuarantee:
    """The guarantee of an experiment whose training has `config.training.privacy`.

    The nominal training set is that of `subsets.nominal_size`. The rest is as `guarantee_of` says.

    Args:
        config: the experiment.
        num_examples: N, examples of the data set.

    Raises:
        InputError: as `guarantee_of`.
    """
    training = config.training
    num_members = subsets.nominal_size(config, num_examples)
    return guarantee_of(training.privacy, training.batch, training.epochs, num_members)


@contextlib.contextmanager
def _warnings_held_back() -> Iterator[None]:
    """Holds back dp_accounting's warnings.

    From release 0.5 on it bounds fractional orders of RDP more loosely, and warns of each order that it leaves out.
    Epsilon stays an upper bound. In five settings it was up to 1.5% larger than with release 0.4.
    """
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@functools.lru_cache  # a target's noise takes seconds to find
@_warnings_held_back()
def guarantee_of(privacy: PrivacyConfig, batch: int, epochs: int, num_members: int) -> PrivacyGuarantee:
    """The guarantee of training with these settings on nominally `num_members` examples.

    The sampling rate is batch / num_members and there are epochs * num_members // batch steps. If the settings have a
    target epsilon, the noise is the least that meets it under the chosen accountant.

    Raises:
        InputError: the target epsilon cannot be reached, the batch exceeds the nominal training set, or delta is
            too small for the chosen accountant.
    """
    check("batch", batch, batch <= num_members, f"must not exceed the {num_members} examples that a model trains on")
    if privacy.accountant == "pld":
        check("delta", privacy.delta, privacy.delta >= _PLD_DELTA, f"must be at least {_PLD_DELTA} with accountant=pld")
    run = _Run(batch / num_members, epochs * num_members // batch, privacy.delta)
    noise, target = privacy.noise_multiplier or 0.0, privacy.target_epsilon
    if target is not None:
        noise = _calibrated_noise(run, target, privacy.accountant)
    epsilon_rdp = run.epsilon_rdp(noise)
    epsilon_pld = run.epsilon_pld(noise, epsilon_rdp if target is None else target)
    return PrivacyGuarantee(
        noise_multiplier=noise,
        l2_norm_clip=privacy.l2_norm_clip,
        delta=privacy.delta,
        sampling=privacy.sampling,
        sampling_rate=run.rate,
        steps=run.steps,
        batch=batch,
        num_members=num_members,
        accountant=privacy.accountant,
        epsilon={"rdp": epsilon_rdp, "pld": epsilon_pld}[privacy.accountant],
        epsilon_rdp=epsilon_rdp,
        epsilon_pld=epsilon_pld,
        note=_note(noise, privacy.sampling, privacy.delta, num_members),
    )


@dataclass(frozen=True)
class _Run:
    """Steps of DP-SGD, whose epsilon is asked for one noise multiplier or another."""

    rate: float
    steps: int
    delta: float

    def event(self, noise: float) -> dp_accounting.DpEvent:
        """All steps, as dp_accounting describes them."""
        step = dp_accounting.PoissonSampledDpEvent(self.rate, dp_accounting.GaussianDpEvent(noise))
        return dp_accounting.SelfComposedDpEvent(step, self.steps)

    def epsilon_rdp(self, noise: float) -> float:
        """Epsilon by the library's orders, up to 1,024."""
        return float(rdp.RdpAccountant().compose(self.event(noise)).get_epsilon(self.delta))

    def epsilon_pld(self, noise: float, about: float) -> float:
        """Epsilon on a grid fine enough for an epsilon of the size of `about`."""
        if noise == 0 or self.delta < _PLD_DELTA:
            return math.inf
        return float(_pld_accountant(about).compose(self.event(noise)).get_epsilon(self.delta))


def _pld_accountant(about: float) -> pld.PLDAccountant:
    if about == 0:  # below what RDP can tell from nothing
        return pld.PLDAccountant()
    return pld.PLDAccountant(value_discretization_interval=min(_PLD_RESOLUTION * about, _PLD_COARSEST))


def _calibrated_noise(run: _Run, target: float, accountant: str) -> float:
    """The least noise multiplier whose epsilon does not exceed the target."""
    noise = _search(run, target, "RDP", rdp.RdpAccountant, run.epsilon_rdp, start=1.0)
    if accountant == "rdp":
        return noise
    # Near RDP's answer: on the target's grid, the loss distributions of much less noise do not fit in memory.
    epsilon_of = functools.partial(run.epsilon_pld, about=target)
    return _search(run, target, "PLD", functools.partial(_pld_accountant, target), epsilon_of, start=noise)


def _search(
    run: _Run, target: float, name: str, make_accountant: Callable, epsilon_of: Callable, start: float
) -> float:
    """Brackets the answer about `start`, and leaves the rest to dp_accounting."""
    lowest, highest = NOISE_LIMITS
    low = high = start
    while (epsilon := epsilon_of(high)) > target:
        limit = f"must be at least {epsilon:.3g}, {name}'s epsilon at the largest noise multiplier ({highest:g})"
        check("target_epsilon", target, high < highest, limit)
        low, high = high, min(high * _BRACKET_FACTOR, highest)
    while (epsilon := epsilon_of(low)) <= target:
        limit = f"must be below {epsilon:.3g}, {name}'s epsilon at the smallest noise multiplier ({lowest:g})"
        check("target_epsilon", target, low > lowest, limit)
        low, high = max(low / _BRACKET_FACTOR, lowest), low
    bracket, tolerance = ExplicitBracketInterval(low, high), _NOISE_TOLERANCE * high
    noise = dp_accounting.calibrate_dp_mechanism(make_accountant, run.event, target, run.delta, bracket, tol=tolerance)
    return float(noise)


def _note(noise: float, sampling: str, delta: float, num_members: int) -> str:
    remarks = []
    if noise == 0:
        remarks.append("There is no noise: nothing is promised.")
    if sampling == "shuffle":
        remarks.append(
            "Batches are shuffled, but epsilon is computed as if they were Poisson samples: it is an approximation, "
            "not a proven bound; if a batch spans two passes, an example may even be in it twice."
        )
    if delta >= 1 / num_members:
        remark = f"delta={delta:g} is not below 1/{num_members:,}: publishing one example outright could meet it."
        remarks.append(remark)
    return " ".join(remarks)


def statement(promise: PrivacyGuarantee) -> str:
    """The guarantee in sentences for people, one thought a line; what weakens it comes last, as a warning."""
    by = {"rdp": "RDP (Renyi differential privacy)", "pld": "PLD (privacy loss distributions)"}
    epsilons = {"rdp": promise.epsilon_rdp, "pld": promise.epsilon_pld}
    texts = {name: f"{_number(epsilons[name])} by {text}" for name, text in by.items()}
    if promise.delta < _PLD_DELTA and promise.noise_multiplier > 0:
        texts["pld"] = f"not computed by {by['pld']}, which needs a delta of at least {_PLD_DELTA:g}"
    stated = ", ".join(texts.values())
    sampled = {"poisson": "a Poisson sample", "shuffle": "a batch of a shuffled training set"}[promise.sampling]
    deviation = promise.noise_multiplier * promise.l2_norm_clip
    lines = [
        f"Privacy of each model's weights: epsilon {stated}, at delta {promise.delta:g}. "
        f"Recorded: {promise.accountant.upper()}'s {_number(promise.epsilon)}.",
        f"  Each of {promise.steps:,} steps takes {sampled}: each of nominally {promise.num_members:,} examples with "
        f"probability {promise.sampling_rate:.4g}, {promise.batch:,} expected.",
        f"  Each example's gradient is clipped to L2 norm {promise.l2_norm_clip:g}; noise of standard deviation "
        f"{deviation:.4g} ({promise.noise_multiplier:.4g} times the clip) is added to every coordinate of their sum.",
        "  Neighbouring training sets differ by one example, added or removed.",
        "  Covered: the weights of one model, and what is computed from them without the data. Not covered: the choice "
        "of hyperparameters; all models of a LOGDIR together; the files of the LOGDIR, its accuracies and the results "
        "of the audit.",
        "  The noise follows from a seed that the LOGDIR holds, and protects only from those who do not know it: this "
        "is an instrument to measure with, not a way to publish a model.",
    ]
    if promise.note:
        lines.append(f"  Warning: {promise.note}")
    return "\n".join(lines)


def _number(epsilon: float) -> str:
    return "infinite" if epsilon == math.inf else f"{epsilon:.3f}" if epsilon < 1000 else f"{epsilon:,.0f}"
