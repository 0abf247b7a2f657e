"""Discussion of Choi et al. (section 8), the privacy onion effect: what is memorized once the most memorized are gone?

The tenth of MNIST + SVHN that is memorized most leaves, and new models are trained on the rest; a control loses as many
random examples of each group. Both are measured on the examples that stay in both. The models had no part in choosing
them, so that the difference is no regression to the mean. Accuracy is compared on the test images, which are
the same: what leaves has no more than its kind among them.
"""

from collections.abc import Mapping

import numpy as np

from experiments.reproduction import panels
from experiments.reproduction.judging import difference
from experiments.reproduction.measured import Measured
from experiments.reproduction.outcome import Outcome
from experiments.reproduction.scales import SCALES
from mia_tf.records import GROUPS

_LEVELS = {"share_above_0.5": 0.5, "share_above_0.8": 0.8}


def runs(scale: str) -> list[str]:
    """Returns the run that chooses, the one without the most memorized, and its control."""
    pool = "candidates" if SCALES[scale].candidates else "random"
    return [f"mnist_svhn_{pool}", "mnist_svhn_onion", "mnist_svhn_control"]


def build(measured: Mapping[str, Measured]) -> Outcome:
    """Builds memorization by group in all three, and what the removal changed; nothing without the two compared."""
    shown = list(measured.values())
    by_selection = {run.run.selection: run for run in shown}
    if not {"onion", "control"} <= by_selection.keys():
        return Outcome({})
    both = by_selection["onion"], by_selection["control"]
    spread = [row for run in shown for row in panels.distribution_rows(run, "memorization", _LEVELS)]
    figure = panels.page([(shown, panels.draw_memorization_histogram)], "privacy_onion", "", 3.5)
    tables = {"": effect_rows(*both), "_accuracy": accuracy_rows(*both), "_distribution": spread}
    return Outcome(tables, {"": figure})


def effect_rows(onion: Measured, control: Measured) -> list[dict]:
    """What the removal changed in memorization, on examples that stay in both.

    Returns:
        one row per group: the means in both runs and their mean difference with its 95% interval over examples.
    """
    # Equal pictures share an id: one of them stands for all.
    records = [run.audit.records.drop_duplicates("id", keep="last").set_index("id") for run in (onion, control)]
    shared = records[0].join(records[1][["memorization"]].add_suffix("_control"), how="inner").sort_index()
    rows = []
    for group in GROUPS:
        members = shared[shared["group"] == group]
        without, with_them = (members[name].to_numpy() for name in ("memorization", "memorization_control"))
        change = without - with_them
        change = change[np.isfinite(change)]
        half = 1.959964 * change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else np.nan
        mean = change.mean() if len(change) else np.nan
        rows.append(
            {
                "group": group,
                "n": len(change),
                "memorization_without": np.nanmean(without) if len(members) else np.nan,
                "memorization_control": np.nanmean(with_them) if len(members) else np.nan,
                "change": mean,
                "ci_low": mean - half,
                "ci_high": mean + half,
                "num_models": onion.audit.num_models,
                "note": onion.note,
            }
        )
    return rows


def accuracy_rows(onion: Measured, control: Measured) -> list[dict]:
    """What the removal changed in accuracy on test images, one row per group; the interval is over models."""
    accuracies = [run.audit.accuracies() for run in (onion, control)]
    rows = []
    for group in GROUPS:
        if all(("test", group) in measured for measured in accuracies):
            without, with_them = (measured["test", group] for measured in accuracies)
            change = difference(without, with_them)
            numbers = dict(zip(("change", "ci_low", "ci_high"), change, strict=True))
            accuracy = {"accuracy_without": without[0], "accuracy_control": with_them[0]}
            rows.append({"group": group, **accuracy, **numbers, "num_models": onion.audit.num_models})
    return rows
