"""LOGDIRs of the same examples and subsets, one trained without and others with differential privacy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.records import Examples
from mia_tf.store import Store, StoredModel
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
"""What a model's hparams.json holds of its guarantee, where it was trained with differential privacy."""
_SAME = ("example_ids", "labels", "groups")


@dataclass(frozen=True)
class Run:
    """The models of one LOGDIR that take part in a comparison.

    Attributes:
        examples: those of the LOGDIR.
        group_names: what the groups are called, by group id.
        models: by index; the same indices in every run compared.
        hparams: hparams.json of the first of them.
    """

    examples: Examples
    group_names: tuple[str, str]
    models: list[StoredModel]
    hparams: dict

    @property
    def private(self) -> bool:
        """Whether the models were trained with differential privacy."""
        return bool(self.hparams.get("dp"))

    def epsilon(self, accountant: str) -> float:
        """The upper bound by "rdp" or "pld"; NaN without differential privacy, infinite where there is no bound."""
        if not self.private:
            return np.nan
        found = self.hparams[f"epsilon_{accountant}"]
        return np.inf if found is None else found


def read_runs(plain: Path, dp: Sequence[Path]) -> list[Run]:
    """Reads the models that all LOGDIRs have, and checks that only their training differs.

    Args:
        plain: LOGDIR trained without differential privacy.
        dp: LOGDIRs trained with it.

    Returns:
        The run of `plain` and those of `dp`, in order, each with the models whose index all LOGDIRs have.

    Raises:
        InputError: the examples, their labels or groups, or the subsets of a model differ; no index is common;
            `plain` is private, or one of `dp` is not; guarantees differ in delta or within a LOGDIR.
    """
    stores = [Store.open(logdir) for logdir in (plain, *dp)]
    arguments = [{"plain": plain}, *({"dp": logdir} for logdir in dp)]
    examples = [store.examples() for store in stores]
    for found, argument in zip(examples[1:], arguments[1:], strict=True):
        for attribute in _SAME:
            same = np.array_equal(getattr(found, attribute), getattr(examples[0], attribute))
            check(same, f"must hold the examples of --plain={plain}; their {attribute} differ", **argument)
    models = [{model.index: model for model in store.models()} for store in stores]
    common = sorted(set.intersection(*map(set, models)))
    check(bool(common), f"must have models that --plain={plain} has as well, by index", dp=", ".join(map(str, dp)))
    for found, argument in zip(models[1:], arguments[1:], strict=True):
        for index in common:
            if not np.array_equal(found[index].keep, models[0][index].keep):
                fail(f"must have the subsets of --plain={plain}; those of model {index} differ", **argument)
    runs = []
    for store, pool, found, argument in zip(stores, examples, models, arguments, strict=True):
        chosen = [found[index] for index in common]
        runs.append(Run(pool, tuple(store.about()["group_names"]), chosen, _hparams(chosen, argument)))
    check(not runs[0].private, "must have been trained without differential privacy (--dp)", plain=plain)
    for run, argument in zip(runs[1:], arguments[1:], strict=True):
        missing = [name for name in ("delta", "epsilon_rdp", "epsilon_pld") if name not in run.hparams]
        check(run.private and not missing, "must have been trained with differential privacy (--dp)", **argument)
        delta = runs[1].hparams["delta"]
        same = run.hparams["delta"] == delta
        check(same, f"must have delta={delta:g}, as the first has, for bounds at one delta", **argument)
    return runs


def _hparams(models: list[StoredModel], argument: dict) -> dict:
    """What the models' hparams.json say; raises InputError where their guarantees differ."""
    first, *others = [model.hparams() if (model.path / "hparams.json").exists() else {} for model in models]
    for model, other in zip(models[1:], others, strict=True):
        for name in ("dp", *GUARANTEE):
            same = other.get(name) == first.get(name)
            check(same, f"must hold models of one guarantee; {name} of model {model.index} differs", **argument)
    return first
