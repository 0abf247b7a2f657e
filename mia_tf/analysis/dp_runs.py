"""LOGDIRs of the same examples and subsets, one trained without and others with differential privacy (DP)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mia_tf.files import expanded
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.validation import check, fail

GUARANTEE = (
    "noise_multiplier",
    "l2_norm_clip",
    "delta",
    "sampling",
    "sampling_rate",
    "steps",
    "accountant",
    "epsilon_rdp",
    "epsilon_pld",
    "note",
)
"""What the hparams.json of a model trained with DP says of its guarantee."""
_ACCOUNTANTS = ("rdp", "pld")
_SAME = {"example_ids": "ids", "labels": "labels", "groups": "groups"}
"""What must be the same in all LOGDIRs: its name in messages -> attribute of ShadowModels."""


def read_runs(plain: str | Path, dp: Sequence[str | Path], argument: str = "dp") -> list[ShadowModels]:
    """Opens LOGDIRs, takes the models that all of them have, and checks that only their training differs.

    Args:
        plain: LOGDIR trained without DP.
        dp: LOGDIRs trained with DP.
        argument: the parameter that gave these; an InputError names it.

    Returns:
        The models of `plain` and of each of `dp`, in order; each has the models whose index all LOGDIRs have.

    Raises:
        InputError: `dp` is empty or names a folder twice; a folder is no LOGDIR; the examples, their labels or groups,
            or the subsets of a model differ; no index is common; `plain` was trained with DP, or one of `dp` without;
            guarantees differ in delta or within a LOGDIR.
    """
    different = len({expanded(logdir, argument).resolve() for logdir in dp})
    named = argument, ", ".join(map(str, dp))
    check(*named, 0 < len(dp) == different, "must name at least one LOGDIR trained with DP, and each once")
    arguments = [("plain", plain), *((argument, logdir) for logdir in dp)]
    records = [ShadowModels.open(logdir, argument=name) for name, logdir in arguments]
    for record, given in zip(records[1:], arguments[1:], strict=True):
        for name, attribute in _SAME.items():
            same = np.array_equal(getattr(record, attribute), getattr(records[0], attribute))
            check(*given, same, f"must hold the examples of {plain}; their {name} differ")
    places = [{model.index: place for place, model in enumerate(record.models)} for record in records]
    common = sorted(set.intersection(*map(set, places)))
    check(*named, bool(common), f"must have models that {plain} has as well, by index")
    runs = [record.subset(place[index] for index in common) for record, place in zip(records, places, strict=True)]
    for run, given in zip(runs[1:], arguments[1:], strict=True):
        for model, other in zip(run.models, runs[0].models, strict=True):
            if not np.array_equal(model.member, other.member):
                fail(*given, f"must have the subsets of {plain}; those of {model.name} differ")
    hparams = [_one_guarantee(run, given) for run, given in zip(runs, arguments, strict=True)]
    check("plain", plain, not hparams[0].get("dp"), "must have been trained without differential privacy (--dp)")
    for stated, given in zip(hparams[1:], arguments[1:], strict=True):
        complete = bool(stated.get("dp")) and {"delta", "epsilon_rdp", "epsilon_pld"} <= stated.keys()
        check(*given, complete, "must have been trained with differential privacy (--dp)")
        delta = hparams[1]["delta"]
        same = stated["delta"] == delta
        check(*given, same, f"must have delta={delta:g}, as the first has, for bounds at one delta")
    return runs


def _one_guarantee(run: ShadowModels, argument: tuple[str, str | Path]) -> Mapping:
    """The first model's hparams.json. Raises InputError if the guarantee of another model differs."""
    first, *others = [model.hparams() for model in run.models]
    for model, other in zip(run.models[1:], others, strict=True):
        for name in ("dp", *GUARANTEE):
            same = other.get(name) == first.get(name)
            check(*argument, same, f"must hold models of one guarantee; {name} of {model.name} differs")
    return first


def upper_bounds(hparams: Mapping) -> dict[str, float]:
    """Accountant, "rdp" or "pld" -> its upper bound on epsilon: NaN without DP, infinite if there is no bound."""
    if not hparams.get("dp"):
        return dict.fromkeys(_ACCOUNTANTS, np.nan)
    bounds = {accountant: hparams[f"epsilon_{accountant}"] for accountant in _ACCOUNTANTS}
    return {accountant: np.inf if bound is None else bound for accountant, bound in bounds.items()}
